import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { RunEnd } from '../../activities/record.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { UNTESTED } from '../../domain/report.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createReports } from '../../host/store/reports.ts';
import { createResults } from '../../host/store/results.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { createTimes } from '../../host/store/times.ts';
import { faultOf, reasonOf } from '../../workflows/input.ts';
import { createMachine, type Machine, runOfSweep, SWEEP } from './fake-machine.ts';

/** How runs and sweeps end when something went wrong: what they say is true, and nothing keeps them from it. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

/** Nothing of a sweep's opening is asked of this machine. */
vi.mock('../../host/prerequisites.ts', () => ({ checkPrerequisites: async () => [] }));

const COMMIT = '0'.repeat(40);
const IMAGES = { app: { image: COMMIT, digest: `sha256:${COMMIT}` } };
const RELEASE = { version: '1.0.0+1', commit: COMMIT };
const RUN = runOfSweep('ghost');

const GHOST = { is: 'recipe', name: 'ghost' } as const;

/** As the client of the Temporal server throws it. */
function temporalError(): Error {
  return Object.assign(new Error('4 DEADLINE_EXCEEDED: Deadline exceeded'), { name: 'ServiceError' });
}

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'steps-'));
  machine = createMachine(folder, ['ghost']);
  machine.open.add('sweep');
  machine.upstreams.set('ghost', [{ ...RELEASE, quality: 'good' }]);
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
});

afterEach(() => rmSync(folder, { recursive: true }));

const promote = () =>
  step((steps) => steps.promote({ run: RUN, release: RELEASE, tested: IMAGES, dependencies: [] }));

