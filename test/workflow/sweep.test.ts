import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  abortUpdate,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  SEARCH_ATTRIBUTES,
  skipUpdate,
  type SweepResult,
} from '../../workflows/protocol.ts';
import { outcomeTitle } from '../../domain/outcome.ts';
import { rootFailure } from '../../workflows/input.ts';
import type { ledgerWorkflow, planWorkflow, reapWorkflow, sweepWorkflow } from '../../workflows/index.ts';
import { fakeHost, type FakeHost, type FakeRecipe } from './fake-host.ts';
import {
  quietRuntime,
  startWorkflowServer,
  SUGGEST_CONTINUE_AS_NEW,
  TASK_QUEUE,
  type WorkflowServer,
} from './server.ts';

quietRuntime();

let server: WorkflowServer;

beforeAll(async () => {
  server = await startWorkflowServer(inject('temporal'));
});

afterAll(async () => {
  await server?.close();
});

type Sweep = WorkflowHandleWithFirstExecutionRunId<typeof sweepWorkflow>;

/** Starts a sweep against a fake host and lets the body watch it to its end. */
async function withSweep(
  host: FakeHost,
  input: unknown,
  body: (sweep: Sweep) => Promise<void>,
): Promise<void> {
  await server.withWorker(host, async () => {
    const sweep = await server.client.workflow.start<typeof sweepWorkflow>('sweepWorkflow', {
      workflowId: `sweep-${randomUUID()}`,
      taskQueue: TASK_QUEUE,
      args: [input as { recipes?: string[] }],
    });
    await body(sweep);
  });
}

async function sweepOf(host: FakeHost, input: unknown = {}): Promise<SweepResult> {
  let result: SweepResult | undefined;
  await withSweep(host, input, async (sweep) => {
    result = await sweep.result();
  });
  return result as SweepResult;
}

const outcomes = (result: SweepResult): Record<string, string> =>
  Object.fromEntries(result.recipes.map(({ recipe, outcome }) => [recipe, outcome]));

const progressOf = (sweep: string) => server.client.workflow.getHandle(sweep).query(progressQuery);

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => new Error('did not fail'),
    (reason: unknown) => reason,
  );
  return (error instanceof WorkflowFailedError ? error.cause : error) as Error;
}

