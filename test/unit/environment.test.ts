import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Observation } from '../../domain/convergence.ts';
import type { App } from '../../domain/app.ts';
import { declaredEnvironment, TOOLS } from '../../host/config/environment.ts';
import { createAppEnvironment } from '../../host/deploy/app-environment.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createAppScripts } from '../../host/scripts/app-scripts.ts';
import { SWEEP_PROGRAMS } from '../../setup/tools.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

/** What hooks and checks have, as worker/worker.ts puts it together, compared with what docs/recipes.md tells of it. */

const ROOT = path.resolve(import.meta.dirname, '../..');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'environment-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** The first cells of the rows of a table in "What they are told". */
async function documented(heading: string): Promise<string[]> {
  const docs = await readFile(path.join(ROOT, 'docs/recipes.md'), 'utf8');
  const section = docs.slice(docs.indexOf('## What they are told'));
  const table = section.slice(section.indexOf(`| ${heading} `)).split('\n\n', 1)[0] ?? '';
  return table
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}

/** The environment of a hook and of a check of an app that needs a Keycloak, with the address of a task. */
async function environmentOfScripts(): Promise<Record<string, string>> {
  const config = {
    path: '/usr/local/bin:/usr/bin:/bin',
    state: path.join(folder, 'state'),
    docker: { socket: '/run/docker.sock', pull: 'always' as const },
  };
  const labels = { 'traefik.http.services.x.loadbalancer.server.port': '8080' };
  const environment = createAppEnvironment({
    config: { probe: { via: 'task' } },
    swarm: {
      services: async () => [{ name: 'app', labels, mounts: [] }],
      observe: async () =>
        ({
          services: [{ name: 'app', tasks: [{ id: 'task', current: true, state: 'running' }] }],
        }) as unknown as Observation,
      containers: async () => [{ id: 'one', service: 'app', taskId: 'task', imageId: '', runs: true }],
      hostAddress: async () => '172.18.0.5',
    },
    servicesOf: async () => [{ name: 'app', labels: new Map(Object.entries(labels)) }],
  });
  const scripts = createAppScripts({
    commands: processRunner({
      environment: { ...declaredEnvironment(config), [COMMAND_MARK]: 'marked' },
    }),
    environment,
    watchEngine: async () => ({ check: async () => undefined, close: () => undefined }),
    fit: async (_app, text) => text,
    guard: async () => undefined,
    report: () => undefined,
    until: Date.now() + 3_600_000,
  });
  const script = path.join(folder, 'script');
  // What it was started with: a shell adds some of its own.
  await writeFile(script, "#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/environ\n");
  await chmod(script, 0o755);
  const settings = { ...plainSettings('thing'), hooks: { install: script }, checks: [script] };
  const evidence = path.join(folder, 'evidence');
  await mkdir(evidence, { recursive: true });
  const realm = { name: 'thing-1a2b3c', issuer: 'https://sso.test', clientId: 'thing', user: 'thing' };
  const at = { domain: 'keyc.test', stack: 'keyc_test', url: 'http://keyc.test' };
  const app = {
    recipe: 'thing',
    version: '1.0.0+1',
    commit: 'c'.repeat(40),
    checkout: folder,
    scratch: path.join(folder, 'scratch'),
    domain: 'thin.test',
    stack: 'thin_test',
    settings,
    dependencies: [{ recipe: 'keycloak', version: '1.0.0+1', ...at, realm }],
    secrets: { DEP_KEYCLOAK_CLIENT_SECRET: 'one', DEP_KEYCLOAK_PASSWORD: 'two' },
    evidence,
  } as unknown as App;
  await scripts.hook(app, 'install', { environment: { SECRETS_DIR: folder, ENV_DIR: folder } });
  await scripts.check(app, script, { environment: { TIER: 'custom' } });
  const printed = await Promise.all(
    ['hook-install.txt', 'check-script.txt'].map((file) => readFile(path.join(evidence, file), 'utf8')),
  );
  return Object.fromEntries(
    [...printed.join('\n').matchAll(/^([A-Za-z_]\w*)=(.*)$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
}

/** Whether a name is meant by what the table has: `DOCKER_*`, `DEP_<NAME>_URL`, `DEP_KEYCLOAK_REALM`. */
function means(written: string, name: string): boolean {
  if (/^DEP_KEYCLOAK_REALM$/.test(written)) {
    return /^DEP_KEYCLOAK_(REALM|ISSUER|CLIENT_ID|CLIENT_SECRET|USER|PASSWORD)$/.test(name);
  }
  return new RegExp(`^${written.replace('<NAME>', 'KEYCLOAK').replace('*', '\\w+')}$`).test(name);
}

describe('a hook and a check', () => {
  test('have the variables that the page tells of, each in one row, and no others', async () => {
    const rows = await documented('name');
    const names = Object.keys(await environmentOfScripts());
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => rows.filter((row) => means(row, name)).length !== 1)).toEqual([]);
    expect(rows.filter((row) => !names.some((name) => means(row, name)))).toEqual([]);
  });

  test('have the same whoever started the worker, and nothing of that environment', async () => {
    const once = await environmentOfScripts();
    for (const [name, value] of Object.entries({
      PATH: `/opt/mine/bin:${process.env['PATH']}`,
      HOME: '/home/somebody',
      LANG: 'de_DE.UTF-8',
      LC_ALL: 'de_DE.UTF-8',
      TZ: 'Asia/Tokyo',
      DOCKER_HOST: 'tcp://elsewhere:2375',
      DOCKER_CONTEXT: 'elsewhere',
      GIT_DIR: '/srv/other.git',
      GIT_SSH_COMMAND: 'false',
      https_proxy: 'http://proxy.test',
      BASH_ENV: '/home/somebody/.bashrc',
      LD_PRELOAD_OF_MINE: 'x',
      NODE_OPTIONS: '--no-warnings',
      TEMPORAL_API_KEY: 'hunter2',
    })) {
      vi.stubEnv(name, value);
    }
    const again = await environmentOfScripts();
    const own = ['RECIPE_SWEEP_EXEC', 'CURL_HOME'];
    const without = (all: Record<string, string>) =>
      Object.fromEntries(Object.entries(all).filter(([name]) => !own.includes(name)));
    expect(without(again)).toEqual(without(once));
    expect(Object.values(again).join('\n')).not.toMatch(/hunter2|somebody|elsewhere|proxy\.test/);
  });
});

describe('the programs of every host', () => {
  test('are those of the page', async () => {
    expect((await documented('program')).sort()).toEqual([...TOOLS].sort());
  });

  test('are installed by the image', async () => {
    const dockerfile = await readFile(path.join(ROOT, 'Dockerfile'), 'utf8');
    const installed = dockerfile.split('\n').map((line) => line.replace(/\\$/, '').trim());
    const from: Record<string, string> = { docker: 'docker-cli', find: 'findutils' };
    const ofUtilLinux = ['flock', 'prlimit'];
    const packages = TOOLS.map((tool) => (ofUtilLinux.includes(tool) ? 'util-linux' : (from[tool] ?? tool)));
    expect(packages.filter((name) => !installed.includes(name))).toEqual([]);
    // What recipes of ours name besides; node is the image's own.
    expect(installed).toContain('git-lfs');
  });

  test('are what the set-up of this machine installs', () => {
    const tools: readonly string[] = TOOLS;
    expect(Object.keys(SWEEP_PROGRAMS).filter((program) => !tools.includes(program))).toEqual([]);
  });
});
