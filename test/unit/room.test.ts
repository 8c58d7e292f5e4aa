import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { planQuick, quickOrCold } from '../../domain/tiers.ts';
import { BOUNDARY_CHANNEL, type Passed } from '../../host/machine/boundary.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createReports } from '../../host/store/reports.ts';
import { createServices } from '../../host/store/services.ts';
import { createMachine, SWEEP, ZONE, type Machine } from './fake-machine.ts';

/** A sweep that opens where room is short: whose data goes, how that is told, and what it means for what comes next. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const { prerequisites } = vi.hoisted(() => ({ prerequisites: { short: false } }));

/** Whatever else a sweep needs of its host is there. */
vi.mock('../../host/prerequisites.ts', () => ({
  isRoom: ({ name }: { name: string }) => name === 'room',
  checkPrerequisites: async () => [
    { name: 'room', ok: !prerequisites.short, found: 'little', how: 'free some' },
  ],
}));

const RECIPES = ['gitea', 'ghost', 'immich'];
const RELEASE = { version: '1.0.0+1', commit: '0'.repeat(40) };
const NEXT = { version: '1.1.0+1', commit: '1'.repeat(40) };
const holder = { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'sweep' };
/** What each canonical's volumes are said to take; snapshots are as large as they are. */
const VOLUMES = { gitea: 20_000, ghost: 30_000, immich: 100_000 };
const HEADROOM = 50_000;

let folder: string;
let machine: Machine;
let worker: { dead: boolean };
/** What is free on the one disk while every canonical has its data. */
let free: number;

function step<T>(body: (activities: Activities) => Promise<T>, number = 1): Promise<T> {
  machine.open.clear();
  machine.open.add(SWEEP.id);
  return machine.attempt(worker, number, body);
}

const canonicals = () => createCanonicals({ state: machine.state, zone: ZONE });
const open = (recipes = RECIPES, number = 1) =>
  step(({ openSweep }) => openSweep({ recipes, holder }), number);
const resolve = (recipe: string) => step((steps) => steps.resolve({ recipe }));
const alerts = async () => (await createAlerts(machine.state).open()).alerts;
/** Those without data. */
async function dropped(): Promise<string[]> {
  const records = await Promise.all(RECIPES.map((recipe) => canonicals().read(recipe)));
  return records.flatMap((record) => (record?.snapshot === null ? [record.recipe] : []));
}

async function promote(recipe: string, release = RELEASE) {
  const run = {
    recipe,
    asked: { by: 'sweep', ...SWEEP },
    workflow: { id: `${SWEEP.id}/${recipe}`, runId: release.commit },
  } as const;
  const tested = { app: { image: release.commit, digest: `sha256:${release.commit}` } };
  await step((steps) => steps.mirrorSync({ recipe, run }));
  const said = await step((steps) => steps.promote({ run, release, tested, dependencies: [] }));
  await step((steps) => steps.settle({ run }));
  return said;
}

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'room-'));
  machine = createMachine(folder, RECIPES);
  worker = { dead: false };
  prerequisites.short = false;
  machine.config.limits.headroom = HEADROOM;
  for (const recipe of RECIPES) {
    machine.upstreams.set(recipe, [{ ...RELEASE, quality: 'good' }]);
    machine.bytes = VOLUMES[recipe as keyof typeof VOLUMES];
    await promote(recipe);
  }
  free = 1_000_000;
  machine.disks = () => {
    const gone = RECIPES.filter((recipe) => machine.volumesOf(`warm-${recipe}_model_test`).length === 0);
    const freed = gone.reduce((sum, recipe) => sum + VOLUMES[recipe as keyof typeof VOLUMES], 0);
    return [{ places: ['engine', 'state'], folder: machine.state, size: 2_000_000, free: free + freed }];
  };
});

afterEach(() => rmSync(folder, { recursive: true }));

test('a promotion says what its canonical takes, and so does what a run of it takes', async () => {
  expect(await canonicals().read('immich')).toMatchObject({ disk: { volumes: 100_000, images: 1_000 } });
  expect((await resolve('immich')).disk).toEqual({ engine: 101_000, state: 100_000, together: 201_000 });
  machine.settings.set('immich', { deps: ['gitea'] });
  expect((await resolve('immich')).disk).toMatchObject({ engine: 121_000 });
});

test('what is held takes nothing of a sweep', async () => {
  free = 240_000;
  machine.settings.set('immich', { hold: 'until it is mended' });
  expect((await open()).problems).toEqual([]);
});

