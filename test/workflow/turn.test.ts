import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import {
  abortUpdate,
  CANONICAL_WORKFLOW,
  hostWorkflowId,
  progressQuery,
  SWEEP_WORKFLOW,
  turnsQuery,
  type SweepResult,
} from '../../workflows/protocol.ts';
import { fakeHost, type FakeHost } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { HOST, TASK_QUEUE, until } from './server.ts';

/** Whose turn it is, between real workflows; the steps are a fake host's. */

const server = await openWorkflowServer();

function start(type: string, input: unknown): Promise<WorkflowHandle> {
  const workflowId = `${type}-${randomUUID()}`;
  return server.client.workflow.start(type, { workflowId, taskQueue: TASK_QUEUE, args: [input] });
}

const startSweep = (...recipes: string[]) => start(SWEEP_WORKFLOW, { recipes });
const startForget = (recipe: string) => start(CANONICAL_WORKFLOW, { recipe, change: 'forget' });

const host = () => server.client.workflow.getHandle(hostWorkflowId(HOST));

async function waiting(): Promise<string[]> {
  const turns = await host().query(turnsQuery);
  return turns.waiting.map(({ workflow }) => workflow.id);
}

const idle = () => until('the host is free', async () => (await host().describe()).status.name !== 'RUNNING');

/** Two recipes of which the first takes so long that somebody can ask meanwhile. */
const twoRecipes = (): FakeHost =>
  fakeHost({ a: { releases: ['1.0.0+1'], slow: 'cold-test: install' }, b: { releases: ['1.0.0+1'] }, c: {} });

/** A sweep of a and b that has given way to who forgets c, which takes a while. */
async function whileGivenWay(
  body: (sweep: WorkflowHandle, forget: WorkflowHandle) => Promise<void>,
): Promise<FakeHost> {
  const fake = fakeHost({
    a: { releases: ['1.0.0+1'], slow: 'cold-test: install' },
    b: { releases: ['1.0.0+1'] },
    c: { slow: 'forget' },
  });
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const forget = await startForget('c');
    await fake.reached('c forget');
    await body(sweep, forget);
    await idle();
  });
  return fake;
}

test('what an operator asks for goes between two recipes of a sweep, and nothing runs beside it', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const forget = await startForget('c');
    await until('it waits', async () => (await waiting()).includes(forget.workflowId));
    expect(await host().query(turnsQuery)).toMatchObject({
      holder: { asker: 'sweep', workflow: { id: sweep.workflowId } },
      waiting: [{ asker: 'hand', what: 'canonical forget of c', sinceMs: expect.any(Number) }],
    });
    expect(await forget.result()).toContain('c has no canonical');
    expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
  const order = ['a record', 'sweep give back', 'c forget', 'b mirror-sync'].map((call) =>
    fake.calls.indexOf(call),
  );
  expect(order).toEqual([...order].sort((one, other) => one - other));
  expect(order).not.toContain(-1);
});

test('a sweep gives its turn back when it ends, and nobody who asks for nothing is in its way', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    await (await startSweep('a', 'b')).result();
    await idle();
  });
  expect(fake.calls).not.toContain('sweep give back');
});

test('a second sweep ends as skipped, and says which one is under way', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    const first = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const second = await (await startSweep('c')).result();
    expect(second).toMatchObject({ verdict: 'skipped', note: expect.stringContaining(first.workflowId) });
    await first.result();
    await idle();
  });
  expect(fake.calls.filter((call) => call === 'sweep open')).toHaveLength(1);
});

test('a sweep waits for what has the host, says so, and then begins', async () => {
  const fake = fakeHost({ a: { releases: ['1.0.0+1'] }, c: { hangs: 'forget' } });
  await server.withWorker(fake, async () => {
    const forget = await startForget('c');
    await fake.reached('c forget');
    const sweep = await startSweep('a');
    await until('it says so', async () => {
      const { state } = await sweep.query(progressQuery);
      return state === 'waiting for its turn';
    });
    expect(fake.calls).not.toContain('sweep open');
    await forget.cancel();
    expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
});

test('who is cancelled while it waits leaves the queue, and does nothing', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const forget = await startForget('c');
    await until('it waits', async () => (await waiting()).includes(forget.workflowId));
    await forget.cancel();
    await expect(forget.result()).rejects.toThrow();
    await until('it left', async () => (await waiting()).length === 0);
    await sweep.result();
    await idle();
  });
  expect(fake.calls).not.toContain('c forget');
});