describe('outcomes', () => {
  test('a first release is tested cold and promoted', async () => {
    const host = fakeHost({ hedgedoc: { releases: ['1.0.0+1.9'] } });
    const result = await sweepOf(host);
    expect(outcomes(result)).toEqual({ hedgedoc: 'PASS (promoted 1.0.0+1.9)' });
    expect(result.verdict).toBe('green');
    expect(host.calls).toEqual([
      'sweep open',
      'hedgedoc mirror-sync',
      'hedgedoc resolve',
      'hedgedoc cold-test: install',
      'hedgedoc cold-test: backup',
      'hedgedoc cold-test: restore',
      'hedgedoc cold-test: custom',
      'hedgedoc cold-test: lint',
      'hedgedoc teardown',
      'hedgedoc promote',
      'hedgedoc settle',
      'hedgedoc record',
      'sweep close',
    ]);
  });

  test('a newer release is installed at the canonical first, then upgraded', async () => {
    const host = fakeHost({ hedgedoc: { releases: ['1.0.0+1.9', '1.1.0+1.10'], canonical: '1.0.0+1.9' } });
    expect(outcomes(await sweepOf(host))).toEqual({ hedgedoc: 'PASS (promoted 1.1.0+1.10)' });
    expect(host.calls.filter((call) => call.includes('cold-test'))).toEqual([
      'hedgedoc cold-test: install base',
      'hedgedoc cold-test: upgrade',
      'hedgedoc cold-test: backup',
      'hedgedoc cold-test: restore',
      'hedgedoc cold-test: custom',
      'hedgedoc cold-test: lint',
    ]);
    const [result] = host.results.values();
    expect(result?.tiers.map((tier) => [tier.tier, tier.result])).toEqual([
      ['install', 'pass'],
      ['upgrade', 'pass'],
      ['backup', 'pass'],
      ['restore', 'pass'],
      ['custom', 'pass'],
    ]);
    expect(result).toMatchObject({ level: 5, lint: [] });
  });

  test('tiers that do not apply are skipped with their reasons, and the level does not count past them', async () => {
    const problem = { rule: 'image-without-tag', file: 'compose.yml', line: 3, what: 'nginx has no tag' };
    const host = fakeHost({
      'no-data': {
        releases: ['1.0.0+1', '1.1.0+1'],
        canonical: '1.0.0+1',
        skips: { 'cold-test: backup': 'it keeps no data', 'cold-test: custom': 'the recipe has no checks' },
        lint: [problem],
      },
    });
    expect(outcomes(await sweepOf(host))).toEqual({ 'no-data': 'PASS (promoted 1.1.0+1)' });
    expect(host.calls).not.toContain('no-data cold-test: restore');
    const [result] = host.results.values();
    expect(result?.tiers.slice(2)).toEqual([
      { tier: 'backup', result: 'skipped', reason: 'it keeps no data' },
      { tier: 'restore', result: 'skipped', reason: 'it keeps no data' },
      { tier: 'custom', result: 'skipped', reason: 'the recipe has no checks' },
    ]);
    expect(result).toMatchObject({ level: 2, lint: [problem] });
  });

  test('what a recipe needs is there from before its test until after its promote', async () => {
    const host = fakeHost({ drone: { releases: ['1.0.0+1'], deps: ['postgres', 'gitea'] } });
    expect(outcomes(await sweepOf(host))).toEqual({ drone: 'PASS (promoted 1.0.0+1)' });
    const calls = host.calls.filter((call) => /dependency|install|teardown|promote|settle|record/.test(call));
    expect(calls).toEqual([
      'drone dependency postgres',
      'drone dependency gitea',
      'drone cold-test: install',
      'drone teardown',
      'drone promote',
      'drone settle',
      'drone teardown postgres gitea',
      'drone record',
    ]);
  });

  test('a dependency that does not come up is no verdict, and all of them are removed', async () => {
    const host = fakeHost({
      drone: {
        releases: ['1.0.0+1'],
        deps: ['postgres', 'gitea'],
        faults: { 'dependency gitea': { type: 'Dependency' } },
      },
    });
    expect(outcomes(await sweepOf(host))).toEqual({ drone: 'ERROR infrastructure' });
    expect(host.calls).toContain('drone teardown postgres gitea');
    expect(host.calls).not.toContain('drone cold-test: install');
  });

  test('equal or older, never released and held are skipped without any step after decide', async () => {
    const host = fakeHost({
      equal: { releases: ['1.0.0+1'], canonical: '1.0.0+1' },
      older: { releases: ['1.0.0+1'], canonical: '2.0.0+1' },
      unreleased: { releases: [] },
      held: { releases: ['1.0.0+1'], hold: 'waits for a new clickhouse' },
    });
    const result = await sweepOf(host);
    expect(outcomes(result)).toEqual({
      equal: 'SKIP no-new-version',
      older: 'SKIP no-new-version',
      unreleased: 'SKIP never-released',
      held: 'SKIP held (waits for a new clickhouse)',
    });
    expect(result.verdict).toBe('green');
    expect(host.calls.filter((call) => /cold-test|promote|teardown|settle/.test(call))).toEqual([]);
  });

  test.each([
    ['upgrade', 'cold-test: upgrade'],
    ['backup', 'cold-test: backup'],
    ['restore', 'cold-test: restore'],
    ['custom', 'cold-test: custom'],
  ] as const)('a red %s is FAIL, torn down, never promoted, and the next recipe runs', async (tier, step) => {
    const host = fakeHost({
      bad: { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1', red: { [step]: 'never healthy' } },
      good: { releases: ['1.0.0+1'] },
    });
    const result = await sweepOf(host);
    expect(outcomes(result)).toEqual({ bad: 'FAIL', good: 'PASS (promoted 1.0.0+1)' });
    expect(result.verdict).toBe('red');
    expect(result.recipes[0]?.why).toContain(`${tier}: `);
    expect(result.recipes[0]?.why).toContain('canonical unchanged: 1.0.0+1');
    expect(host.calls).toContain('bad teardown');
    expect(host.calls).not.toContain('bad promote');
  });

  test('what tiers that pass have to say is on record', async () => {
    const says = {
      'cold-test: install base': 'nobody was asked',
      'cold-test: upgrade': 'db still runs',
      'cold-test: backup': 'taken 2 times',
      'cold-test: restore': 'only after a restart',
    } as const;
    const host = fakeHost({ good: { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1', says } });
    expect(outcomes(await sweepOf(host))).toEqual({ good: 'PASS (promoted 1.1.0+1)' });
    expect([...host.results.values()][0]?.tiers.slice(0, 4)).toMatchObject(
      Object.values(says).map((note) => ({ result: 'pass', note })),
    );
  });

  test('a base that does not install is not the fault of what follows it: the release before it is the base', async () => {
    const host = fakeHost({
      plausible: {
        releases: ['3.0.0+2', '3.0.1+2', '3.1.0+2'],
        canonical: '3.0.1+2',
        red: { 'cold-test: install base': 'clickhouse: manifest unknown' },
      },
    });
    expect(outcomes(await sweepOf(host))).toEqual({ plausible: 'PASS (promoted 3.1.0+2)' });
    expect(host.calls.filter((call) => /install|upgrade/.test(call))).toEqual([
      'plausible cold-test: install base',
      'plausible cold-test: install an older base',
      'plausible cold-test: upgrade',
    ]);
    const note = 'from 3.0.0+2, since 3.0.1+2 does not install: clickhouse: manifest unknown';
    expect([...host.results.values()][0]?.tiers[1]).toMatchObject({ tier: 'upgrade', result: 'pass', note });
  });

  test('a release none of whose bases installs is asked from nothing, and says why', async () => {
    const gone = 'clickhouse: manifest unknown';
    const host = fakeHost({
      plausible: {
        releases: ['3.0.0+2', '3.0.1+2', '3.1.0+2'],
        canonical: '3.0.1+2',
        red: { 'cold-test: install base': gone, 'cold-test: install an older base': gone },
      },
      worse: {
        releases: ['1.0.0+1', '1.1.0+1'],
        canonical: '1.0.0+1',
        red: { 'cold-test: install base': gone, 'cold-test: install': 'never healthy' },
      },
    });
    expect(outcomes(await sweepOf(host))).toEqual({
      plausible: 'PASS (promoted 3.1.0+2)',
      worse: 'FAIL',
    });
    const [plausible, worse] = [...host.results.values()];
    expect(plausible?.tiers[1]).toEqual({
      tier: 'upgrade',
      result: 'skipped',
      reason: `no base to upgrade from: 3.0.1+2 does not install: ${gone}; 3.0.0+2 does not install: ${gone}`,
    });
    expect(worse?.outcome).toMatchObject({ kind: 'FAIL', tier: 'install', why: 'never healthy' });
  });

  test('a promote that fails leaves the run Completed, says so and names the canonical', async () => {
    const host = fakeHost({
      gitea: {
        releases: ['3.5.0+1', '3.6.0+1'],
        canonical: '3.5.0+1',
        red: { promote: 'app.ini is read-only' },
      },
    });
    await withSweep(host, {}, async (sweep) => {
      const result = await sweep.result();
      expect(outcomes(result)).toEqual({ gitea: 'GREEN-BUT-PROMOTE-FAILED' });
      expect(result.recipes[0]?.why).toContain('canonical is 3.5.0+1');
      expect(host.results.get(`${sweep.workflowId}/gitea`)?.outcome).toEqual({
        kind: 'GREEN-BUT-PROMOTE-FAILED',
        version: '3.6.0+1',
        why: 'app.ini is read-only',
        canonical: '3.5.0+1',
        evidence: '/evidence',
      });
      const run = await server.client.workflow.getHandle(`${sweep.workflowId}/gitea`).describe();
      expect(run.status.name).toBe('COMPLETED');
      expect(run.typedSearchAttributes.get(SEARCH_ATTRIBUTES.RecipeOutcome)).toBe('GREEN-BUT-PROMOTE-FAILED');
      expect(run.typedSearchAttributes.get(SEARCH_ATTRIBUTES.SweepId)).toBe(sweep.workflowId);
      expect(run.memo).toMatchObject({ outcome: 'GREEN-BUT-PROMOTE-FAILED', evidence: '/evidence' });
    });
  });

  test('a promote that says it did, without a record on disk, is not a PASS', async () => {
    const host = fakeHost({ liar: { releases: ['1.0.0+1'], forgetsRecord: true } });
    expect(outcomes(await sweepOf(host))).toEqual({ liar: 'GREEN-BUT-PROMOTE-FAILED' });
  });

  test('a promote that breaks after its commit point is a PASS, read back from disk', async () => {
    const late = { releases: ['0.9.0+1', '1.0.0+1'], canonical: '0.9.0+1', diesAfterRecord: true };
    const host = fakeHost({ late, early: { ...late, diesAfterRecord: false, red: { promote: 'died' } } });
    expect(outcomes(await sweepOf(host))).toEqual({
      late: 'PASS (promoted 1.0.0+1)',
      early: 'GREEN-BUT-PROMOTE-FAILED',
    });
    expect([...host.results.values()][1]?.outcome).toMatchObject({ why: 'died', canonical: '0.9.0+1' });
  });

  test('what the record knows better than the run is what the memo says', async () => {
    const host = fakeHost({
      gitea: {
        releases: ['3.5.0+1', '3.6.0+1'],
        canonical: '3.5.0+1',
        red: { promote: 'app.ini is read-only' },
        faults: { settle: { type: 'Daemon' } },
      },
    });
    host.canonicals.set('gitea', '3.5.0+1');
    await withSweep(host, {}, async (sweep) => {
      await sweep.result();
      const { memo } = await server.client.workflow.getHandle(`${sweep.workflowId}/gitea`).describe();
      expect(memo).toMatchObject({ why: expect.stringContaining('canonical is 3.5.0+1') });
    });
  });

  test.each([
    ['MirrorSync', 'mirror-sync', 'ERROR mirror-sync'],
    ['TagMoved', 'mirror-sync', 'ERROR tag-moved'],
    ['RecordUnreadable', 'resolve', 'ERROR infrastructure'],
    ['Registry', 'cold-test: install', 'ERROR infrastructure'],
  ] as const)('%s at %s is %s: the run is Failed, the others go on', async (type, step, name) => {
    const host = fakeHost({
      broken: { releases: ['1.0.0+1'], faults: { [step]: { type } } },
      good: { releases: ['1.0.0+1'] },
    });
    await withSweep(host, {}, async (sweep) => {
      const result = await sweep.result();
      expect(outcomes(result)).toEqual({ broken: name, good: 'PASS (promoted 1.0.0+1)' });
      expect(result.verdict).toBe('none');
      const run = await server.client.workflow.getHandle(`${sweep.workflowId}/broken`).describe();
      expect(run.status.name).toBe('FAILED');
      expect(run.typedSearchAttributes.get(SEARCH_ATTRIBUTES.RecipeOutcome)).toBe(name);
    });
  });

  test('what its mirror-sync has to say besides is in the result, and changes no outcome', async () => {
    const notes = ['tag "stable" moved'];
    const host = fakeHost({
      moving: { releases: ['1.0.0+1'], notes },
      still: { releases: ['1.0.0+1'], canonical: '1.0.0+1' },
    });
    expect(outcomes(await sweepOf(host))).toEqual({
      moving: 'PASS (promoted 1.0.0+1)',
      still: 'SKIP no-new-version',
    });
    expect([...host.results.values()].map((result) => result.notes)).toEqual([notes, []]);
  });

  test('a registry that comes back is retried, and says nothing of the release', async () => {
    const host = fakeHost({
      flaky: { releases: ['1.0.0+1'], faults: { 'cold-test: install': { type: 'Registry', times: 1 } } },
    });
    expect(outcomes(await sweepOf(host))).toEqual({ flaky: 'PASS (promoted 1.0.0+1)' });
  });
});

describe('input', () => {
  test.each([
    [{ recipe: ['hedgedoc'] }, 'recipe: unknown key'],
    [{ recipes: 'hedgedoc' }, 'recipes: "hedgedoc" is not a list of recipe names'],
    [{ recipes: [] }, 'recipes: the list is empty'],
    [{ recipes: ['../x', 7] }, 'recipes[0]: "../x" is not a recipe name; recipes[1]: 7 is not a recipe name'],
    ['hedgedoc', 'the input is "hedgedoc", not an object'],
    [{ recipes: ['nonsuch'] }, 'not enrolled: nonsuch'],
  ])('%j fails the sweep at once', async (input, message) => {
    const host = fakeHost({ hedgedoc: {} });
    await withSweep(host, input, async (sweep) => {
      const failure = await failureOf(sweep.result());
      expect(failure).toMatchObject({ type: 'BadInput', message: expect.stringContaining(message) });
    });
    expect(host.calls).toEqual([]);
  });

  test('only the named recipes are swept', async () => {
    const host = fakeHost({ a: {}, b: {}, c: {} });
    expect(Object.keys(outcomes(await sweepOf(host, { recipes: ['b'] })))).toEqual(['b']);
  });
});

describe('one at a time', () => {
  test('a sweep that finds the host held ends as skipped and names the holder', async () => {
    const host = fakeHost({ a: {} });
    host.busyWith = 'sweep sweep-of-somebody';
    const result = await sweepOf(host);
    expect(result).toMatchObject({ verdict: 'skipped', note: expect.stringContaining('sweep-of-somebody') });
    expect(host.calls).not.toContain('a mirror-sync');
  });
});

describe('operators', () => {
  test.each([
    'mirror-sync',
    'resolve',
    'cold-test: install base',
    'cold-test: upgrade',
    'cold-test: backup',
    'cold-test: restore',
    'cold-test: custom',
    'promote',
  ])(
    'cancel at %s ends torn down, with the outcome on disk, and the rest named as not reached',
    async (step) => {
      const host = fakeHost({
        a: { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1', hangs: step },
        b: { releases: ['1.0.0+1'] },
      });
      await withSweep(host, {}, async (sweep) => {
        await host.reached(`a ${step}`);
        await sweep.cancel();
        const failure = await failureOf(sweep.result());
        expect(rootFailure(failure)).toMatchObject({ name: 'CancelledFailure' });
        const a = host.results.get(`${sweep.workflowId}/a`)?.outcome;
        if (step === 'promote') {
          expect(a).toMatchObject({
            kind: 'GREEN-BUT-PROMOTE-FAILED',
            why: 'cancelled',
            canonical: '1.0.0+1',
          });
          expect(host.calls).toContain('a settle');
        } else expect(a).toEqual({ kind: 'ERROR', cause: 'cancelled', why: `cancelled at ${step}` });
        if (step.startsWith('cold')) expect(host.calls).toContain('a teardown');
        expect(host.results.get(`${sweep.workflowId}/b`)?.outcome).toMatchObject({
          kind: 'ERROR',
          cause: 'cancelled',
        });
        expect(host.calls.at(-1)).toBe('sweep close');
        const run = await server.client.workflow.getHandle(`${sweep.workflowId}/a`).describe();
        expect(run.status.name).toBe('CANCELLED');
      });
    },
  );

  test.each([
    ['teardown', { kind: 'GREEN-BUT-PROMOTE-FAILED', why: 'cancelled' }],
    ['settle', { kind: 'PASS', promoted: '1.0.0+1' }],
    ['record', { kind: 'PASS', promoted: '1.0.0+1' }],
  ])('cancel at %s lets it finish, and the outcome is what disk says', async (step, outcome) => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], slow: step }, b: { releases: ['1.0.0+1'] } });
    await withSweep(host, {}, async (sweep) => {
      await host.reached(`a ${step}`);
      await sweep.cancel();
      expect(rootFailure(await failureOf(sweep.result()))).toMatchObject({ name: 'CancelledFailure' });
      expect(host.results.get(`${sweep.workflowId}/a`)?.outcome).toMatchObject(outcome);
      expect(host.results.get(`${sweep.workflowId}/b`)?.outcome).toMatchObject({
        kind: 'ERROR',
        cause: 'cancelled',
      });
      expect(host.calls.at(-1)).toBe('sweep close');
    });
  });

  test('a sweep that is cancelled while a run that failed is torn down is cancelled too', async () => {
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], faults: { 'cold-test: install': { type: 'Daemon' } }, slow: 'teardown' },
      b: { releases: ['1.0.0+1'] },
    });
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a teardown');
      await sweep.cancel();
      expect(rootFailure(await failureOf(sweep.result()))).toMatchObject({ name: 'CancelledFailure' });
      const [a, b] = ['a', 'b'].map((name) => host.results.get(`${sweep.workflowId}/${name}`)?.outcome);
      expect(a).toMatchObject({ kind: 'ERROR', cause: 'infrastructure' });
      expect(b).toMatchObject({ kind: 'ERROR', cause: 'cancelled' });
      expect(host.closing?.note).toBe('cancelled');
    });
  });

  test('abort answers when the running recipe is torn down, and the sweep is reported', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], hangs: 'cold-test: install' }, b: {} });
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a cold-test: install');
      const answer = await sweep.executeUpdate(abortUpdate);
      expect(answer).toBe('aborted; a was cancelled and torn down');
      expect(host.calls).toContain('a teardown');
      const result = await sweep.result();
      expect(outcomes(result)).toEqual({ a: 'ERROR cancelled', b: 'ERROR cancelled' });
      expect(result.note).toBe('aborted by an operator');
      expect((await sweep.query(progressQuery)).state).toBe('done');
    });
  });

  test('pause holds the next recipe until resume; skip takes one out', async () => {
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], faults: { 'cold-test: install': { type: 'Daemon', times: 1 } } },
      b: { releases: ['1.0.0+1'] },
      c: { releases: ['1.0.0+1'] },
    });
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a cold-test: install');
      expect(await sweep.executeUpdate(pauseUpdate)).toBe('pausing when a has ended');
      await host.reached('a record');
      expect(await sweep.executeUpdate(skipUpdate, { args: [{ recipe: 'b', reason: 'not today' }] })).toBe(
        'b will be skipped',
      );
      await expect.poll(async () => (await sweep.query(progressQuery)).state).toBe('paused');
      await expect(sweep.executeUpdate(skipUpdate, { args: [{ recipe: 'a' }] })).rejects.toMatchObject({
        cause: { message: 'a is done already' },
      });
      await expect(sweep.executeUpdate(skipUpdate, { args: [{ recipe: 'z' }] })).rejects.toMatchObject({
        cause: { message: 'z is not in this sweep' },
      });
      expect(host.calls).not.toContain('c mirror-sync');
      expect(await sweep.executeUpdate(resumeUpdate)).toBe('resumed');
      expect(outcomes(await sweep.result())).toEqual({
        a: 'PASS (promoted 1.0.0+1)',
        b: 'SKIP held (not today)',
        c: 'PASS (promoted 1.0.0+1)',
      });
    });
  });
});

