import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  abortUpdate,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  skipUpdate,
} from '../../workflows/protocol.ts';
import type { ledgerWorkflow, planWorkflow, reapWorkflow } from '../../workflows/index.ts';
import { fakeHost, type FakeHost } from './fake-host.ts';
import { failureOf, TASK_QUEUE } from './server.ts';
import { openWorkflowServer } from './open-server.ts';
import { outcomes, sweepsOn } from './sweeps.ts';

/** What operators do to a sweep, and within which bounds it goes on; the steps are a fake host's. */

const server = await openWorkflowServer();
const { withSweep, sweepOf } = sweepsOn(server);

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
        expect(await failureOf(sweep.result())).toMatchObject({ name: 'CancelledFailure' });
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
      expect(await failureOf(sweep.result())).toMatchObject({ name: 'CancelledFailure' });
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
      expect(await failureOf(sweep.result())).toMatchObject({ name: 'CancelledFailure' });
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

describe('plan and reap', () => {
  test('plan says what a sweep would do and deploys nothing', async () => {
    const host = fakeHost({
      old: { releases: ['1.0.0+1'], canonical: '1.0.0+1' },
      fresh: { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1' },
      gone: { faults: { 'mirror-sync': { type: 'TagMoved' } } },
      away: { canonical: '1.0.0+1', faults: { 'mirror-sync': { type: 'MirrorSync' } } },
      lacking: { releases: ['1.0.0+1'], canonical: '0.9.0+1', lack: 'git-lfs is not on /bin' },
      unreadable: { releases: ['1.0.0+1'], faults: { resolve: { type: 'RecordUnreadable' } } },
    });
    host.leftOut = [
      { recipe: 'keycloak', why: 'a shared live service', gone: false, version: '10.0.0+26' },
      { recipe: 'lost', why: 'it was swept before', gone: true, version: null },
    ];
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
      {
        recipe: 'away',
        decision: 'error',
        latest: null,
        canonical: '1.0.0+1',
        reason: 'mirror-sync is broken',
      },
      {
        recipe: 'lacking',
        decision: 'error',
        latest: { version: '1.0.0+1' },
        canonical: '0.9.0+1',
        reason: 'git-lfs is not on /bin',
      },
      { recipe: 'unreadable', decision: 'error', latest: { version: '1.0.0+1' }, canonical: null },
      {
        recipe: 'keycloak',
        decision: 'not enrolled',
        canonical: '10.0.0+26',
        reason: 'a shared live service',
      },
      { recipe: 'lost', decision: 'error', canonical: null, reason: 'it was swept before' },
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
      expect(await failureOf(plan.result())).toMatchObject({ name: 'CancelledFailure' });
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
