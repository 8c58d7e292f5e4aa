import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { Revision } from '../../domain/release.ts';
import type { RunRef } from '../../domain/run.ts';
import { BOUNDARY_CHANNEL, type Boundary, type Passed } from '../../host/machine/boundary.ts';
import { createMachine, type Machine, runOfSweep } from './fake-machine.ts';
import type { Quality } from './fake-engine.ts';

/** The quick lane's steps on a machine without an engine: however it ends, the canonical is what it was. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const STACK = 'warm-ghost_model_test';
const CANONICAL = { version: '1.0.0+1', commit: '0'.repeat(40) };
const HEAD = { version: '1.0.1+2', commit: 'a'.repeat(40) };
const NEXT = { version: '1.1.0+2', commit: '1'.repeat(40) };

const testRun = (id: string): RunRef => ({
  recipe: 'ghost',
  asked: { by: 'test', id, runId: `run of ${id}` },
  workflow: { id, runId: `run of ${id}` },
});
const RUN = testRun('test-1');

let folder: string;
let machine: Machine;
/** What the canonical is and has, as it was proven. */
let proven: { disk: Map<string, string>; rows: Map<string, string[]>; secrets: string[] };

/** What runs the steps; it may die of one. */
let worker: { dead: boolean };

/** A step of a workflow, while no other one is open. */
function step<T>(workflowId: string, body: (activities: Activities) => Promise<T>): Promise<T> {
  machine.open.clear();
  machine.open.add(workflowId);
  return machine.attempt(worker, 1, body);
}

const inCanonicals = (...names: string[]): string =>
  path.join(machine.state, 'canonicals', 'ghost', ...names);
const isAttached = (): boolean => existsSync(inCanonicals('attached.json'));
const secrets = (): string[] => [...(machine.stacks.get(STACK)?.secrets ?? [])].sort();

/** Every file of the canonical, but for the mark that its data is in use. */
function onDisk(at = inCanonicals()): Map<string, string> {
  const files = readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== 'attached.json' && statSync(path.join(at, name)).isFile())
    .sort();
  return new Map(files.map((name) => [name, readFileSync(path.join(at, name), 'base64')]));
}

function expectProven(): void {
  expect(onDisk()).toEqual(proven.disk);
  expect(machine.rows(STACK)).toEqual(proven.rows);
  expect(secrets()).toEqual(proven.secrets);
  expect(machine.stacks.get(STACK)?.running).toBe(false);
  expect(isAttached()).toBe(false);
}

/** The pull request is on no mirror of tags. */
const publish = (...tags: [{ version: string; commit: string }, Quality][]): void => {
  machine.upstreams.set(
    'ghost',
    tags.map(([release, quality]) => ({ ...release, quality })),
  );
};

const sync = () =>
  step('sweep', ({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: runOfSweep('ghost') }));
const promote = (release: { version: string; commit: string }) =>
  step('sweep', (steps) =>
    steps.promote({
      run: { ...runOfSweep('ghost'), workflow: { id: 'sweep/ghost', runId: release.commit.slice(0, 8) } },
      release,
      tested: { app: { image: release.commit, digest: `sha256:${release.commit}` } },
      dependencies: [],
    }),
  );

const input = (name: string, deploy: Revision, run = RUN) => ({
  run,
  step: `quick-lane: ${name}`,
  deploy,
  dependencies: [],
  upgraded: deploy === HEAD,
});
const reattach = (run = RUN) =>
  step(run.workflow.id, (steps) => steps.quickReattach(input('reattach', CANONICAL, run)));
const upgrade = (run = RUN) =>
  step(run.workflow.id, (steps) => steps.quickUpgrade(input('upgrade', HEAD, run)));
const custom = () => step(RUN.workflow.id, (steps) => steps.quickCustom(input('custom', HEAD)));
const undeploy = (run = RUN) => step(run.workflow.id, (steps) => steps.quickUndeploy({ run }));
const settle = () => step(RUN.workflow.id, (steps) => steps.settle({ run: RUN }));
const reap = () =>
  step('reaper', (steps) =>
    steps.reap({ holder: { workflowId: 'reaper', runId: 'run of reaper', what: 'reap' } }),
  );

async function whole(run = RUN): Promise<void> {
  await reattach(run);
  await upgrade(run);
  await undeploy(run);
}

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'quick-lane-'));
  machine = createMachine(folder, ['ghost']);
  worker = { dead: false };
  publish([CANONICAL, 'good']);
  await sync();
  await promote(CANONICAL);
  await settle();
  proven = { disk: onDisk(), rows: machine.rows(STACK), secrets: secrets() };
  publish([CANONICAL, 'good'], [HEAD, 'good']);
  // The head migrates what it finds, and brings a volume and a secret of its own.
  machine.upgraded = () => {
    for (const name of machine.volumesOf(STACK))
      writeFileSync(path.join(machine.volume(name), 'schema-2'), '');
    mkdirSync(machine.volume(`${STACK}_cache`), { recursive: true });
    machine.stacks.get(STACK)?.secrets.add(`${STACK}_token_v1`);
  };
});

