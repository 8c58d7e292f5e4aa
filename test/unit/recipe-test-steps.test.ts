import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recipeTest } from '../../activities/recipe-test.ts';
import type { World } from '../../activities/world.ts';
import type { RunRef } from '../../domain/run.ts';
import { createResults } from '../../host/store/results.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

/** What a test looks at before anything is deployed, on files of made-up commits. */

const [HEAD, MAIN] = ['b'.repeat(40), 'a'.repeat(40)];
const RUN: RunRef = {
  recipe: 'ghost',
  asked: { by: 'test', id: 'test-1', runId: 'r' },
  workflow: { id: 'test-1', runId: 'r' },
};

let state: string;
beforeEach(() => {
  state = mkdtempSync(path.join(tmpdir(), 'recipe-test-'));
});
afterEach(() => rmSync(state, { recursive: true }));

const QUIET = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
type Steps = ReturnType<typeof recipeTest>;

function attempt<T>(world: object, step: (steps: Steps) => Promise<T>): Promise<T> {
  const environment = new MockActivityEnvironment({ startToCloseTimeoutMs: 60_000 }, { logger: QUIET });
  return environment.run(() => step(recipeTest(world as World)));
}

const labelled = (version: string): string =>
  `version: "3.8"\nservices:\n  app:\n    image: nginx:1\n    deploy:\n      labels:\n        - "coop-cloud.\${STACK_NAME}.version=${version}"\n`;

/** A host whose mirror has these commits, each by its compose file; those named are on main. */
function hostWith(commits: Record<string, string>, isOnMain = false) {
  const brought: object[] = [];
  const guard = async (): Promise<void> => undefined;
  const world = {
    config: { state, zone: 'model.test', limits: {} },
    attempts: { mark: async () => '', enter: async () => ({ leave: guard }) },
    runnerFor: () => ({}),
    toolsFor: () => ({}),
    lock: { claim: async () => ({ generation: 1, guard }) },
    recipes: { one: async (recipe: string) => plainSettings(recipe) },
    canonicals: { read: async () => null, readForOthers: async () => null },
    results: createResults(state),
    mirrorsFor: () => ({
      async bringCommit(_recipe: string, wanted: { commit: string }) {
        brought.push(wanted);
        return wanted.commit in commits;
      },
      onMain: async () => isOnMain,
      async checkout(_recipe: string, commit: string, folder: string) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(path.join(folder, '.env.sample'), 'TYPE=ghost\n');
        writeFileSync(path.join(folder, 'compose.yml'), commits[commit] ?? '');
      },
    }),
  };
  return { world, brought };
}

const bring = (world: object, commit = HEAD) =>
  attempt(world, (steps) => steps.bringHead({ run: RUN, commit, pullRequest: 12, main: MAIN }));

describe('the head', () => {
  test('says its version by its own label, and main its', async () => {
    const { world, brought } = hostWith({ [HEAD]: labelled('1.1.0+2'), [MAIN]: labelled('1.0.0+2') });
    expect(await bring(world)).toEqual({
      version: '1.1.0+2',
      main: { commit: MAIN, version: '1.0.0+2', containsHead: false },
    });
    expect(brought).toEqual([{ commit: HEAD, pullRequest: 12 }]);
  });

  test('that is on main is no pull request to upgrade main to', async () => {
    const { world } = hostWith({ [HEAD]: labelled('1.1.0+2') }, true);
    expect((await bring(world)).main).toEqual({ commit: MAIN, version: null, containsHead: true });
  });

  test('that is main itself need not be brought', async () => {
    const { world, brought } = hostWith({ [MAIN]: labelled('1.0.0+2') });
    expect(await bring(world, MAIN)).toMatchObject({ version: '1.0.0+2', main: { containsHead: true } });
    expect(brought).toEqual([]);
  });

  test.each([
    ['no label', 'services:\n  app:\n    image: nginx:1\n', 'no label coop-cloud.${STACK_NAME}.version'],
    ['a label that is no version', labelled('next'), 'says "next", which is no x.y.z+app'],
    ['a label that steers a terminal', labelled('\\u202e1'), '\\u{202e}'],
    ['files that cannot be read', 'services: [', 'compose.yml'],
  ])('with %s has none, and a file says why', async (_what, compose, says) => {
    const { world } = hostWith({ [HEAD]: compose, [MAIN]: labelled('1.0.0+2') });
    const found = await bring(world);
    if (found.version !== null) throw new Error('it has one');
    expect(found.reason).toContain(says);
    expect(readFileSync(found.evidence, 'utf8')).toBe(`${HEAD}: ${found.reason}\n`);
    expect(found.evidence).toContain(path.join('runs', 'test-1', 'ghost', 'head'));
  });

  test('says why it has none also where main has none', async () => {
    const { world } = hostWith({ [HEAD]: 'services: [', [MAIN]: 'services:\n  app:\n    image: nginx:1\n' });
    const found = await bring(world);
    if (found.version !== null) throw new Error('it has one');
    expect(readFileSync(found.evidence, 'utf8')).toBe(`${HEAD}: ${found.reason}\n`);
  });

  test('that the mirror has no longer is no head', async () => {
    const { world } = hostWith({});
    await expect(bring(world)).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining(`the mirror has no commit ${HEAD} of pull request 12`),
    });
  });
});

describe('a pull request', () => {
  const worldOf = (pullRequest: object | null, config: object) => ({
    config,
    attempts: { mark: async () => '' },
    runnerFor: () => ({}),
    forgeFor: async () => ('forge' in config ? { pullRequest: async () => pullRequest } : null),
  });
  const mirrors = 'https://forge.example.org/coop/{recipe}.git';
  const forge = { url: 'https://forge.example.org' };
  const head = (world: object) =>
    attempt(world, (steps) => steps.pullRequestHead({ recipe: 'ghost', pullRequest: 12 }));

  test('is tested by the head that it has', async () => {
    const found = { head: { commit: HEAD, isFork: true } };
    expect(await head(worldOf(found, { forge, mirrors }))).toEqual({ commit: HEAD });
  });

  test.each([
    ['that is not there', { forge, mirrors }, 'coop/ghost has no pull request 12'],
    ['without a forge', { mirrors }, 'set "forge" (url and tokenFile) in the configuration'],
    ['of a mirror elsewhere', { forge, mirrors: '/srv/{recipe}.git' }, 'is not on the forge'],
  ])('%s is a wrong input', async (_what, config, says) => {
    await expect(head(worldOf(null, config))).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining(says),
    });
  });

  test('of a mirror elsewhere is refused without the name and the password in its URL', async () => {
    const elsewhere = { forge, mirrors: 'https://ci:s3cret@git.example.org/{recipe}.git' };
    const refused = await head(worldOf(null, elsewhere)).catch((error: Error) => error.message);
    expect(refused).toContain('is not on the forge');
    expect(refused).not.toContain('s3cret');
  });
});
