import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { BOUNDARY_CHANNEL, type Boundary, type Passed } from '../../host/machine/boundary.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createMachine, type Machine, runOfSweep, ZONE } from './fake-machine.ts';

/** A canonical whose data an operator gives up: the record stays and says so, and what comes next knows it. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const STACK = 'warm-ghost_model_test';
const RELEASE = { version: '1.0.0+1', commit: '0'.repeat(40) };
const NEXT = { version: '1.1.0+1', commit: '1'.repeat(40) };
const RUN = runOfSweep('ghost');
const HOLDER = { workflowId: 'by-hand', runId: 'run by hand', what: 'canonical drop-data' };

let folder: string;
let machine: Machine;
/** What runs the steps; it may die of one. */
let worker: { dead: boolean };

/** A step of a workflow, while no other one is open. */
function step<T>(workflowId: string, body: (activities: Activities) => Promise<T>): Promise<T> {
  machine.open.clear();
  machine.open.add(workflowId);
  return machine.attempt(worker, 1, body);
}

const sync = () => step('sweep', ({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
const promote = (release: typeof RELEASE) =>
  step('sweep', (steps) =>
    steps.promote({
      run: { ...RUN, workflow: { id: 'sweep/ghost', runId: release.commit.slice(0, 8) } },
      release,
      tested: { app: { image: release.commit, digest: `sha256:${release.commit}` } },
      dependencies: [],
    }),
  );
const look = () =>
  step('by-hand', (steps) =>
    steps.canonicalToChange({ recipe: 'ghost', change: 'drop-data', holder: HOLDER }),
  );
const drop = () => step('by-hand', (steps) => steps.dropData({ recipe: 'ghost', holder: HOLDER }));
const settle = () => step('sweep', (steps) => steps.settle({ run: RUN }));
const reap = () =>
  step('reaper', (steps) => steps.reap({ holder: { workflowId: 'reaper', runId: 'r', what: 'reap' } }));
const resolve = () => step('sweep', (steps) => steps.resolve({ recipe: 'ghost' }));

const canonicals = () => createCanonicals({ state: machine.state, zone: ZONE });
const inCanonicals = (...names: string[]): string =>
  path.join(machine.state, 'canonicals', 'ghost', ...names);
const snapshots = (): string[] => readdirSync(inCanonicals('snapshots'));

/** The record stays, and nothing else. */
async function expectDropped(): Promise<void> {
  const record = await canonicals().read('ghost');
  expect(record).toMatchObject({ ...RELEASE, snapshot: null, dropped: expect.any(String) });
  expect((await canonicals().history('ghost')).map(({ dropped }) => dropped)).toEqual([
    null,
    record?.dropped,
  ]);
  expect(machine.volumesOf(STACK)).toEqual([]);
  expect(machine.stacks.get(STACK)).toBeUndefined();
  expect(snapshots()).toEqual([]);
  expect(existsSync(inCanonicals('attached.json'))).toBe(false);
}

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'drop-data-'));
  machine = createMachine(folder, ['ghost']);
  worker = { dead: false };
  machine.upstreams.set('ghost', [{ ...RELEASE, quality: 'good' }]);
  await sync();
  await promote(RELEASE);
  await settle();
});

afterEach(() => rmSync(folder, { recursive: true }));

async function publishNext(): Promise<void> {
  machine.upstreams.set(
    'ghost',
    [RELEASE, NEXT].map((release) => ({ ...release, quality: 'good' as const })),
  );
  await sync();
}

test('volumes, secrets and snapshot go, and the record says so', async () => {
  await look();
  expect(await drop()).toMatch(/^ghost 1\.0\.0\+1 is the canonical still, without data/);
  await expectDropped();
  const dropped = (await canonicals().read('ghost'))?.dropped;
  expect(await resolve()).toMatchObject({ canonical: RELEASE, dataDropped: dropped });
  await expect(look()).rejects.toMatchObject({
    type: 'BadInput',
    message: expect.stringContaining('was dropped already'),
  });
});

test('so they do after a green quick run, whose data is in use', async () => {
  const run = {
    recipe: 'ghost',
    asked: { by: 'test' as const, id: 'test-1', runId: 'r' },
    workflow: { id: 'test-1', runId: 'r' },
  };
  const input = { run, step: 'quick-lane: reattach', deploy: RELEASE, dependencies: [], upgraded: false };
  await step('test-1', (steps) => steps.quickReattach(input));
  await step('test-1', (steps) => steps.quickUndeploy({ run }));
  await drop();
  await expectDropped();
  await expect(step('test-1', (steps) => steps.quickReattach(input))).rejects.toMatchObject({
    type: 'BadInput',
    message: expect.stringContaining('its data was dropped on'),
  });
  await expectDropped();
});