describe('a run that ends', () => {
  const end = (outcome: Outcome, changes: Partial<RunEnd> = {}) =>
    step(({ record }) =>
      record({
        ...UNTESTED,
        recipe: 'ghost',
        asked: RUN.asked,
        outcome,
        release: RELEASE,
        startedMs: 0,
        endedMs: 1,
        workflow: RUN.workflow,
        ...changes,
      }),
    );
  const nothingNew: Outcome = { kind: 'SKIP', because: 'no-new-version', why: 'equal' };
  const failed: Outcome = {
    kind: 'GREEN-BUT-PROMOTE-FAILED',
    version: RELEASE.version,
    why: 'the engine died',
    canonical: null,
    evidence: null,
  };
  const pass: Outcome = { kind: 'PASS', promoted: RELEASE.version };
  const spoil = (): void =>
    writeFileSync(path.join(machine.state, 'canonicals', 'ghost', 'canonical.json'), '{');

  test('is PASS when the record says so, whatever it knows itself', async () => {
    await promote();
    expect(await end(failed)).toEqual(pass);
    expect(await end({ kind: 'ERROR', cause: 'infrastructure', why: 'teardown' })).toEqual(pass);
    expect(await end(nothingNew)).toEqual(pass);
    const file = path.join(machine.state, 'runs', 'sweep', 'ghost', 'result.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ outcome: pass });
  });

  test('says where all of its time went, of each step as it was noted there', async () => {
    const startedMs = Date.now() - 60_000;
    await promote();
    const endedMs = Date.now() + 1;
    const waited = { fromMs: startedMs, toMs: startedMs + 50_000 };
    await end(pass, { startedMs, endedMs, waited });
    const spent = (await createResults(machine.state).read('sweep/ghost'))?.spentMs;
    expect(Object.values(spent ?? {}).reduce((sum, ms) => sum + ms, 0)).toBe(endedMs - startedMs);
    expect(spent).toMatchObject({ turn: 50_000, retries: 0 });
    const noted = await createTimes(machine.state).read('sweep/ghost');
    expect([...new Set(noted.map(({ on }) => on))]).toEqual(expect.arrayContaining(['mirrorSync', 'data']));
  });

  test('says of a later attempt that those before it came to nothing, and how long that took', async () => {
    await machine.attempt({ dead: false }, 2, ({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
    const noted = await createTimes(machine.state).read('sweep/ghost');
    expect(noted.filter(({ on }) => on === 'retries')).toHaveLength(1);
  });

  test('says nothing of its time where a newer version noted it, and has its outcome', async () => {
    const file = path.join(machine.state, 'runs/sweep/ghost/time.jsonl');
    writeFileSync(file, '{"schema":2}\n');
    expect(await end(nothingNew)).toEqual(nothingNew);
    expect((await createResults(machine.state).read('sweep/ghost'))?.spentMs).toBeNull();
  });

  test('has not promoted what another run did, by the same name or not', async () => {
    await promote();
    const later = { workflow: { ...RUN.workflow, runId: '123456' } };
    const ofAnother = { asked: { ...RUN.asked, id: 'sweep-2' } };
    for (const other of [later, ofAnother]) {
      expect(await end(nothingNew, other)).toEqual(nothingNew);
    }
  });

  test('does not take another release for its own', async () => {
    await promote();
    const release = { ...RELEASE, version: '1.1.0+1' };
    expect(await end(nothingNew, { release })).toEqual(nothingNew);
    expect(await end({ ...failed, version: '1.1.0+1' }, { release })).toMatchObject({
      kind: 'GREEN-BUT-PROMOTE-FAILED',
      canonical: RELEASE.version,
    });
  });

  test('says what it knows when the record cannot be read, and that it cannot', async () => {
    await promote();
    spoil();
    expect(await end(nothingNew)).toEqual(nothingNew);
    expect(await end(failed)).toMatchObject({ ...failed, why: expect.stringContaining('canonical.json') });
  });

  test('does not write over what a later end of it wrote', async () => {
    await end(nothingNew, { endedMs: 2 });
    expect(await end({ kind: 'ERROR', cause: 'cancelled', why: 'long ago' })).toEqual(nothingNew);
    expect(await createResults(machine.state).read('sweep/ghost')).toMatchObject({
      outcome: nothingNew,
    });
  });

  test('is known to have been asked for by its sweep', async () => {
    await end(nothingNew);
    expect(await createResults(machine.state).read('sweep/ghost')).toMatchObject({
      asked: { by: 'sweep', id: SWEEP.id },
      workflow: RUN.workflow,
    });
  });

  test('is in the index as it ended last, and without one it ends all the same', async () => {
    const index = createRunIndex(machine.state);
    await end({ kind: 'ERROR', cause: 'cancelled', why: 'x'.repeat(1_000) });
    await end(nothingNew, { endedMs: 2 });
    expect(await index.of('ghost')).toMatchObject({
      runs: [{ run: 'sweep/ghost', outcome: nothingNew, version: RELEASE.version }],
      problem: null,
    });
    const file = path.join(machine.state, 'index', 'ghost.jsonl');
    rmSync(file);
    mkdirSync(file);
    expect(await end(nothingNew, { endedMs: 3 })).toEqual(nothingNew);
  });

  test('whose promote failed is an alert until nothing waits to be promoted', async () => {
    const open = async () => (await createAlerts(machine.state).open()).alerts;
    await end(failed);
    const [{ since } = { since: '' }] = await open();
    await end({ ...failed, evidence: '/promote/app.log' }, { endedMs: 2 });
    expect(await open()).toMatchObject([
      { kind: 'promote-failed', subject: GHOST, since, evidence: '/promote/app.log' },
    ]);
    for (const [at, outcome] of [
      { kind: 'ERROR', cause: 'infrastructure', why: 'no disk' },
      { kind: 'SKIP', because: 'held', why: 'wait' },
      { kind: 'FAIL', version: '2', tier: 'install', why: 'no', evidence: '/x', canonical: null },
    ].entries()) {
      await end(outcome as Outcome, { endedMs: 3 + at });
      expect(await open()).toHaveLength(1);
    }
    await promote();
    await end(failed, { endedMs: 10 });
    expect(await open()).toEqual([]);
    await end({ ...failed, version: '2.0.0+1' }, { endedMs: 11 });
    expect(await open()).toHaveLength(1);
    await end(nothingNew, { endedMs: 12, workflow: { id: 'later/ghost', runId: 'fedcba' } });
    expect(await open()).toEqual([]);
  });

  test('says what it left, which is an alert too', async () => {
    const outcome: Outcome = { kind: 'ERROR', cause: 'infrastructure', why: 'no registry' };
    expect(await end(outcome, { leftovers: 'the cold deployment' })).toEqual(outcome);
    const { alerts } = await createAlerts(machine.state).open();
    expect(alerts).toMatchObject([
      {
        kind: 'left-behind',
        subject: GHOST,
        message: 'the cold deployment',
        evidence: path.join(machine.state, 'runs', 'sweep', 'ghost', 'result.json'),
      },
    ]);
    expect(await createResults(machine.state).read('sweep/ghost')).toMatchObject({
      outcome,
      leftovers: 'the cold deployment',
    });
  });
});

describe('what a crashed run left and cannot be removed', () => {
  const holder = { workflowId: 'sweep', runId: SWEEP.runId, what: 'sweep' };
  const cold = (stack: string, recipe: string): void => {
    const lifetime = 'cold' as const;
    machine.stacks.set(stack, { stack, recipe, lifetime, running: true, secrets: new Set() });
  };
  const reap = (attempt: number) =>
    machine.attempt({ dead: false }, attempt, (steps) => steps.reap({ holder }));

  test('is tried again, then told, and what else there is goes', async () => {
    cold('a-1', 'ghost');
    cold('b-1', 'gitea');
    machine.stuck.add('a-1');
    await expect(reap(1)).rejects.toMatchObject({ type: 'Daemon', nonRetryable: false });
    const left = await reap(2);
    expect(left).toEqual([
      { kind: 'not-reaped', recipe: 'ghost', what: 'stack a-1 was not removed: a-1 did not stop' },
    ]);
    expect([...machine.stacks.keys()]).toEqual(['a-1']);
    const { alerts } = await createAlerts(machine.state).open();
    expect(alerts).toMatchObject([{ kind: 'not-reaped', subject: GHOST, message: left[0]?.what }]);
  });

  test('is told whatever its label says that it is of', async () => {
    cold('c-1', '../Foo');
    machine.stuck.add('c-1');
    expect(await reap(2)).toMatchObject([{ recipe: '../Foo' }]);
    expect((await createAlerts(machine.state).open()).alerts).toMatchObject([
      { subject: { is: 'recipe', name: '../Foo' } },
    ]);
  });

  test('is an alert until the reaper finds nothing left of it', async () => {
    const alerts = createAlerts(machine.state);
    const open = async () => (await alerts.open()).alerts.map(({ kind, subject }) => [kind, subject.name]);
    cold('a-1', 'ghost');
    cold('b-1', 'gitea');
    machine.stuck.add('a-1').add('b-1');
    await alerts.raise(
      { kind: 'left-behind', subject: GHOST, message: 'a-1', evidence: null, run: 'sweep/ghost' },
      new Date(0),
    );
    const promote = {
      kind: 'promote-failed',
      subject: GHOST,
      message: 'no',
      evidence: null,
      run: 'x',
    } as const;
    await alerts.raise(promote, new Date(0));
    await reap(2);
    const both = [
      ['left-behind', 'ghost'],
      ['not-reaped', 'ghost'],
      ['not-reaped', 'gitea'],
      ['promote-failed', 'ghost'],
    ];
    expect(await open()).toEqual(both);
    machine.stuck.delete('a-1');
    await reap(2);
    expect(await open()).toEqual([
      ['not-reaped', 'gitea'],
      ['promote-failed', 'ghost'],
    ]);
    machine.stuck.clear();
    await reap(2);
    expect(await open()).toEqual([['promote-failed', 'ghost']]);
  });

  test('of a service whose records cannot be read is no word about canonicals, and holds up nothing else', async () => {
    const alerts = createAlerts(machine.state);
    const open = async () => (await alerts.open()).alerts.map(({ kind, subject }) => [kind, subject.name]);
    const keycloak = path.join(machine.state, 'services', 'keycloak');
    mkdirSync(keycloak, { recursive: true });
    writeFileSync(path.join(keycloak, 'underway.json'), '{');
    writeFileSync(path.join(keycloak, 'last-good.json'), '{');
    cold('a-1', 'ghost');
    const left = await reap(2);
    expect(machine.stacks.has('a-1')).toBe(false);
    expect(left.map(({ kind, recipe }) => [kind, recipe])).toEqual([
      ['not-reaped', 'keycloak'],
      ['not-reaped', 'keycloak'],
    ]);
    expect(await open()).toEqual([['not-reaped', 'keycloak']]);
  });

  test('of a record that could not be read there is an alert until it can be, or was given up', async () => {
    const alerts = createAlerts(machine.state);
    const open = async () => (await alerts.open()).alerts.map(({ kind }) => kind);
    await promote();
    const file = path.join(machine.state, 'canonicals', 'ghost', 'canonical.json');
    const whole = readFileSync(file, 'utf8');
    writeFileSync(file, '{');
    await reap(2);
    expect(await open()).toEqual(['canonical-unreadable']);
    writeFileSync(file, whole);
    await reap(2);
    expect(await open()).toEqual([]);
    // Also where its data was in use.
    writeFileSync(file, '{');
    writeFileSync(path.join(path.dirname(file), 'attached.json'), '{}');
    await reap(2);
    expect(await open()).toEqual(['canonical-unreadable']);
    // And where it does not stop, so that nothing but that might be told.
    machine.stuck.add('warm-ghost_model_test');
    const left = await reap(2);
    expect(left.map(({ kind }) => kind)).toEqual(['not-reaped', 'canonical-unreadable']);
    expect(await open()).toEqual(['canonical-unreadable', 'not-reaped']);
    machine.stuck.clear();
    await step(({ forgetCanonical }) => forgetCanonical({ recipe: 'ghost', holder, domain: null }));
    expect(await open()).toEqual(['not-reaped']);
    await reap(2);
    expect(await open()).toEqual([]);
  });

  test('is no lasting worry when it goes the second time', async () => {
    cold('a-1', 'ghost');
    machine.stuck.add('a-1');
    await expect(reap(1)).rejects.toThrow('did not stop');
    machine.stuck.clear();
    expect(await reap(2)).toEqual([]);
    expect((await createAlerts(machine.state).open()).alerts).toEqual([]);
  });
});

describe('a sweep that opens', () => {
  const holder = { workflowId: 'sweep', runId: SWEEP.runId, what: 'sweep' };
  const open = () =>
    machine.attempt({ dead: false }, 2, (steps) =>
      steps.openSweep({ recipes: ['a', 'b', 'c', 'd'], holder }),
    );

  test('begins with those that have waited longest', async () => {
    await createReports(machine.state).writeUnreached(
      new Map([
        ['d', '2025-03-02T03:00:00.000Z'],
        ['c', '2025-03-09T03:00:00.000Z'],
        ['elsewhere', '2025-03-02T03:00:00.000Z'],
      ]),
    );
    expect(await open()).toMatchObject({ recipes: ['d', 'c', 'a', 'b'], left: {}, problems: [] });
  });

  test('is stopped by no file that cannot be read and no stack that does not go', async () => {
    const sweeps = path.join(machine.state, 'sweeps');
    mkdirSync(path.join(sweeps, 'newer'), { recursive: true });
    writeFileSync(path.join(sweeps, '.DS_Store'), '');
    writeFileSync(path.join(sweeps, 'newer', 'report.json'), '{"schema":9}');
    writeFileSync(path.join(machine.state, 'unreached.json'), '{"schema":9}');
    const lifetime = 'cold' as const;
    machine.stacks.set('b-1', { stack: 'b-1', recipe: 'b', lifetime, running: true, secrets: new Set() });
    machine.stuck.add('b-1');
    const { recipes, left, problems } = await open();
    expect(recipes).toEqual(['a', 'b', 'c', 'd']);
    expect(left).toEqual({ b: expect.stringContaining('stack b-1 was not removed') });
    expect(problems).toEqual([
      expect.stringContaining('stack b-1 was not removed'),
      expect.stringContaining('unreached.json'),
    ]);
  });
});

describe('a sweep that closes', () => {
  const holder = { workflowId: 'sweep', runId: SWEEP.runId, what: 'sweep' };
  const reports = () => createReports(machine.state);
  const outOfTime: Outcome = { kind: 'ERROR', cause: 'out-of-time', why: 'not reached' };
  const NOTHING = { outcomes: {}, unreached: [], note: null, problems: [] };
  const close = (input: Partial<Parameters<Activities['closeSweep']>[0]> = {}) =>
    step(({ closeSweep }) =>
      closeSweep({ holder, recipes: ['ghost', 'gitea'], ...NOTHING, startedMs: 0, ...input }),
    );

  test('reports what it knows where results are missing or cannot be read', async () => {
    const folder = await createResults(machine.state).runFolder('sweep/gitea');
    writeFileSync(path.join(folder, 'result.json'), '{');
    const outcomes = { ghost: { kind: 'PASS', promoted: '1.0.0+1' } as const };
    const { problems } = await close({ outcomes, problems: ['before'] });
    expect(problems).toEqual(['before', expect.stringContaining('gitea/result.json')]);
    expect(await reports().read('sweep')).toMatchObject({
      verdict: 'none',
      problems,
      recipes: [
        { recipe: 'ghost', outcome: outcomes.ghost },
        { recipe: 'gitea', outcome: { kind: 'ERROR' } },
      ],
    });
    const { alerts } = await createAlerts(machine.state).open();
    expect(alerts).toMatchObject([
      {
        kind: 'sweep-problems',
        subject: { is: 'host', name: 'model' },
        message: problems.join('\n'),
        evidence: reports().fileOf('sweep'),
      },
    ]);
  });

  test('says where each recipe stands now, what changed first, and what to open next', async () => {
    const fail = { kind: 'FAIL', version: '2.0.0+1', tier: 'install', why: 'no', canonical: null } as const;
    const outcomes = {
      ghost: { kind: 'SKIP', because: 'no-new-version', why: 'equal' } as const,
      gitea: { ...fail, evidence: '/app.log' },
    };
    const { standings, site, recipes } = await close({ outcomes });
    expect(standings).toMatchObject([
      { recipe: 'gitea', is: 'newly red', who: 'the package', open: '/app.log' },
      { recipe: 'ghost', is: 'unchanged', who: 'nobody' },
    ]);
    expect(site).toBeUndefined();
    expect(recipes.map(({ recipe }) => recipe)).toEqual(['ghost', 'gitea']);
  });

  test('ends the alert about problems where it has none', async () => {
    const open = async () => (await createAlerts(machine.state).open()).alerts;
    const outcomes = {
      ghost: { kind: 'PASS', promoted: '1' },
      gitea: { kind: 'PASS', promoted: '1' },
    } as const;
    await close({ outcomes, problems: ['one'] });
    await close({ outcomes, problems: ['two'] });
    expect(await open()).toMatchObject([{ kind: 'sweep-problems', message: 'two' }]);
    await close({ outcomes });
    expect(await open()).toEqual([]);
  });

  test('keeps the turn of those it did not reach, also across a sweep of others', async () => {
    await close({
      outcomes: { ghost: { kind: 'PASS', promoted: '1' }, gitea: outOfTime },
      unreached: ['gitea'],
    });
    const since = new Map([['gitea', '1970-01-01T00:00:00.000Z']]);
    expect(await reports().unreached()).toEqual(since);
    await close({
      recipes: ['ghost'],
      startedMs: 1_000,
      outcomes: { ghost: { kind: 'PASS', promoted: '1' } },
    });
    expect(await reports().unreached()).toEqual(since);
    await close({ startedMs: 2_000, outcomes: { ghost: outOfTime, gitea: outOfTime } });
    expect(await reports().unreached()).toEqual(since.set('ghost', '1970-01-01T00:00:02.000Z'));
    await close({ startedMs: 3_000, outcomes: { gitea: { kind: 'PASS', promoted: '1' } } });
    expect(await reports().unreached()).toEqual(new Map());
  });

  test('writes nothing once another one has the host', async () => {
    machine.open.delete('sweep');
    machine.open.add('later');
    const later = { workflowId: 'later', runId: 'run of later', what: 'sweep' };
    await step(({ closeSweep }) =>
      closeSweep({ holder: later, recipes: ['ghost'], ...NOTHING, unreached: ['ghost'], startedMs: 1 }),
    );
    const unreached = await reports().unreached();
    await step(({ reap }) => reap({ holder: later }));
    await expect(close({ unreached: [] })).rejects.toMatchObject({ type: 'HostBusy' });
    expect(await reports().unreached()).toEqual(unreached);
    expect(await reports().read('sweep')).toBe(null);
  });

  test('does not mind that the order of the next one cannot be read', async () => {
    writeFileSync(path.join(machine.state, 'unreached.json'), '{"schema":9}');
    const { problems } = await close({ outcomes: { ghost: outOfTime } });
    expect(problems).toEqual([expect.stringContaining('unreached.json')]);
    expect([...(await reports().unreached()).keys()]).toEqual(['ghost']);
  });
});

describe('an error that nobody expected', () => {
  const failing = (error: Error): Promise<void> => {
    machine.stuck.has = () => {
      throw error;
    };
    return step((steps) => steps.teardown({ run: RUN }));
  };

  test.each([
    ['a bug', new TypeError('x is not a function'), 'Bug', true],
    ['a bug of ours in plain words', new Error('cannot be'), 'Bug', true],
    ['a Temporal server that is late', temporalError(), 'Network', false],
    ['one that is behind another error', new Error('no lock', { cause: temporalError() }), 'Network', false],
    ['a file', Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'open' }), 'Disk', false],
    [
      'a peer',
      Object.assign(new Error('ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }),
      'Network',
      false,
    ],
    [
      'the engine',
      Object.assign(new Error('(HTTP code 409) conflict'), { statusCode: 409 }),
      'Daemon',
      false,
    ],
    ['a time limit', new DOMException('timed out', 'TimeoutError'), 'TimedOut', false],
  ])('about %s is called so', async (_about, error, type, nonRetryable) => {
    await expect(failing(error)).rejects.toMatchObject({ type, nonRetryable });
  });

  test('says of a bug that it is one, and where to look', async () => {
    await expect(failing(new RangeError('out of range'))).rejects.toMatchObject({
      message: expect.stringMatching(
        /^a bug of recipe-sweep: out of range \(.*endings.test.ts.*worker's log/,
      ),
    });
  });
});

test.each([
  ['START_TO_CLOSE', 'it took longer than it may'],
  ['HEARTBEAT', 'its worker fell silent, and no other took over in time'],
] as const)('a step that ended by %s is TimedOut', (timeout, reason) => {
  const cause = new TimeoutFailure('activity timeout', undefined, timeout);
  const error = new ActivityFailure('failed', 'coldInstall', '1', 'TIMEOUT', 'worker', cause);
  expect([faultOf(error), reasonOf(error)]).toEqual(['TimedOut', reason]);
});

test('a failure that has no type is a bug', () => {
  expect(faultOf(new TypeError('x is not a function'))).toBe('Bug');
});