describe('bounds', () => {
  test('the budget cancels what runs, tears it down, and names what was not reached', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], hangs: 'cold-test: install' }, b: {} });
    host.sweepMs = 1_500;
    const result = await sweepOf(host);
    expect(outcomes(result)).toEqual({ a: 'ERROR out-of-time', b: 'ERROR out-of-time' });
    expect(result.note).toBe('out of time');
    expect(host.calls).toContain('a teardown');
  });

  test('a recipe run that was terminated gets an outcome, and what it left is reaped', async () => {
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], hangs: 'cold-test: install' },
      b: { releases: ['1.0.0+1'] },
    });
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a cold-test: install');
      await server.client.workflow.getHandle(`${sweep.workflowId}/a`).terminate('by hand');
      expect(outcomes(await sweep.result())).toEqual({
        a: 'ERROR infrastructure',
        b: 'PASS (promoted 1.0.0+1)',
      });
      expect(host.calls).toContain('sweep reap');
    });
  });

  test('a long sweep continues as new between recipes and forgets nothing', async () => {
    const names = Array.from({ length: 15 }, (_, index) => `recipe-${String(index).padStart(2, '0')}`);
    const host = fakeHost(
      Object.fromEntries(names.map((name) => [name, { releases: ['1.0.0+1'], canonical: '1.0.0+1' }])),
    );
    await withSweep(host, {}, async (sweep) => {
      const result = await sweep.result();
      expect(Object.keys(outcomes(result))).toEqual(names);
      const last = await server.client.workflow.getHandle(sweep.workflowId).describe();
      expect(last.runId).not.toBe(sweep.firstExecutionRunId);
      expect(host.calls.filter((call) => call === 'sweep open')).toHaveLength(1);
    });
  });
});