test('what has no canonical has no data to drop', async () => {
  rmSync(inCanonicals(), { recursive: true });
  await expect(look()).rejects.toMatchObject({ type: 'BadInput', message: 'ghost has no canonical' });
});

test('a record that cannot be read stays as it is', async () => {
  rmSync(inCanonicals('canonical.json'));
  await expect(look()).rejects.toMatchObject({ type: 'RecordUnreadable' });
  expect(snapshots()).toHaveLength(1);
});

describe('without data', () => {
  beforeEach(drop);

  test('the next release is promoted by a fresh install, with a word of what that does not prove', async () => {
    await publishNext();
    machine.settings.set('ghost', { upgradeEnv: { MIGRATE: 'yes' } });
    expect(await promote(NEXT)).toEqual({
      promoted: true,
      note: expect.stringMatching(
        /^promoted by a fresh install, which proves no upgrade of data: that of 1\.0\.0\+1 was dropped on /,
      ),
    });
    expect(machine.deployed.slice(1).map(({ version, occasion, env }) => [version, occasion, env])).toEqual([
      [NEXT.version, 'deploy', {}],
    ]);
    const record = await canonicals().read('ghost');
    expect(record).toMatchObject({ ...NEXT, dropped: null });
    expect(snapshots()).toEqual([record?.snapshot?.id]);
    await settle();
    expect(machine.volumesOf(STACK)).not.toEqual([]);
    expect(await resolve()).toMatchObject({ canonical: NEXT, dataDropped: null });
  });

  test('a promote that fails leaves nothing at the warm domain', async () => {
    machine.upstreams.set('ghost', [
      { ...RELEASE, quality: 'good' },
      { ...NEXT, quality: 'red' },
    ]);
    await sync();
    expect(await promote(NEXT)).toMatchObject({ promoted: false });
    expect(await settle()).toEqual({ version: RELEASE.version });
    await expectDropped();
  });

  test('a lost record is written anew as it was', async () => {
    const before = await canonicals().read('ghost');
    rmSync(inCanonicals('canonical.json'));
    const said = await step('by-hand', (steps) =>
      steps.rebuildCanonical({ recipe: 'ghost', holder: HOLDER }),
    );
    expect(said).toContain('its data was dropped on');
    expect(await canonicals().read('ghost')).toEqual(before);
    await expectDropped();
  });

  test('the reaper finds nothing to do', async () => {
    expect(await reap()).toEqual([]);
    await expectDropped();
  });
});

describe('a worker that dies over it', () => {
  async function boundaries(): Promise<Boundary[]> {
    const passed: Boundary[] = [];
    const hear = (message: unknown): void => void passed.push((message as Passed).boundary);
    subscribe(BOUNDARY_CHANNEL, hear);
    await drop().finally(() => unsubscribe(BOUNDARY_CHANNEL, hear));
    return passed;
  }

  test('leaves all of the data or, once the reaper was there, nothing; and it can be asked for again', async () => {
    const passed = await boundaries();
    expect(passed).toEqual(
      expect.arrayContaining(['drop.after-mark', 'drop.after-record', 'promote.after-history']),
    );
    const committed = passed.indexOf('promote.after-record');
    for (const [index, boundary] of passed.entries()) {
      // The canonical as it was.
      rmSync(machine.state, { recursive: true });
      await sync();
      await promote(RELEASE);
      await settle();
      let seen = 0;
      const die = (): void => {
        if (seen++ === index) worker.dead = true;
      };
      subscribe(BOUNDARY_CHANNEL, die);
      void drop();
      await expect.poll(() => worker.dead, { interval: 1, timeout: 20_000 }).toBe(true);
      unsubscribe(BOUNDARY_CHANNEL, die);
      worker = { dead: false };
      expect([boundary, await reap()]).toEqual([boundary, []]);
      if (index < committed) {
        expect(await canonicals().read('ghost')).toMatchObject({ ...RELEASE, dropped: null });
        expect(machine.volumesOf(STACK)).not.toEqual([]);
        expect(snapshots()).toHaveLength(1);
        await look();
        await drop();
      }
      await expectDropped();
    }
  }, 120_000);
});