test('where there is room nothing goes, and the report says what there is', async () => {
  expect((await open()).problems).toEqual([]);
  expect(await dropped()).toEqual([]);
  expect(await alerts()).toEqual([]);
  await close();
  expect((await createReports(machine.state).read(SWEEP.id))?.disk).toEqual({
    headroom: HEADROOM,
    disks: [{ places: ['engine', 'state'], folder: machine.state, size: 2_000_000, free }],
    next: {
      engine: 101_000,
      state: 100_000,
      together: 201_000,
      largest: 'immich',
      unknown: [],
      withoutImages: [],
    },
    dropped: [],
  });
});

const close = () =>
  step((steps) =>
    steps.closeSweep({
      holder,
      recipes: RECIPES,
      outcomes: {},
      unreached: [],
      startedMs: Date.now(),
      note: null,
      problems: [],
    }),
  );

describe('where room is short', () => {
  test('one loses its data, the largest; record, report and an alert say so', async () => {
    free = 240_000;
    const { problems } = await open();
    const why = expect.stringMatching(
      /^240\.0 kB free of 2\.0 MB at .*, 251\.0 kB wanted for a sweep; immich takes most at once, about 201\.0 kB/,
    );
    expect(problems).toEqual([
      expect.stringMatching(/^the data of immich 1\.0\.0\+1 was dropped for want of room: 240\.0 kB free/),
    ]);
    expect(await dropped()).toEqual(['immich']);
    expect(await canonicals().read('immich')).toMatchObject({
      ...RELEASE,
      dropped: expect.any(String),
      droppedBy: { run: SWEEP.id, why },
      disk: { volumes: 100_000, images: 1_000 },
    });
    expect(await alerts()).toMatchObject([
      { kind: 'disk-short', subject: { is: 'host', name: 'model' }, message: problems[0], run: SWEEP.id },
    ]);
    await close();
    expect((await createReports(machine.state).read(SWEEP.id))?.disk?.dropped).toEqual([
      { recipe: 'immich', version: RELEASE.version, why },
    ]);
  });

  test('and with the data the quick lane goes, until the next release is promoted afresh', async () => {
    free = 240_000;
    await open();
    const { canonical, dataDropped } = await resolve('immich');
    const head = { version: '2.0.0+1', commit: '2'.repeat(40) };
    expect(quickOrCold({ head, canonical, dataDropped })).toEqual({
      mode: 'cold',
      why: expect.stringMatching(/^the data of the canonical 1\.0\.0\+1 was dropped on \d{4}-\d\d-\d\d$/),
    });
    // As it is of whoever kept theirs.
    const other = await resolve('ghost');
    expect(quickOrCold({ head, ...other })).toMatchObject({ mode: 'quick' });
    expect(planQuick({ head, canonical: RELEASE }).base).toEqual(RELEASE);
    machine.upstreams.set(
      'immich',
      [RELEASE, NEXT].map((one) => ({ ...one, quality: 'good' as const })),
    );
    expect(await promote('immich', NEXT)).toMatchObject({
      promoted: true,
      note: expect.stringContaining('fresh install'),
    });
    expect(await canonicals().read('immich')).toMatchObject({ ...NEXT, dropped: null, droppedBy: null });
    expect((await resolve('immich')).dataDropped).toBeNull();
    await close();
    expect((await createReports(machine.state).read(SWEEP.id))?.disk?.dropped).toMatchObject([
      { recipe: 'immich', version: RELEASE.version },
    ]);
  });

  test('of as many as are needed, and no more', async () => {
    free = 125_000;
    await open();
    expect(await dropped()).toEqual(['ghost', 'immich']);
  });

  test('first that of a recipe which no sweep has any more', async () => {
    free = 245_000;
    machine.settings.set('gitea', { exception: 'retired' });
    await open(['ghost', 'immich']);
    expect(await dropped()).toEqual(['gitea']);
  });

  test('never that of a live service, whatever it takes', async () => {
    free = 0;
    machine.settings.set('immich', { live: true, exception: 'live' });
    await createServices({ state: machine.state, zone: ZONE }).commit({
      schema: 1,
      service: 'ghost',
      version: '1.0.0+1',
      commit: 'c'.repeat(40),
      ts: new Date().toISOString(),
      run: 'reconcile/ghost',
      domain: `warm-ghost.${ZONE}`,
      env: {},
      images: {},
      volumes: [],
    });
    // With the data of both there would be enough.
    expect((await open(['gitea'])).problems).toEqual([expect.stringContaining('room is short')]);
    expect(await dropped()).toEqual([]);
  });

  test('none where all of it would not do: the sweep goes on and says so', async () => {
    free = 60_000;
    machine.settings.set('gitea', { live: true });
    machine.settings.set('ghost', { live: true });
    const { problems, recipes } = await open(['immich']);
    expect(recipes).toEqual(['immich']);
    expect(problems).toEqual([
      expect.stringMatching(/^room is short: 60\.0 kB free .*together would not make enough$/),
    ]);
    expect(await dropped()).toEqual([]);
    expect(await alerts()).toMatchObject([{ kind: 'disk-short', message: problems[0] }]);
  });

  test('the headroom alone where the estimate cannot be reached, and not one more for that', async () => {
    free = 30_000;
    const { problems } = await open();
    expect(await dropped()).toEqual(['immich']);
    expect(problems).toEqual([
      expect.stringContaining('the data of immich 1.0.0+1 was dropped'),
      expect.stringMatching(/^room is short: 130\.0 kB free .*together would not make enough$/),
    ]);
  });

  test('a host that stays without headroom is refused, and the alert stands', async () => {
    free = 0;
    prerequisites.short = true;
    for (const recipe of RECIPES) machine.settings.set(recipe, { live: true });
    await expect(open()).rejects.toMatchObject({ type: 'Preflight' });
    expect(await dropped()).toEqual([]);
    expect((await alerts()).map(({ kind }) => kind)).toEqual(['disk-short']);
  });

  test('what cannot be read keeps its data, and nothing is known of it', async () => {
    free = 240_000;
    const file = path.join(machine.state, 'canonicals', 'immich', 'canonical.json');
    writeFileSync(file, '{');
    await open().catch(() => undefined);
    expect(machine.volumesOf('warm-immich_model_test')).not.toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe('{');
  });

  test('is over for the alert once a sweep opens with room enough', async () => {
    free = 240_000;
    await open();
    expect(await alerts()).toHaveLength(1);
    machine.open.clear();
    machine.open.add('later');
    const later = { workflowId: 'later', runId: 'l', what: 'sweep' };
    const opened = await machine.attempt(worker, 1, (steps) =>
      steps.openSweep({ recipes: RECIPES, holder: later }),
    );
    expect(opened.problems).toEqual([]);
    expect(await alerts()).toEqual([]);
    // And the record says it still.
    expect(await dropped()).toEqual(['immich']);
  });

  test('images that nobody needs go before any data', async () => {
    free = 240_000;
    const stopping = machine.disks;
    let isShort: (() => Promise<boolean>) | undefined;
    machine.disks = () => {
      isShort = machine.imagesKept.at(-1)?.isShort;
      // Since the images went there is room.
      return stopping().map((disk) => ({ ...disk, free: disk.free + (isShort ? 50_000 : 0) }));
    };
    expect((await open()).problems).toEqual([]);
    expect(await dropped()).toEqual([]);
    machine.disks = stopping;
    expect(await isShort?.()).toBe(true);
    free = 1_000_000;
    expect(await isShort?.()).toBe(false);
  });

  test('a worker that dies over it is followed by one that finishes, and says all that went', async () => {
    free = 125_000;
    let seen = 0;
    const die = (message: unknown): void => {
      // The first is dropped, the second half.
      if ((message as Passed).boundary === 'drop.after-record' && ++seen === 2) worker.dead = true;
    };
    subscribe(BOUNDARY_CHANNEL, die);
    void open();
    await expect.poll(() => worker.dead, { interval: 1, timeout: 20_000 }).toBe(true);
    unsubscribe(BOUNDARY_CHANNEL, die);
    worker = { dead: false };
    const { problems } = await open(RECIPES, 2);
    expect(await dropped()).toEqual(['ghost', 'immich']);
    expect(problems).toEqual([
      expect.stringContaining('the data of ghost 1.0.0+1 was dropped'),
      expect.stringContaining('the data of immich 1.0.0+1 was dropped'),
    ]);
    for (const recipe of ['ghost', 'immich']) {
      expect(existsSync(path.join(machine.state, 'canonicals', recipe, 'attached.json'))).toBe(false);
      expect(machine.volumesOf(`warm-${recipe}_model_test`)).toEqual([]);
    }
  });
});