describe('a clean-up that fails costs no verdict', () => {
  const fails = (step: string) => ({ faults: { [step]: { type: 'Daemon' as const } } });
  const red = { releases: ['1.0.0+1'], red: { 'cold-test: install': 'never healthy' } } as const;

  test.each([
    ['a green cold test', 'teardown', { releases: ['1.0.0+1'] }, 'PASS (promoted 1.0.0+1)'],
    ['a red cold test', 'teardown', { ...red, releases: ['1.0.0+1'] }, 'FAIL'],
    ['a promote', 'settle', { releases: ['1.0.0+1'] }, 'PASS (promoted 1.0.0+1)'],
    [
      'a promote that failed',
      'settle',
      { releases: ['1.0.0+1'], red: { promote: 'read-only' } },
      'GREEN-BUT-PROMOTE-FAILED',
    ],
    [
      'a promote that broke after its record',
      'settle',
      { releases: ['1.0.0+1'], diesAfterRecord: true },
      'PASS (promoted 1.0.0+1)',
    ],
    [
      'what ran beside it',
      'teardown postgres',
      { releases: ['1.0.0+1'], deps: ['postgres'] },
      'PASS (promoted 1.0.0+1)',
    ],
  ] satisfies [string, string, FakeRecipe, string][])(
    'after %s (%s)',
    async (_after, step, recipe, title) => {
      const host = fakeHost({ a: { ...recipe, ...fails(step) }, b: { releases: ['1.0.0+1'] } });
      host.attempts = 1;
      await withSweep(host, {}, async (sweep) => {
        expect(outcomes(await sweep.result())).toEqual({ a: title, b: 'PASS (promoted 1.0.0+1)' });
        const a = host.results.get(`${sweep.workflowId}/a`);
        expect(a?.leftovers).toContain(`${step} is broken`);
        // The reaper comes for it before the next recipe.
        const order = host.calls.filter((call) => ['a record', 'sweep reap', 'b mirror-sync'].includes(call));
        expect(order).toEqual(['a record', 'sweep reap', 'b mirror-sync']);
        const run = await server.client.workflow.getHandle(`${sweep.workflowId}/a`).describe();
        expect(run.status.name).toBe('COMPLETED');
        expect(run.memo).toMatchObject({ leftovers: a?.leftovers });
        expect(run.typedSearchAttributes.get(SEARCH_ATTRIBUTES.RecipeOutcome)).toBe(a?.outcome.kind);
      });
    },
  );

  test('not even where the run has none: what broke first is named', async () => {
    const broken = { type: 'Registry' } as const;
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], faults: { 'cold-test: install': broken, teardown: { type: 'Daemon' } } },
    });
    host.attempts = 1;
    const result = await sweepOf(host);
    expect(result.recipes[0]).toMatchObject({
      outcome: 'ERROR infrastructure',
      why: 'at cold-test: install: cold-test: install is broken',
    });
    expect(host.calls).toContain('sweep reap');
  });

  test.each([
    ['cancelled', 'ERROR cancelled', 'cancelled at cold-test: install'],
    ['aborted', 'ERROR cancelled', 'cancelled at cold-test: install'],
    ['out of time', 'ERROR out-of-time', "the sweep's budget ended at cold-test: install"],
  ])('nor that the run was %s, and the report is written', async (how, title, why) => {
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], hangs: 'cold-test: install', ...fails('teardown') },
      b: { releases: ['1.0.0+1'] },
    });
    host.attempts = 1;
    if (how === 'out of time') host.sweepMs = 4_000;
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a cold-test: install');
      if (how === 'cancelled') await sweep.cancel();
      if (how === 'aborted') await sweep.executeUpdate(abortUpdate);
      await sweep.result().catch(() => undefined);
      expect(host.closing?.outcomes).toEqual({
        a: expect.objectContaining({ kind: 'ERROR', why }),
        b: expect.objectContaining({ kind: 'ERROR' }),
      });
      const a = host.results.get(`${sweep.workflowId}/a`);
      expect(a && outcomeTitle(a.outcome)).toBe(title);
      expect(a?.leftovers).toContain('teardown is broken');
      expect(host.calls).toContain('sweep reap');
      expect(host.calls.at(-1)).toBe('sweep close');
    });
  });

  test('nor does a record that cannot be read back: what promote wrote is what counts', async () => {
    const host = fakeHost({
      a: { releases: ['1.0.0+1'], faults: { settle: { type: 'RecordUnreadable' } } },
      b: { releases: ['1.0.0+1'], forgetsRecord: true, faults: { settle: { type: 'RecordUnreadable' } } },
    });
    expect(outcomes(await sweepOf(host))).toEqual({
      a: 'PASS (promoted 1.0.0+1)',
      b: 'GREEN-BUT-PROMOTE-FAILED',
    });
    expect([...host.results.values()][1]?.outcome).toMatchObject({
      why: 'what the record says was not read back: settle is broken',
    });
  });

  test('nor does a lint that could not look', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], ...fails('cold-test: lint') } });
    host.attempts = 1;
    expect(outcomes(await sweepOf(host))).toEqual({ a: 'PASS (promoted 1.0.0+1)' });
    expect([...host.results.values()][0]).toMatchObject({ lint: null, leftovers: null });
  });

  test('nor a result that could not be written: the report has it all the same', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], faults: { record: { type: 'Disk' } } } });
    host.attempts = 1;
    await sweepOf(host);
    expect(host.closing?.outcomes).toEqual({
      a: expect.objectContaining({ kind: 'PASS', promoted: '1.0.0+1' }),
    });
    expect(host.closing?.problems).toEqual([
      expect.stringContaining('a: its outcome was not recorded: record is broken'),
    ]);
  });
});