afterEach(() => rmSync(folder, { recursive: true }));

const migrated = (): boolean => [...machine.rows(STACK).values()].flat().includes('schema-2');

describe('a head that is green', () => {
  beforeEach(async () => {
    expect(await reattach()).toMatchObject({ result: 'pass', images: { app: { image: CANONICAL.commit } } });
    expect(await upgrade()).toMatchObject({ result: 'pass', images: { app: { image: HEAD.commit } } });
    await undeploy();
  });

  test('was deployed over the canonical, started as what was stopped is, and has to stay up', () => {
    expect(
      machine.deployed
        .slice(1)
        .map(({ stack, version, occasion, proof }) => [stack, version, occasion, proof]),
    ).toEqual([
      [STACK, CANONICAL.version, 'restart', 'answers'],
      [STACK, HEAD.version, 'upgrade', 'lasts'],
    ]);
  });

  test('leaves record and snapshot as they were, and its own data marked as in use', () => {
    expect(onDisk()).toEqual(proven.disk);
    expect(migrated()).toBe(true);
    expect(isAttached()).toBe(true);
    expect(machine.stacks.get(STACK)?.running).toBe(false);
    expect(readdirSync(path.join(machine.state, 'checkouts'))).toEqual([]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['the reaper', reap],
    ['whoever settles', settle],
  ])('%s puts the data back', async (_who, comesNext) => {
    await comesNext();
    expectProven();
  });

  test("another quick run attaches the canonical's data, and not this one's", async () => {
    await reattach(testRun('test-2'));
    expect(migrated()).toBe(false);
    expect([...machine.rows(STACK).keys()]).toEqual([...proven.rows.keys()]);
    expect(secrets()).toEqual(proven.secrets);
  });

  test("so does the promote of a newer release, whose snapshot has nothing of this one's", async () => {
    machine.upgraded = () => undefined;
    publish([CANONICAL, 'good'], [NEXT, 'good']);
    await sync();
    expect(await promote(NEXT)).toEqual({ promoted: true });
    expect(migrated()).toBe(false);
    expect([...machine.rows(STACK).keys()]).toEqual([...proven.rows.keys()]);
    expect(secrets()).toEqual(proven.secrets);
  });

  test('so does a promote of before it, whose run was reset', async () => {
    // So that by the names of its volumes alone the data would seem to be the canonical's.
    rmSync(machine.volume(`${STACK}_cache`), { recursive: true });
    expect(await promote(CANONICAL)).toEqual({ promoted: true });
    await settle();
    expectProven();
  });

  test('so does a record that is written anew', async () => {
    rmSync(inCanonicals('canonical.json'));
    const holder = { workflowId: 'reaper', runId: 'run of reaper', what: 'canonical rebuild' };
    await step('reaper', (steps) => steps.rebuildCanonical({ recipe: 'ghost', holder }));
    expect(machine.rows(STACK)).toEqual(proven.rows);
    expect(isAttached()).toBe(false);
  });
});

describe('a head that is red, and is put back at once', () => {
  test('as it does not come up', async () => {
    publish([CANONICAL, 'good'], [HEAD, 'red']);
    await reattach();
    expect(await upgrade()).toMatchObject({ result: 'fail', reason: '1.0.1+2 is red' });
    await settle();
    expectProven();
  });

  test('as it spoils the data that it was given', async () => {
    publish([CANONICAL, 'good'], [HEAD, 'fails on data attached again']);
    await reattach();
    expect(await upgrade()).toMatchObject({ result: 'fail' });
    expect(secrets()).not.toEqual(proven.secrets);
    await settle();
    expectProven();
  });

  test('as it loses what was written', async () => {
    const hook = (name: string): string => {
      const file = path.join(folder, name);
      writeFileSync(file, '');
      return file;
    };
    const hooks = { 'write-data': hook('write-data'), 'check-data': hook('check-data') };
    machine.settings.set('ghost', { hooks });
    machine.programs.set(hooks['write-data'], () => 0);
    machine.programs.set(hooks['check-data'], () => 1);
    await reattach();
    expect(await upgrade()).toMatchObject({ result: 'fail', reason: expect.stringContaining('check-data') });
    await settle();
    expectProven();
  });

  test("as one of the recipe's checks fails", async () => {
    const check = path.join(folder, 'answers');
    writeFileSync(check, '');
    machine.settings.set('ghost', { checks: [check] });
    machine.programs.set(check, () => 1);
    await reattach();
    expect(await upgrade()).toMatchObject({ result: 'pass' });
    expect(await custom()).toMatchObject({ result: 'fail', reason: expect.stringContaining('answers') });
    await settle();
    expectProven();
  });
});

describe('no verdict, and nothing said of the head', () => {
  test('where the canonical does not run on its own data', async () => {
    publish([CANONICAL, 'red']);
    await sync();
    await expect(reattach()).rejects.toMatchObject({
      type: 'Canonical',
      nonRetryable: false,
      message: expect.stringMatching(/1\.0\.0\+1 does not run on its own data: 1\.0\.0\+1 is red/),
    });
    await settle();
    expectProven();
  });

  test('where it was proven on other images', async () => {
    const file = inCanonicals('canonical.json');
    const other = readFileSync(file, 'utf8').replace(/sha256:0{40}/, `sha256:${'7'.repeat(40)}`);
    writeFileSync(file, other);
    await expect(reattach()).rejects.toMatchObject({
      type: 'Canonical',
      message: expect.stringContaining('was proven on other images'),
    });
    await settle();
    expect(machine.rows(STACK)).toEqual(proven.rows);
  });

  test('where the canonical is another one by now: nothing is touched', async () => {
    const other = { ...input('reattach', CANONICAL), deploy: NEXT };
    await expect(step(RUN.workflow.id, (steps) => steps.quickReattach(other))).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('it is 1.0.0+1'),
    });
    expectProven();
  });

  test.each<[string, () => Promise<unknown>]>([
    ['the canonical', async () => undefined],
    ['the head', reattach],
  ])('where %s keeps data elsewhere, which nobody could put back', async (_who, before) => {
    await before();
    const deployed = machine.deployed.length;
    machine.elsewhere.set('ghost', ['share']);
    await expect(deployed === 1 ? reattach() : upgrade()).rejects.toMatchObject({
      type: 'BadInput',
      nonRetryable: true,
      message: expect.stringMatching(/elsewhere than on this host.*share; test it cold/),
    });
    expect(machine.deployed).toHaveLength(deployed);
    machine.elsewhere.clear();
    await settle();
    expectProven();
  });

  test('where somebody has put the data back meanwhile', async () => {
    await reattach();
    await settle();
    await expect(upgrade()).rejects.toMatchObject({ type: 'BadInput' });
    await expect(custom()).rejects.toMatchObject({ type: 'BadInput' });
    expectProven();
  });
});

