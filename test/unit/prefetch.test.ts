import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createMachine, runOfSweep, type Machine } from './fake-machine.ts';
import type { Tag } from './fake-engine.ts';

/** Which images are pulled beside a run, for those that come after it; the machine has no engine. */

const RUN = runOfSweep('drone');

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);
const prefetch = (...next: string[]) => step((steps) => steps.prefetch({ run: RUN, next }));

const tag = (recipe: string, number: number): Tag => ({
  version: `1.${number}.0+1`,
  commit: Buffer.from(`${recipe}${number}`).toString('hex').padEnd(40, '0'),
  quality: 'good',
});

/** Publishes so many releases, whose files name the image `app`. */
function publish(recipe: string, count: number): Tag[] {
  const tags = Array.from({ length: count }, (_, number) => tag(recipe, number));
  machine.upstreams.set(recipe, tags);
  machine.proposed.set(recipe, tags);
  return tags;
}

/** Has its only release proven. */
async function prove(recipe: string): Promise<void> {
  const [{ version, commit } = tag(recipe, 0)] = publish(recipe, 1);
  const run = runOfSweep(recipe);
  const tested = { app: { image: commit, digest: `sha256:${commit}` } };
  await step((steps) => steps.mirrorSync({ recipe, run }));
  const promoted = await step((steps) =>
    steps.promote({ run, release: { version, commit }, tested, dependencies: [] }),
  );
  expect(promoted).toEqual({ promoted: true });
}

const provenImage = (recipe: string) => {
  const { commit } = tag(recipe, 0);
  return { image: commit, digest: `sha256:${commit}` };
};

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'prefetch-'));
  machine = createMachine(folder, ['drone', 'ghost', 'hedgedoc', 'keycloak', 'mumble']);
  machine.open.add('sweep');
  // It takes the host for the sweep.
  await step((steps) => steps.teardown({ run: RUN }));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('the recipe that is looked for', () => {
  test('is the first that would be tested: not held, never released, or proven', async () => {
    publish('ghost', 1);
    machine.settings.set('ghost', { hold: 'for now' });
    await prove('hedgedoc');
    publish('mumble', 1);
    const next = ['ghost', 'keycloak', 'hedgedoc', 'mumble', 'drone'];
    expect(await prefetch(...next)).toEqual({ recipe: 'mumble', images: ['app'], problems: [] });
    expect(machine.pulledAhead).toEqual([{ image: 'app', digest: null }]);
  });

  test('is none where there is nothing to do, and then nothing is pulled', async () => {
    await prove('hedgedoc');
    expect(await prefetch('ghost', 'hedgedoc')).toEqual({ recipe: null, images: [], problems: [] });
    expect(machine.pulledAhead).toEqual([]);
  });

  test('is none whose files cannot be deployed: its own run says so', async () => {
    machine.upstreams.set('ghost', [tag('ghost', 0)]);
    publish('mumble', 1);
    expect(await prefetch('ghost', 'mumble')).toMatchObject({ recipe: 'mumble' });
  });

  test('is none that needs a program which this host does not have: its run ends before it deploys', async () => {
    publish('ghost', 1);
    machine.settings.set('ghost', { tools: ['nobody-has-this'] });
    publish('mumble', 1);
    expect(await prefetch('ghost', 'mumble')).toMatchObject({ recipe: 'mumble' });
  });

  test('is none whose tag moved, of which there is no alert until its run', async () => {
    const [first] = publish('ghost', 1);
    await step((steps) => steps.mirrorSync({ recipe: 'ghost', run: null }));
    machine.upstreams.set('ghost', [{ ...(first ?? tag('ghost', 0)), commit: 'e'.repeat(40) }]);
    publish('mumble', 1);
    expect(await prefetch('ghost', 'mumble')).toMatchObject({ recipe: 'mumble' });
    expect(await createAlerts(machine.state).open()).toEqual({ alerts: [], unreadable: [] });
  });
});

test('what is pulled is what it is deployed beside, what it is upgraded from and itself, in that order', async () => {
  await prove('hedgedoc');
  await prove('keycloak');
  machine.settings.set('hedgedoc', { deps: ['keycloak', 'mumble'] });
  publish('hedgedoc', 2);
  publish('mumble', 1);
  await prefetch('hedgedoc');
  expect(machine.pulledAhead).toEqual([
    provenImage('keycloak'),
    { image: 'app', digest: null },
    provenImage('hedgedoc'),
  ]);
});

test('nothing is pulled where the sweep has the host no longer', async () => {
  publish('mumble', 1);
  machine.open.delete('sweep');
  await expect(prefetch('mumble')).rejects.toMatchObject({ type: 'FenceLost' });
  expect(machine.pulledAhead).toEqual([]);
});

test('it takes no part of the host from the run, and leaves nothing', async () => {
  publish('mumble', 1);
  const locks = (): string[] => readdirSync(path.join(machine.state, 'lock'));
  const before = locks();
  await prefetch('mumble');
  expect(locks()).toEqual(before);
  expect(readdirSync(path.join(machine.state, 'checkouts'))).toEqual([]);
  expect(readdirSync(path.join(machine.state)).filter((name) => name === 'runs')).toEqual([]);
});