describe('one mistake stops nothing', () => {
  const lost = { releases: ['1.0.0+1'], faults: { resolve: { type: 'RecordUnreadable' } } } as const;
  const broken = (): FakeHost => {
    const host = fakeHost({
      a: { releases: [...lost.releases], faults: { ...lost.faults, record: { type: 'Disk' } } },
      b: { releases: ['1.0.0+1'] },
    });
    host.attempts = 1;
    return host;
  };

  test.each([
    ['reap', 'what it left was not reaped: reap is broken'],
    ['recordFor', 'its outcome was not recorded: recordFor is broken'],
  ])('a failing %s is a line of the report, and the others go on', async (step, line) => {
    const host = broken();
    host.faults[step] = { type: 'Daemon' };
    await sweepOf(host);
    expect(host.closing?.outcomes).toMatchObject({ a: { kind: 'ERROR' }, b: { kind: 'PASS' } });
    expect(host.closing?.problems?.join()).toContain(line);
    expect(host.calls.at(-1)).toBe('sweep close');
  });

  test('not even when every clean-up of a recipe fails at once', async () => {
    const host = broken();
    const disk = { type: 'Disk' } as const;
    Object.assign(host.recipes['a']?.faults ?? {}, { 'cold-test: install': disk, teardown: disk });
    delete host.recipes['a']?.faults?.['resolve'];
    host.faults = { reap: disk, recordFor: disk };
    const result = await sweepOf(host);
    expect(host.closing?.outcomes).toMatchObject({
      a: { kind: 'ERROR', why: expect.stringContaining('cold-test: install is broken') },
      b: { kind: 'PASS', promoted: '1.0.0+1' },
    });
    expect(result.problems).toHaveLength(new Set(result.problems).size);
    expect(host.calls.at(-1)).toBe('sweep close');
  });

  test('a recipe whose run cannot even begin has an outcome, and the others go on', async () => {
    const host = fakeHost({ '.git': {}, b: { releases: ['1.0.0+1'] } });
    expect(outcomes(await sweepOf(host))).toEqual({
      '.git': 'ERROR infrastructure',
      b: 'PASS (promoted 1.0.0+1)',
    });
    expect(host.calls).not.toContain('.git mirror-sync');
  });

  test('a report that cannot be written at once is written when it can', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'] } });
    host.attempts = 1;
    host.faults['close'] = { type: 'Disk', times: 1 };
    expect(outcomes(await sweepOf(host))).toEqual({ a: 'PASS (promoted 1.0.0+1)' });
    expect(host.calls.slice(-2)).toEqual(['sweep close', 'sweep close']);
  });

  test('a report that can never be written fails the sweep, which says why, and no recipe', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'] } });
    host.attempts = 1;
    host.faults['close'] = { type: 'Disk' };
    await withSweep(host, {}, async (sweep) => {
      expect(rootFailure(await failureOf(sweep.result()))).toMatchObject({
        type: 'Disk',
        message: 'close is broken',
      });
      expect(host.results.get(`${sweep.workflowId}/a`)?.outcome).toMatchObject({ kind: 'PASS' });
    });
  });

  test('what could not be reaped when the sweep opened is told in the report and in its recipe', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'] }, b: { releases: ['1.0.0+1'] } });
    host.left = [
      { kind: 'not-reaped', recipe: 'a', what: 'stack a-1_test was not removed: held' },
      { kind: 'not-reaped', recipe: null, what: 'checkouts of ended runs were not removed' },
    ];
    await withSweep(host, {}, async (sweep) => {
      const result = await sweep.result();
      expect(outcomes(result)).toEqual({ a: 'PASS (promoted 1.0.0+1)', b: 'PASS (promoted 1.0.0+1)' });
      expect(result.problems).toEqual(expect.arrayContaining(host.left.map(({ what }) => what)));
      expect(host.results.get(`${sweep.workflowId}/a`)?.leftovers).toContain('stack a-1_test');
      expect(host.results.get(`${sweep.workflowId}/b`)?.leftovers).toBeNull();
    });
  });

  test('what the reaper removes meanwhile is told of no later recipe', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'] }, b: { releases: ['1.0.0+1'] } });
    host.left = ['a', 'b'].map((recipe) => ({
      kind: 'not-reaped',
      recipe,
      what: `stack ${recipe}-1 was not removed`,
    }));
    host.activities.reap = async () => [];
    await withSweep(host, {}, async (sweep) => {
      await sweep.result();
      expect(host.results.get(`${sweep.workflowId}/a`)?.leftovers).toContain('stack a-1');
      expect(host.results.get(`${sweep.workflowId}/b`)?.leftovers).toBeNull();
    });
  });

  test('a pause ends with the budget, and the report names it', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'] }, b: { releases: ['1.0.0+1'] } });
    host.sweepMs = 4_000;
    await withSweep(host, {}, async (sweep) => {
      await host.reached('a mirror-sync');
      await sweep.executeUpdate(pauseUpdate);
      const result = await sweep.result();
      expect(result.note).toMatch(/^out of time: paused by an operator since 20/);
      expect(outcomes(result)).toEqual({ a: 'PASS (promoted 1.0.0+1)', b: 'ERROR out-of-time' });
      expect(host.closing?.unreached).toEqual(['b']);
    });
  });

  describe('when a sweep continues as new', () => {
    const [first, ...later] = ['recipe-00', 'recipe-01', 'recipe-02', 'recipe-03'] as const;
    const skipped = 'SKIP no-new-version';

    /** A sweep whose history is full while its first recipe runs. What an operator asks comes then, and is the last. */
    function longSweep(asked: (sweep: string) => Promise<unknown>): FakeHost {
      const host = fakeHost(
        Object.fromEntries(
          [first, ...later].map((name) => [name, { releases: ['1.0.0+1'], canonical: '1.0.0+1' }]),
        ),
      );
      const { record } = host.activities;
      host.activities.record = async (end) => {
        if (end.recipe === first) {
          const sweep = server.client.workflow.getHandle(end.asked.id);
          while ((await sweep.describe()).historyLength < SUGGEST_CONTINUE_AS_NEW) {
            await sweep.executeUpdate(resumeUpdate);
          }
          await asked(end.asked.id);
        }
        return record(end);
      };
      return host;
    }

    const hasContinued = async (sweep: Sweep): Promise<boolean> =>
      (await server.client.workflow.getHandle(sweep.workflowId).describe()).runId !==
      sweep.firstExecutionRunId;

    const pause = (sweep: string) => server.client.workflow.getHandle(sweep).executeUpdate(pauseUpdate);

    test('an abort is not forgotten', async () => {
      const host = longSweep(async (sweep) => {
        // It answers once this very run has ended.
        void server.client.workflow
          .getHandle(sweep)
          .executeUpdate(abortUpdate)
          .catch(() => undefined);
        await expect.poll(async () => (await progressOf(sweep)).state, { timeout: 60_000 }).toBe('aborting');
      });
      await withSweep(host, {}, async (sweep) => {
        const result = await sweep.result();
        expect(await hasContinued(sweep)).toBe(true);
        expect(result.note).toBe('aborted by an operator');
        expect(outcomes(result)).toEqual({
          [first]: skipped,
          ...Object.fromEntries(later.map((name) => [name, 'ERROR cancelled'])),
        });
      });
    });

    test('a pause is not forgotten, and resume ends it', async () => {
      const host = longSweep(pause);
      await withSweep(host, {}, async (sweep) => {
        await expect.poll(() => hasContinued(sweep), { timeout: 60_000 }).toBe(true);
        await expect
          .poll(async () => (await progressOf(sweep.workflowId)).state, { timeout: 60_000 })
          .toBe('paused');
        expect(host.calls.filter((call) => call.endsWith('mirror-sync'))).toEqual([`${first} mirror-sync`]);
        const latest = server.client.workflow.getHandle(sweep.workflowId);
        expect(await latest.executeUpdate(resumeUpdate)).toBe('resumed');
        const result = await sweep.result();
        expect(result.note).toBeNull();
        expect(outcomes(result)).toEqual(
          Object.fromEntries([first, ...later].map((name) => [name, skipped])),
        );
      });
    });

    test('nor is since when it is paused, and the budget goes on', async () => {
      let pausedMs = 0;
      const host = longSweep(async (sweep) => {
        pausedMs = Date.now();
        await pause(sweep);
      });
      host.sweepMs = 10_000;
      await withSweep(host, {}, async (sweep) => {
        const result = await sweep.result();
        expect(await hasContinued(sweep)).toBe(true);
        const [, since = ''] =
          /^out of time: paused by an operator since (.*)$/.exec(result.note ?? '') ?? [];
        const begunMs = (await server.client.workflow.getHandle(sweep.workflowId).describe()).startTime;
        expect(Date.parse(since)).toBeGreaterThanOrEqual(pausedMs - 1);
        expect(Date.parse(since)).toBeLessThan(begunMs.getTime());
        expect(outcomes(result)).toMatchObject({ [later[0]]: 'ERROR out-of-time' });
      });
    });

    test('what is to be skipped is not forgotten', async () => {
      const [, , last] = later;
      const args: [{ recipe: string; reason: string }] = [{ recipe: last, reason: 'not today' }];
      const host = longSweep((sweep) =>
        server.client.workflow.getHandle(sweep).executeUpdate(skipUpdate, { args }),
      );
      await withSweep(host, {}, async (sweep) => {
        const result = await sweep.result();
        expect(await hasContinued(sweep)).toBe(true);
        expect(outcomes(result)).toEqual({
          [first]: skipped,
          ...Object.fromEntries(later.map((name) => [name, skipped])),
          [last]: 'SKIP held (not today)',
        });
        expect(host.calls).not.toContain(`${last} mirror-sync`);
      });
    });
  });

  test('long reasons are cut where the sweep keeps them all', async () => {
    const host = fakeHost({ a: { releases: ['1.0.0+1'], red: { 'cold-test: install': 'x'.repeat(4_000) } } });
    await withSweep(host, {}, async (sweep) => {
      await sweep.result();
      const { recipes } = await sweep.query(progressQuery);
      expect(JSON.stringify(recipes).length).toBeLessThan(1_000);
      const whole = host.results.get(`${sweep.workflowId}/a`)?.outcome;
      expect(whole).toMatchObject({ why: 'x'.repeat(4_000) });
    });
  });
});