test('the canonical runs as it was proven, and the head in what recipe.yml says of an upgrade', async () => {
  machine.settings.set('ghost', { env: { MODE: 'other' }, upgradeEnv: { MIGRATE: 'yes' } });
  await reattach();
  await upgrade();
  expect(machine.deployed.slice(1).map(({ env }) => env)).toEqual([{}, { MODE: 'other', MIGRATE: 'yes' }]);
});

test('a second attempt of the first step begins with the data of the snapshot', async () => {
  await reattach();
  await upgrade();
  await reattach();
  expect(migrated()).toBe(false);
});

describe('a worker that dies', () => {
  /** The boundaries that each step passes, told from a run that is let through. */
  const STEPS: Record<string, () => Promise<unknown>> = { reattach, upgrade, undeploy };

  async function passedBy(body: () => Promise<unknown>): Promise<Boundary[]> {
    const passed: Boundary[] = [];
    const hear = (message: unknown): void => void passed.push((message as Passed).boundary);
    subscribe(BOUNDARY_CHANNEL, hear);
    await body().finally(() => unsubscribe(BOUNDARY_CHANNEL, hear));
    return passed;
  }

  test.each(Object.keys(STEPS))(
    'at any boundary of %s leaves what the reaper puts back',
    async (name) => {
      const before = Object.entries(STEPS).slice(0, Object.keys(STEPS).indexOf(name));
      const prepare = async (): Promise<void> => {
        for (const [, done] of before) await done();
      };
      const body = STEPS[name];
      if (!body) throw new Error(name);
      await prepare();
      const boundaries = await passedBy(body);
      await settle();
      expect(boundaries.length).toBeGreaterThan(3);
      for (const [index] of boundaries.entries()) {
        await prepare();
        worker = { dead: false };
        let seen = 0;
        const die = (): void => {
          if (seen++ === index) worker.dead = true;
        };
        subscribe(BOUNDARY_CHANNEL, die);
        void body();
        await expect.poll(() => worker.dead, { interval: 1, timeout: 20_000 }).toBe(true);
        unsubscribe(BOUNDARY_CHANNEL, die);
        worker = { dead: false };
        await reap();
        expectProven();
      }
    },
    120_000,
  );
});

test('one quick run after the other, whatever each left', async () => {
  await whole();
  await whole(testRun('test-2'));
  expect(onDisk()).toEqual(proven.disk);
  await reap();
  expectProven();
});
