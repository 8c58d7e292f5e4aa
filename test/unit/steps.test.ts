import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { RunRef } from '../../domain/run.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { BOUNDARY_CHANNEL, type Passed } from '../../host/machine/boundary.ts';
import { createMachine, type Machine, runOfSweep, SWEEP } from './fake-machine.ts';
import { disk } from './mortal-fs.ts';

/** Single steps in situations that a sweep comes into only after something went wrong. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const COMMIT = '0'.repeat(40);
const IMAGES = { app: { image: COMMIT, digest: `sha256:${COMMIT}` } };
const RELEASE = { version: '1.0.0+1', commit: COMMIT };
const RUN = runOfSweep('ghost');
const STACK = 'warm-ghost_model_test';

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'steps-'));
  machine = createMachine(folder, ['ghost', 'blog']);
  machine.open.add('sweep');
  machine.upstreams.set('ghost', [{ ...RELEASE, quality: 'good' }]);
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
});

afterEach(() => rmSync(folder, { recursive: true }));

const promote = () =>
  step((steps) => steps.promote({ run: RUN, release: RELEASE, tested: IMAGES, dependencies: [] }));

describe('a run that is gone without a word', () => {
  const lost = (sinceMs: number) =>
    step(({ recordFor }) =>
      recordFor({
        sweep: SWEEP,
        recipes: ['ghost'],
        outcome: { kind: 'ERROR', cause: 'infrastructure', why: 'terminated' },
        sinceMs,
        atMs: Date.now(),
      }),
    );

  test('had no verdict', async () => {
    expect(await lost(0)).toMatchObject([{ outcome: { kind: 'ERROR' }, given: true }]);
  });

  test('is PASS when its promotion is on disk', async () => {
    await promote();
    const given = [{ outcome: { kind: 'PASS', promoted: '1.0.0+1' }, given: true, leftovers: null }];
    expect(await lost(0)).toEqual(given);
    // As an attempt does that comes after one of which nobody heard: what it gave is no word of the run's.
    expect(await lost(0)).toEqual(given);
    const file = path.join(machine.state, 'runs', 'sweep', 'ghost', 'result.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ outcome: { kind: 'PASS' } });
  });

  test('does not count what a run of the same name promoted before', async () => {
    await promote();
    expect(await lost(Date.now() + 1)).toMatchObject([{ outcome: { kind: 'ERROR' } }]);
  });

  test('has no verdict when the record cannot be read', async () => {
    await promote();
    writeFileSync(path.join(machine.state, 'canonicals', 'ghost', 'canonical.json'), '{');
    expect(await lost(0)).toMatchObject([{ outcome: { kind: 'ERROR' } }]);
  });
});

describe("a release's tag that moved, and an operator who accepts it", () => {
  const OTHER = '1'.repeat(40);
  const asked = { recipe: 'ghost', tag: RELEASE.version, by: 'ada@ci', reason: 'the notes\u202e', atMs: 0 };
  const accept = () => step(({ acceptTag }) => acceptTag(asked));
  const move = () => machine.upstreams.set('ghost', [{ ...RELEASE, commit: OTHER, quality: 'good' }]);
  const sync = () => step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
  const record = (): unknown =>
    JSON.parse(readFileSync(path.join(machine.state, 'canonicals', 'ghost', 'canonical.json'), 'utf8'));

  test('the next sync goes on, and the canonical stays what it was proven to be', async () => {
    await promote();
    const before = record();
    move();
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
    const alerts = createAlerts(machine.state);
    const [alert] = (await alerts.open()).alerts;
    expect(alert).toMatchObject({ kind: 'tag-moved', subject: { is: 'recipe', name: 'ghost' } });
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
    expect((await alerts.open()).alerts).toMatchObject([{ since: alert?.since }]);
    const said = await accept();
    for (const part of [COMMIT, OTHER, 'recipe-sweep canonical forget ghost']) expect(said).toContain(part);
    const { releases } = await sync();
    expect((await alerts.open()).alerts).toEqual([]);
    expect(releases).toEqual([{ version: RELEASE.version, commit: OTHER }]);
    expect(record()).toEqual(before);
    const { canonical } = await step(({ resolve }) => resolve({ recipe: 'ghost' }));
    expect(canonical).toEqual(RELEASE);
  });

  test('the next sync goes on also where the alert cannot be put away', async () => {
    move();
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
    await accept();
    writeFileSync(path.join(machine.state, 'alerts', 'ended'), 'a file where a folder should be');
    await sync();
    expect((await createAlerts(machine.state).open()).alerts).toHaveLength(1);
  });

  test('says nothing of a canonical where there is none, and keeps the reason as it can be shown', async () => {
    move();
    expect(await accept()).not.toContain('canonical');
    const lines = readFileSync(path.join(machine.state, 'ledger', 'ghost.jsonl'), 'utf8').trimEnd();
    expect(JSON.parse(lines.split('\n').at(-1) ?? '')).toEqual({
      schema: 2,
      tag: RELEASE.version,
      from: COMMIT,
      commit: OTHER,
      ts: '1970-01-01T00:00:00.000Z',
      accepted: { by: 'ada@ci', reason: 'the notes\\u{202e}' },
    });
  });

  test('a run that tested it where it was before does not promote it', async () => {
    move();
    await accept();
    expect(await promote()).toMatchObject({
      promoted: false,
      why: `the ledger has ${RELEASE.version} at ${OTHER}, tested was ${COMMIT}`,
    });
  });

  test('is refused for a recipe that is not enrolled, unless one that is needs it', async () => {
    move();
    machine.settings.set('ghost', { exception: 'a service' });
    await expect(accept()).rejects.toMatchObject({
      type: 'BadInput',
      message: 'ghost is not enrolled, it is an exception: a service',
    });
    await expect(step(({ acceptTag }) => acceptTag({ ...asked, recipe: 'ghostly' }))).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('ghostly is not enrolled: it has no folder in'),
    });
    machine.settings.set('blog', { deps: ['ghost'] });
    expect(await accept()).toContain(OTHER);
  });
});

describe('the host is held', () => {
  const reaper = { workflowId: 'reap', runId: 'run of reap', what: 'reap' };
  const claimBy = (holder: typeof reaper) => step(({ reap }) => reap({ holder }));

  test('by the reaper: a sweep that comes waits for it', async () => {
    machine.open.add('reap');
    await claimBy(reaper);
    let ended = false;
    const teardown = step((steps) => steps.teardown({ run: RUN })).then(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(ended).toBe(false);
    await step(({ giveBackHost }) => giveBackHost({ holder: reaper }));
    expect(await teardown).toBe(true);
  });

  test('by a sweep: the reaper does not wait', async () => {
    await step((steps) => steps.teardown({ run: RUN }));
    machine.open.add('reap');
    await expect(claimBy(reaper)).rejects.toMatchObject({ type: 'HostBusy' });
  });
});

test('a warm app that runs although nobody said so has its data put back', async () => {
  await promote();
  const snapshot = machine.rows(STACK);
  const stack = machine.stacks.get(STACK);
  if (stack) stack.running = true;
  writeFileSync(path.join(machine.volume(`${STACK}_data`), 'migrated'), 'by somebody');
  await step(({ settle }) => settle({ run: RUN }));
  expect(machine.rows(STACK)).toEqual(snapshot);
  expect(machine.stacks.get(STACK)?.running).toBe(false);
});

test('an upgrade of nothing is no upgrade: a run that was reset past its install has no verdict', async () => {
  const upgrade = { run: RUN, step: 'cold-test: upgrade', deploy: RELEASE, dependencies: [], upgraded: true };
  await expect(step(({ coldUpgrade }) => coldUpgrade(upgrade))).rejects.toMatchObject({
    type: 'BadInput',
    message: expect.stringContaining('nothing to upgrade'),
  });
});

test('lint says what it finds, and keeps it with the evidence', async () => {
  const asked = { run: RUN, step: 'cold-test: lint', deploy: RELEASE, dependencies: [], upgraded: false };
  const { problems } = await step(({ lint }) => lint(asked));
  expect(problems.map(({ rule }) => rule)).toContain('env-sample-missing');
  const file = path.join(machine.state, 'runs', 'sweep', 'ghost', 'cold-test-lint', 'lint.txt');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  expect(lines).toContain('.env.sample: the recipe has none (env-sample-missing)');
  expect(lines).toHaveLength(problems.length);
});

test('a step that finds the disk full says so, is tried again, and leaves no half of a lock', async () => {
  disk.full = true;
  try {
    await expect(step((steps) => steps.teardown({ run: RUN }))).rejects.toMatchObject({
      type: 'Disk',
      nonRetryable: false,
    });
  } finally {
    disk.full = false;
  }
  expect(readdirSync(path.join(machine.state, 'lock'))).toEqual([]);
});

test('a stack of unknown lifetime is left alone by the reaper, and told of', async () => {
  const stack = { stack: 'old-thing_model_test', recipe: 'thing', lifetime: null, running: true } as const;
  machine.stacks.set(stack.stack, { ...stack, secrets: new Set() });
  const holder = { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'sweep' };
  const left = await step((steps) => steps.reap({ holder }));
  expect(left).toEqual([
    { kind: 'not-reaped', recipe: 'thing', what: expect.stringContaining('old-thing_model_test was left') },
  ]);
  expect(machine.stacks.get(stack.stack)).toMatchObject({ running: true });
});

describe('a live service', () => {
  const live = { stack: STACK, recipe: 'ghost', lifetime: 'live', running: true } as const;
  const secrets = (): Set<string> => new Set([`${STACK}_password_v1`]);

  beforeEach(() => {
    machine.stacks.set(STACK, { ...live, secrets: secrets() });
    mkdirSync(machine.volume(`${STACK}_data`), { recursive: true });
    writeFileSync(path.join(machine.volume(`${STACK}_data`), 'users'), '');
  });
  afterEach(() => {
    expect(machine.stacks.get(STACK)).toEqual({ ...live, secrets: secrets() });
    expect(machine.rows(STACK)).toEqual(new Map([[`${STACK}_data`, ['users']]]));
  });

  test('is left alone by the reaper, and is no worry', async () => {
    const holder = { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'sweep' };
    expect(await step((steps) => steps.reap({ holder }))).toEqual([]);
  });

  test.each<[string, (steps: Activities) => Promise<unknown>]>([
    ['promote', (steps) => steps.promote({ run: RUN, release: RELEASE, tested: IMAGES, dependencies: [] })],
    ['settle', (steps) => steps.settle({ run: RUN })],
  ])('at the warm domain of a recipe is touched by no %s', async (_what, body) => {
    await expect(step(body)).rejects.toMatchObject({
      type: 'NotOurs',
      message: expect.stringContaining('is a live service'),
    });
  });
});

test('a stack of another installation at the warm domain is touched by nothing', async () => {
  const theirs = { stack: STACK, recipe: 'ghost', lifetime: 'warm', running: true, zone: 'other' } as const;
  machine.stacks.set(STACK, { ...theirs, secrets: new Set() });
  await expect(promote()).rejects.toMatchObject({ type: 'NotOurs' });
  const holder = { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'sweep' };
  expect(await step((steps) => steps.reap({ holder }))).toEqual([]);
  expect(machine.stacks.get(STACK)).toEqual({ ...theirs, secrets: new Set() });
});

describe('nothing proven is lost:', () => {
  const NEXT = { version: '1.1.0+1', commit: '1'.repeat(40) };
  const NEXT_IMAGES = { app: { image: NEXT.commit, digest: `sha256:${NEXT.commit}` } };
  const NEXT_RUN: RunRef = { ...RUN, workflow: { id: 'sweep/ghost', runId: 'fedcba' } };
  const OPERATOR = { workflowId: 'by-hand', runId: 'run of by-hand', what: 'canonical forget' };
  const canonicalFile = (name: string): string => path.join(machine.state, 'canonicals', 'ghost', name);
  const snapshots = (): string[] => readdirSync(canonicalFile('snapshots'));
  const settle = () => step((steps) => steps.settle({ run: NEXT_RUN }));
  const reap = () =>
    step((steps) => steps.reap({ holder: { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'sweep' } }));

  async function publishNext(): Promise<void> {
    machine.upstreams.set('ghost', [
      { ...RELEASE, quality: 'good' },
      { ...NEXT, quality: 'good' },
    ]);
    await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
  }
  const found = (change: 'forget' | 'rebuild') =>
    step((steps) => steps.canonicalToChange({ recipe: 'ghost', change, holder: OPERATOR }));
  const rebuild = () => step((steps) => steps.rebuildCanonical({ recipe: 'ghost', holder: OPERATOR }));
  const forget = ({ domain }: { domain: string | null }) =>
    step((steps) => steps.forgetCanonical({ recipe: 'ghost', holder: OPERATOR, domain }));
  const promoteNext = () =>
    step((steps) => steps.promote({ run: NEXT_RUN, release: NEXT, tested: NEXT_IMAGES, dependencies: [] }));

  /** What a canonical is, down to its rows. */
  const proven = () => ({
    rows: machine.rows(STACK),
    snapshots: snapshots(),
    secrets: [...(machine.stacks.get(STACK)?.secrets ?? [])],
  });

  test('a lost record stops everything, removes nothing, and is written anew from the history', async () => {
    await promote();
    await publishNext();
    const before = proven();
    const text = readFileSync(canonicalFile('canonical.json'), 'utf8');
    rmSync(canonicalFile('canonical.json'));
    const unreadable = { type: 'RecordUnreadable', nonRetryable: true };
    await expect(step((steps) => steps.resolve({ recipe: 'ghost' }))).rejects.toMatchObject(unreadable);
    await expect(promoteNext()).rejects.toMatchObject(unreadable);
    await expect(settle()).rejects.toMatchObject(unreadable);
    await reap();
    expect(proven()).toEqual(before);

    machine.open.delete('sweep');
    machine.open.add('by-hand');
    await found('rebuild');
    const said = await rebuild();
    expect(said).toContain('the canonical of ghost is 1.0.0+1');
    // As an attempt does that comes after one of which nobody heard.
    expect(await rebuild()).toBe(said);
    expect(JSON.parse(readFileSync(canonicalFile('canonical.json'), 'utf8'))).toEqual(JSON.parse(text));
    expect(proven()).toEqual(before);
    await expect(found('rebuild')).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('can be read'),
    });
  });

  test.each(['settle.after-prune', 'settle.after-clear'])(
    'and no snapshot but its own is kept, also when a promotion dies at %s',
    async (boundary) => {
      await promote();
      await publishNext();
      const worker = { dead: false };
      let isRecorded = false;
      const die = (message: unknown): void => {
        const passed = (message as Passed).boundary;
        isRecorded ||= passed === 'promote.after-record';
        if (isRecorded && passed === boundary) worker.dead = true;
      };
      subscribe(BOUNDARY_CHANNEL, die);
      const input = { run: NEXT_RUN, release: NEXT, tested: NEXT_IMAGES, dependencies: [] };
      void machine.attempt(worker, 1, (steps) => steps.promote(input));
      await expect.poll(() => worker.dead).toBe(true);
      unsubscribe(BOUNDARY_CHANNEL, die);
      await reap();
      const { version, snapshot } = JSON.parse(readFileSync(canonicalFile('canonical.json'), 'utf8')) as {
        version: string;
        snapshot: { id: string };
      };
      expect(version).toBe(NEXT.version);
      expect(snapshots()).toEqual([snapshot.id]);
    },
  );

  test('a lost record does not stop a recipe that needs this one beside it', async () => {
    await promote();
    await publishNext();
    rmSync(canonicalFile('canonical.json'));
    const run: RunRef = {
      recipe: 'gitea',
      asked: { by: 'sweep', ...SWEEP },
      workflow: { id: 'sweep/gitea', runId: 'fedcba' },
    };
    const provided = await step((steps) => steps.provide({ run, recipe: 'ghost', dependencies: [] }));
    expect(provided).toMatchObject({ recipe: 'ghost', version: RELEASE.version });
  });

  test('a lost record is not written anew without its snapshot', async () => {
    await promote();
    rmSync(canonicalFile('canonical.json'));
    rmSync(canonicalFile('snapshots'), { recursive: true });
    machine.open.delete('sweep');
    machine.open.add('by-hand');
    await found('rebuild');
    await expect(rebuild()).rejects.toMatchObject({ type: 'RecordUnreadable' });
  });

  test('only an operator gives a canonical up, and then nothing of it is left but its history', async () => {
    await promote();
    rmSync(canonicalFile('canonical.json'));
    machine.open.delete('sweep');
    machine.open.add('by-hand');
    const canonical = await found('forget');
    const said = await forget(canonical);
    expect(said).toContain('ghost has no canonical any more');
    expect(machine.rows(STACK)).toEqual(new Map());
    expect(readdirSync(canonicalFile('.'))).toEqual([
      expect.stringMatching(/^history-.*jsonl$/),
      'snapshots',
    ]);
    expect(snapshots()).toEqual([]);
    // As an attempt does that comes after one of which nobody heard.
    expect(await forget(canonical)).toBe(said);
    for (const change of ['forget', 'rebuild'] as const)
      await expect(found(change)).rejects.toMatchObject({ type: 'BadInput' });
    machine.open.delete('by-hand');
    machine.open.add('sweep');
    expect(await promote()).toEqual({ promoted: true });
  });

  test('given up in another zone, it says what of it is left, and where', async () => {
    await promote();
    const record = JSON.parse(readFileSync(canonicalFile('canonical.json'), 'utf8')) as object;
    writeFileSync(
      canonicalFile('canonical.json'),
      JSON.stringify({ ...record, domain: 'warm-ghost.before.test' }),
    );
    machine.open.delete('sweep');
    machine.open.add('by-hand');
    const canonical = await found('forget');
    const said = await forget(canonical);
    expect(said).toMatch(
      /Its volumes and secrets at warm-ghost.before.test are of another zone, and stay: docker volume ls --filter label=com.docker.stack.namespace=warm-ghost_before_test;/,
    );
    expect(said).not.toContain('are gone');
    expect(await forget(canonical)).toBe(said);
  });

  test('lost secrets are named, and their data is left as it is', async () => {
    await promote();
    await publishNext();
    machine.stacks.get(STACK)?.secrets.clear();
    const before = proven();
    const lost = {
      type: 'SecretsLost',
      nonRetryable: true,
      message: expect.stringMatching(/warm-ghost_model_test_password_v1.*canonical forget ghost/),
    };
    await expect(promoteNext()).rejects.toMatchObject(lost);
    await expect(settle()).rejects.toMatchObject(lost);
    // Each reaper names them, also of a canonical that nobody wants to promote.
    const told = [{ kind: 'canonical-unreadable', recipe: 'ghost', what: lost.message }];
    expect(await reap()).toEqual(told);
    rmSync(canonicalFile('attached.json'), { force: true });
    expect(await reap()).toEqual(told);
    writeFileSync(canonicalFile('attached.json'), '{}');
    expect(await reap()).toEqual(told);
    expect(proven()).toEqual(before);
  });

  test('an old record under another zone is told from one whose secrets are lost', async () => {
    await promote();
    const record = JSON.parse(readFileSync(canonicalFile('canonical.json'), 'utf8')) as {
      snapshot: { id: string; sha256: string };
    };
    const file = path.join(canonicalFile('snapshots'), record.snapshot.id, 'manifest.json');
    const manifest = readFileSync(file, 'utf8').replaceAll('model_test', 'before_test');
    writeFileSync(file, manifest);
    record.snapshot.sha256 = createHash('sha256').update(manifest).digest('hex');
    const {
      domain: _domain,
      env: _env,
      dropped: _dropped,
      droppedBy: _droppedBy,
      disk: _disk,
      ...old
    } = { domain: '', env: {}, dropped: null, droppedBy: null, disk: null, ...record, schema: 1 };
    writeFileSync(canonicalFile('canonical.json'), JSON.stringify(old));
    await expect(settle()).rejects.toMatchObject({
      type: 'RecordUnreadable',
      message: expect.stringMatching(/has warm-ghost_before_test.*set "zone" back/),
    });
    expect(await reap()).toMatchObject([{ what: expect.stringContaining('set "zone" back') }]);
  });

  test('a volume kept elsewhere is no part of a canonical: refused before its data is touched', async () => {
    await promote();
    await publishNext();
    const before = proven();
    machine.elsewhere.set('ghost', ['media']);
    expect(await promoteNext()).toMatchObject({ promoted: false, why: expect.stringContaining('media') });
    expect(proven()).toEqual(before);
    expect(machine.deployed.filter(({ stack }) => stack === STACK)).toHaveLength(1);
  });

  test('the first is a deployment, the next an upgrade of what is only started again', async () => {
    await promote();
    await publishNext();
    await promoteNext();
    expect(
      machine.deployed.map(({ version, occasion, proof }) => `${version} ${occasion}: ${proof}`),
    ).toEqual(['1.0.0+1 deploy: lasts', '1.0.0+1 restart: lasts', '1.1.0+1 upgrade: lasts']);
  });

  test('a canonical is attached again in the environment that it was proven in', async () => {
    machine.settings.set('ghost', { env: { LANG: 'de' }, upgradeEnv: { MIGRATE: 'no' } });
    await promote();
    machine.settings.set('ghost', { env: { LANG: 'fr' }, upgradeEnv: { MIGRATE: 'yes' } });
    await publishNext();
    await promoteNext();
    const last = { version: '1.2.0+1', commit: '2'.repeat(40) };
    machine.upstreams.get('ghost')?.push({ ...last, quality: 'good' });
    await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
    machine.settings.set('ghost', { env: { LANG: 'it' } });
    const run = { ...RUN, workflow: { id: 'sweep/ghost', runId: 'aabbcc' } };
    const tested = { app: { image: last.commit, digest: `sha256:${last.commit}` } };
    await step((steps) => steps.promote({ run, release: last, tested, dependencies: [] }));
    expect(machine.deployed.map(({ version, env }) => [version, env])).toEqual([
      ['1.0.0+1', { LANG: 'de' }],
      ['1.0.0+1', { LANG: 'de' }],
      ['1.1.0+1', { LANG: 'fr', MIGRATE: 'yes' }],
      ['1.1.0+1', { LANG: 'fr', MIGRATE: 'yes' }],
      ['1.2.0+1', { LANG: 'it' }],
    ]);
  });

  test.each([
    [{ exception: 'a live service' }, 'the recipe is an exception: a live service'],
    [{ hold: 'on holiday' }, 'the recipe is held: on holiday'],
  ])('a release is not promoted once its folder says %j', async (settings, why) => {
    machine.settings.set('ghost', settings);
    expect(await promote()).toMatchObject({ promoted: false, why });
    expect(machine.deployed).toEqual([]);
    expect(machine.rows(STACK)).toEqual(new Map());
  });

  test('nor when that was written while it was being promoted', async () => {
    const hold = (message: unknown): void => {
      const { boundary } = message as Passed;
      if (boundary === 'promote.after-snapshot') machine.settings.set('ghost', { hold: 'on holiday' });
    };
    subscribe(BOUNDARY_CHANNEL, hold);
    try {
      expect(await promote()).toMatchObject({ promoted: false, why: 'the recipe is held: on holiday' });
    } finally {
      unsubscribe(BOUNDARY_CHANNEL, hold);
    }
    expect(existsSync(canonicalFile('canonical.json'))).toBe(false);
  });

  test('a release is not promoted without a service that was tested', async () => {
    const tested = { ...IMAGES, worker: { image: 'worker:1', digest: 'sha256:1' } };
    const input = { run: RUN, release: RELEASE, tested, dependencies: [] };
    expect(await step((steps) => steps.promote(input))).toMatchObject({
      promoted: false,
      why: 'what was tested is not what was installed: not the same images: worker (worker:1)',
    });
  });

  test('nor on an image whose tag moved since it was tested', async () => {
    const tested = { app: { image: 'ghost:6', digest: `sha256:${'7'.repeat(64)}` } };
    expect(
      await step((steps) => steps.promote({ run: RUN, release: RELEASE, tested, dependencies: [] })),
    ).toMatchObject({
      promoted: false,
      why: expect.stringMatching(/^what was tested is not what was installed: not the same images: app /),
    });
    expect(existsSync(canonicalFile('canonical.json'))).toBe(false);
  });

  test('nor over a canonical that runs on other images than it was proven on', async () => {
    await promote();
    await publishNext();
    const record = JSON.parse(readFileSync(canonicalFile('canonical.json'), 'utf8')) as object;
    const images = { app: { image: 'ghost:6', digest: `sha256:${'7'.repeat(64)}` } };
    writeFileSync(canonicalFile('canonical.json'), JSON.stringify({ ...record, images }));
    const before = snapshots();
    expect(await promoteNext()).toMatchObject({
      promoted: false,
      why: expect.stringMatching(/^the canonical 1\.0\.0\+1 was proven on other images: /),
    });
    expect(await settle()).toMatchObject({ version: RELEASE.version });
    expect(snapshots()).toEqual(before);
  });

  test('a recipe that is an exception is not even tested, whoever starts its run', async () => {
    machine.settings.set('ghost', { exception: 'a live service' });
    await expect(step((steps) => steps.resolve({ recipe: 'ghost' }))).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('not enrolled, it is an exception: a live service'),
    });
  });

  test('a snapshot that would not fit is not begun', async () => {
    machine.bytes = 1e18;
    expect(await promote()).toMatchObject({
      promoted: false,
      why: expect.stringContaining('less than the headroom'),
    });
    expect(snapshots()).toEqual([]);
  });
});
