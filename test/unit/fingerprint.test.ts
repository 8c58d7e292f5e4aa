import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { environmentChanges } from '../../domain/environment.ts';
import type { Config } from '../../host/config/config.ts';
import { declaredEnvironment, TOOLS } from '../../host/config/environment.ts';
import { lookAtEnvironment } from '../../host/fingerprint.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import type { LastGood } from '../../host/store/services.ts';

/** What of a host decides verdicts: programs of its own, an engine that does not answer, and a live service. */

let folder: string;
let config: Config;
let release: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fingerprint-'));
  for (const tool of [...TOOLS, 'git-lfs']) await program(tool, `echo ${tool} 1.0; echo built today`);
  await mkdir(path.join(folder, 'recipes/gitea'), { recursive: true });
  await writeFile(
    path.join(folder, 'recipes/gitea/recipe.yml'),
    'upstream: /srv/gitea.git\ntools: [git-lfs]\n',
  );
  config = {
    host: 'ci-1',
    state: path.join(folder, 'state'),
    recipes: path.join(folder, 'recipes'),
    path: path.join(folder, 'bin'),
    docker: { socket: path.join(folder, 'docker.sock'), pull: 'always' },
    probe: { via: 'proxy' },
    limits: { tier: 1, promote: 2, deploy: 3, stable: 4 },
  } as Config;
  release = '10.0.0+26.0.8';
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

async function program(name: string, script: string, bin = 'bin'): Promise<void> {
  const file = path.join(folder, bin, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

const look = (changed: Partial<Config> = {}) => {
  const changedConfig = { ...config, ...changed };
  return lookAtEnvironment({
    config: changedConfig,
    commands: processRunner({ environment: declaredEnvironment(changedConfig) }),
    recipes: createRecipes(config.recipes),
    services: {
      list: async () => ['keycloak'],
      lastGood: async () => ({ version: release }) as LastGood,
    },
  });
};

describe('the fingerprint', () => {
  test('is the same from run to run, and whoever started the worker', async () => {
    const once = await look();
    expect(once.fingerprint).toMatch(/^[0-9a-f]{12}$/);
    for (const [name, value] of Object.entries({
      PATH: '/opt/bin',
      HOME: '/home/somebody',
      LANG: 'de_DE.UTF-8',
      GIT_DIR: '/srv/x',
      SHLVL: '7',
      INVOCATION_ID: 'one',
    })) {
      vi.stubEnv(name, value);
    }
    expect(await look()).toEqual(once);
  });

  test.each([
    ['a program that is another version', 'tool jq', () => program('jq', 'echo jq 2.0')],
    ['a program that is found elsewhere', 'tool jq', () => rm(path.join(folder, 'bin/jq'))],
    ['a program of one recipe', 'tool git-lfs', () => program('git-lfs', 'echo git-lfs 2.0')],
    [
      "a variable of the worker's own that Node reads",
      'variable NODE_OPTIONS of the worker',
      async () => void vi.stubEnv('NODE_OPTIONS', '--dns-result-order=ipv4first'),
    ],
    ['the release of a live service', 'service keycloak', async () => void (release = '10.1.0+26.1.0')],
    [
      'a folder that names another program',
      'tool node',
      () =>
        writeFile(
          path.join(folder, 'recipes/gitea/recipe.yml'),
          'upstream: /srv/gitea.git\ntools: [git-lfs, node]\n',
        ),
    ],
  ])('is another with %s, and says so by name', async (_what, part, change) => {
    await program('jq', 'echo jq 1.0', 'other');
    const searched = { path: `${path.join(folder, 'bin')}:${path.join(folder, 'other')}` };
    const before = await look(searched);
    await change();
    const now = await look(searched);
    expect(now.fingerprint).not.toBe(before.fingerprint);
    const changes = environmentChanges(before.parts, now.parts);
    expect(changes.map((line) => line.split(':')[0])).toEqual([part]);
  });

  test.each([
    ['path', { path: '/usr/bin' }, 'variable PATH'],
    ['probe.via', { probe: { via: 'task' } } as const, 'probe.via'],
    ['how long an app may take', { limits: { tier: 1, promote: 2, deploy: 9, stable: 4 } }, 'limits.deploy'],
  ])('is another with another setting: %s', async (_what, changed, part) => {
    const [before, now] = [await look(), await look(changed as Partial<Config>)];
    expect(now.fingerprint).not.toBe(before.fingerprint);
    expect(environmentChanges(before.parts, now.parts).map((line) => line.split(':')[0])).toContain(part);
  });

  test('is not stopped by what cannot be found out', async () => {
    await program('zstd', 'exit 3');
    await rm(path.join(folder, 'bin/tar'));
    const { parts } = await look();
    expect(parts).toMatchObject({
      node: process.version,
      'docker engine': 'does not answer',
      'tool bash': `${path.join(folder, 'bin/bash')}, bash 1.0`,
      'tool git-lfs': `${path.join(folder, 'bin/git-lfs')}, git-lfs 1.0`,
      'tool tar': `not on ${path.join(folder, 'bin')}`,
      'tool zstd': expect.stringMatching(/bin\/zstd, sha256 [0-9a-f]{12}$/),
      'service keycloak': '10.0.0+26.0.8',
    });
  });
});

test('what changed is said of each part: what it was, and what it is', () => {
  const before = { node: 'v20', jq: '1.6', tar: '1.34' };
  expect(environmentChanges(before, before)).toEqual([]);
  expect(environmentChanges(before, { node: 'v22', tar: '1.34', zstd: '1.5' })).toEqual([
    'jq: not there any more, it was 1.6',
    'node: v20 → v22',
    'zstd: 1.5, which was not there',
  ]);
});