describe('plan and reap', () => {
  test('plan says what a sweep would do and deploys nothing', async () => {
    const host = fakeHost({
      old: { releases: ['1.0.0+1'], canonical: '1.0.0+1' },
      fresh: { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1' },
      gone: { faults: { 'mirror-sync': { type: 'TagMoved' } } },
    });
    const plan = await server.withWorker(host, () =>
      server.client.workflow.execute<typeof planWorkflow>('planWorkflow', {
        workflowId: randomUUID(),
        taskQueue: TASK_QUEUE,
        args: [{}],
      }),
    );
    expect(plan).toMatchObject([
      { recipe: 'old', decision: 'skip', canonical: '1.0.0+1' },
      { recipe: 'fresh', decision: 'run', latest: { version: '1.1.0+1' }, canonical: '1.0.0+1' },
      { recipe: 'gone', decision: 'error', reason: 'mirror-sync is broken' },
    ]);
    expect(host.calls.filter((call) => /cold-test|promote|record/.test(call))).toEqual([]);
  });

  test('plan that is cancelled says so, and of no recipe that it is broken', async () => {
    const host = fakeHost({ old: { hangs: 'mirror-sync' }, fresh: {} });
    await server.withWorker(host, async () => {
      const plan = await server.client.workflow.start('planWorkflow', {
        workflowId: randomUUID(),
        taskQueue: TASK_QUEUE,
        args: [{}],
      });
      await host.reached('old mirror-sync');
      await plan.cancel();
      expect(rootFailure(await failureOf(plan.result()))).toMatchObject({ name: 'CancelledFailure' });
    });
  });

  test('reap leaves a host alone that a run holds', async () => {
    const host = fakeHost({});
    host.busyWith = 'sweep sweep-1';
    const answer = await server.withWorker(host, () =>
      server.client.workflow.execute<typeof reapWorkflow>('reapWorkflow', {
        workflowId: randomUUID(),
        taskQueue: TASK_QUEUE,
      }),
    );
    expect(answer).toContain('sweep-1');
  });
});

describe('accepting a tag that moved', () => {
  const asked = { recipe: 'ghost', tag: '1.0.0+1', reason: 'only the notes', by: 'ada@ci' };

  async function accepted(host: FakeHost, input: unknown): Promise<string> {
    return server.withWorker(host, async () =>
      server.client.workflow.execute<typeof ledgerWorkflow>('ledgerWorkflow', {
        workflowId: `ledger-${randomUUID()}`,
        taskQueue: TASK_QUEUE,
        args: [input as typeof asked],
      }),
    );
  }

  test('is one step, told when it was asked for', async () => {
    const host = fakeHost({});
    expect(await accepted(host, asked)).toBe('tag 1.0.0+1 of ghost is accepted');
    expect(host.accepted).toEqual([{ ...asked, atMs: expect.any(Number) }]);
  });

  test.each([
    [{ ...asked, recipe: '../ghost' }, 'recipe: "../ghost" is not a recipe name'],
    [{ ...asked, tag: '-f' }, 'tag: "-f" is not a release\'s'],
    [{ ...asked, tag: 'stable' }, 'tag: "stable" is not a release\'s'],
    [{ ...asked, reason: ' \u200b ' }, 'reason: " \\u{200b} " says nothing'],
    [{ ...asked, reason: 'x'.repeat(501) }, 'reason: longer than 500 characters'],
    [{ ...asked, by: '' }, 'by: "" says nothing'],
    [{}, 'reason: undefined says nothing'],
  ])('%j is refused before anything is done', async (input, says) => {
    const host = fakeHost({});
    expect((await failureOf(accepted(host, input))).message).toContain(says);
    expect(host.accepted).toEqual([]);
  });
});