test('a holder that was terminated gives way at once to whoever asks', async () => {
  const fake = fakeHost({
    a: { releases: ['1.0.0+1'], hangs: 'cold-test: install' },
    b: { releases: ['1.0.0+1'] },
  });
  await server.withWorker(fake, async () => {
    const lost = await startSweep('a');
    await fake.reached('a cold-test: install');
    await lost.terminate('for the test');
    fake.ended.add(lost.workflowId);
    const sweep = await startSweep('b');
    expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
});

test('what was terminated between two recipes of a sweep is reaped before the next one', async () => {
  const fake = fakeHost({
    a: { releases: ['1.0.0+1'], slow: 'cold-test: install' },
    b: { releases: ['1.0.0+1'] },
    c: { hangs: 'forget' },
  });
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const lost = await startForget('c');
    await fake.reached('c forget');
    await lost.terminate('for the test');
    fake.ended.add(lost.workflowId);
    expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
  const order = ['c forget', 'sweep reap', 'b mirror-sync'].map((call) => fake.calls.indexOf(call));
  expect(order).toEqual([...order].sort((one, other) => one - other));
  expect(order).not.toContain(-1);
});

test('who waits is served although the workflow of the host was ended by somebody', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    await host().terminate('for the test');
    // Whoever asks next begins it anew, and it learns from the lock who has the host.
    const forget = await startForget('c');
    await until('it waits', async () => (await waiting()).includes(forget.workflowId));
    await forget.result();
    expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
});

test('a sweep that is cancelled while it has given way writes its report in its turn', async () => {
  const fake = await whileGivenWay(async (sweep, forget) => {
    await sweep.cancel();
    await forget.result();
    await expect(sweep.result()).rejects.toThrow();
  });
  expect(fake.calls.indexOf('sweep close')).toBeGreaterThan(fake.calls.indexOf('c forget'));
  expect(fake.calls).not.toContain('b mirror-sync');
});

test('an abort of a sweep that waits ends it as skipped, without a look at the host', async () => {
  const fake = fakeHost({ a: { releases: ['1.0.0+1'] }, c: { hangs: 'forget' } });
  await server.withWorker(fake, async () => {
    const forget = await startForget('c');
    await fake.reached('c forget');
    const sweep = await startSweep('a');
    await until('it waits', async () => (await waiting()).includes(sweep.workflowId));
    expect(await sweep.executeUpdate(abortUpdate)).toContain('in its turn');
    expect(await sweep.result()).toMatchObject({ verdict: 'skipped', note: 'aborted by an operator' });
    expect(await waiting()).toEqual([]);
    await forget.cancel();
    await idle();
  });
  expect(fake.calls).not.toContain('sweep open');
});

test('an abort of a sweep that has given way is reported in its turn', async () => {
  const fake = await whileGivenWay(async (sweep, forget) => {
    await sweep.executeUpdate(abortUpdate);
    expect(((await sweep.result()) as SweepResult).note).toBe('aborted by an operator');
    await forget.result();
  });
  expect(fake.calls.indexOf('sweep close')).toBeGreaterThan(fake.calls.indexOf('c forget'));
});

test('what breaks a sweep off between two recipes costs neither its report nor the host', async () => {
  const fake = twoRecipes();
  fake.faults['give back'] = { type: 'BadInput' };
  await server.withWorker(fake, async () => {
    const sweep = await startSweep('a', 'b');
    await fake.reached('a cold-test: install');
    const forget = await startForget('c');
    await until('it waits', async () => (await waiting()).includes(forget.workflowId));
    await expect(sweep.result()).rejects.toThrow();
    expect(fake.closing).toMatchObject({ unreached: ['b'], note: expect.stringContaining('broken off') });
    expect(fake.results.get(`${sweep.workflowId}/b`)?.outcome).toMatchObject({ cause: 'infrastructure' });
    delete fake.faults['give back'];
    await forget.result().catch(() => undefined);
    await idle();
  });
});

test('a workflow that cannot ask for the host fails, and hangs nobody', async () => {
  const fake = twoRecipes();
  await server.withWorker(fake, async () => {
    server.turns.fails = true;
    try {
      await expect((await startSweep('a')).result()).rejects.toThrow();
    } finally {
      server.turns.fails = false;
    }
    expect(((await (await startSweep('a')).result()) as SweepResult).verdict).toBe('green');
    await idle();
  });
});
