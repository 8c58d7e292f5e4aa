import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';

/**
 * Each check of `recipes/`, and each hook that writes or looks for data, at an app that says yes to whatever it is asked
 * and keeps nothing: all of them must see it, and say so. That they pass where the app does keep it is for
 * `npm run catalogue` to show.
 */

const RECIPES = path.resolve(import.meta.dirname, '../../recipes');
/** A forge that says nothing of large files has none. */
const NOT_APPLICABLE = new Set(['gitea/checks/large-file']);

/** The engine and its containers say yes as well, and have a secret to show. */
const PROGRAMS = {
  'in-service': 'case "$*" in *" /run/secrets/"*) echo something-secret ;; esac',
  docker: 'echo something',
};

async function scriptsOf(folder: string): Promise<string[]> {
  const names = await readdir(path.join(RECIPES, folder)).catch(() => []);
  return names.map((name) => `${folder}/${name}`);
}

const recipes = (await readdir(RECIPES, { withFileTypes: true })).filter((entry) => entry.isDirectory());
const scripts = (
  await Promise.all(
    recipes.map(async ({ name }) => [
      ...(await scriptsOf(`${name}/hooks`)).filter((hook) => hook.endsWith('-data')),
      ...(await scriptsOf(`${name}/checks`)),
    ]),
  )
).flat();

let server: Server;
let folder: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  folder = await mkdtemp(path.join(tmpdir(), 'recipe-checks-'));
  for (const [name, line] of Object.entries(PROGRAMS)) {
    await writeFile(path.join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

function environment(): Record<string, string> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    LANG: 'C.UTF-8',
    APP_URL: url,
    APP_DOMAIN: 'app.example.org',
    APP_ADDRESS: '127.0.0.1',
    STACK_NAME: 'app_example_org',
    VERSION: '1.2.0+3.4.5',
    DEP_GITEA_URL: url,
    DEP_GITEA_DOMAIN: 'gitea.example.org',
    DEP_GITEA_STACK_NAME: 'gitea_example_org',
    DEP_KEYCLOAK_USER: 'somebody',
    DEP_KEYCLOAK_PASSWORD: 'secret',
  };
}

test.concurrent.for(scripts)(
  '%s sees that nothing is kept, and says so',
  { timeout: 180_000 },
  async (script) => {
    const home = await mkdtemp(path.join(folder, 'script-'));
    const commands = processRunner({ environment: { ...environment(), HOME: home } });
    const { status, stdout, stderr } = await commands.run({
      file: path.join(RECIPES, script),
      args: [],
      cwd: home,
    });
    expect([status === 0, status === 77], `${stdout}${stderr}`).toEqual([false, NOT_APPLICABLE.has(script)]);
    if (NOT_APPLICABLE.has(script)) return;
    // the reason of the tier is what it printed last: a sentence of its own, or of git
    const said = stderr.trimEnd().split('\n').at(-1) ?? '';
    expect(said).toMatch(/^\S+ .+/);
    expect(said).not.toMatch(/^(jq|curl|cmp|cat|grep): |\.(sh|mjs): line \d|: line \d+: /);
  },
);
