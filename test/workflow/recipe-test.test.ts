import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { outcomeTitle } from '../../domain/outcome.ts';
import {
  hostWorkflowId,
  SEARCH_ATTRIBUTES,
  stepQuery,
  SWEEP_WORKFLOW,
  TEST_WORKFLOW,
  turnsQuery,
  type RecipeTestResult,
  type SweepResult,
  type TestInput,
} from '../../workflows/protocol.ts';
import { fakeHost, type FakeHost, type FakeRecipe } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { failureOf, HOST, TASK_QUEUE, until } from './server.ts';

/** Tests of pull requests, in real workflows; the steps and the forge are a fake host's. */

const server = await openWorkflowServer();

const HEAD = 'f'.repeat(40);

function start(input: unknown, workflowId = `test-${randomUUID()}`): Promise<WorkflowHandle> {
  return server.client.workflow.start(TEST_WORKFLOW, { workflowId, taskQueue: TASK_QUEUE, args: [input] });
}

/** As a comment asks for it. */
function asked(recipe: string, comment: number, more: Partial<TestInput> = {}): TestInput {
  const at = new Date(Date.UTC(2025, 0, 1, 0, 0, comment)).toISOString();
  return { recipe, pr: 12, ref: HEAD, request: { comment, by: 'ada', at }, ...more };
}

async function testOf(host: FakeHost, input: unknown): Promise<RecipeTestResult> {
  return server.withWorker(host, async () => (await start(input)).result() as Promise<RecipeTestResult>);
}

const host = () => server.client.workflow.getHandle(hostWorkflowId(HOST));

async function waiting(): Promise<string[]> {
  return (await host().query(turnsQuery)).waiting.map(({ workflow }) => workflow.id);
}

const isWaiting = (one: WorkflowHandle) =>
  until('it waits', async () => (await waiting()).includes(one.workflowId));
const idle = () => until('the host is free', async () => (await host().describe()).status.name !== 'RUNNING');

/** A pull request of it makes the next release. */
const NEXT: FakeRecipe = { releases: ['1.0.0+1'], canonical: '1.0.0+1', head: '1.1.0+1', main: '1.0.0+1' };

describe('outcomes', () => {
  test('a head is tested cold over the canonical, and nothing is promoted', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, pullRequests: { 12: HEAD } } });
    const result = await testOf(fake, { recipe: 'hedgedoc', pr: 12 });
    expect(result).toMatchObject({
      recipe: 'hedgedoc',
      outcome: { kind: 'PASS', promoted: null },
      tested: {
        mode: 'cold',
        wanted: 'cold',
        why: null,
        pullRequest: 12,
        head: { version: '1.1.0+1', commit: HEAD },
        base: { version: '1.0.0+1' },
      },
      leftovers: null,
      unrecorded: null,
    });
    expect(fake.calls).toEqual([
      'hedgedoc pull request',
      'hedgedoc open test',
      'hedgedoc mirror-sync',
      'hedgedoc resolve',
      'hedgedoc head',
      'hedgedoc cold-test: install base',
      'hedgedoc cold-test: upgrade',
      'hedgedoc cold-test: backup',
      'hedgedoc cold-test: restore',
      'hedgedoc cold-test: custom',
      'hedgedoc cold-test: lint',
      'hedgedoc teardown',
      'hedgedoc record',
      'sweep give back',
    ]);
    const kept = fake.results.get(`${result.test}/hedgedoc`);
    expect(kept).toMatchObject({
      asked: { by: 'test', id: result.test },
      workflow: { id: result.test },
      release: { version: '1.1.0+1', commit: HEAD },
      test: result.tested,
      level: 5,
    });
    expect(fake.canonicals.size).toBe(0);
  });

  test('without a pull request and a commit main is tested', async () => {
    const fake = fakeHost({ hedgedoc: { releases: ['1.0.0+1'], head: '1.0.0+1' } });
    const { tested, outcome } = await testOf(fake, { recipe: 'hedgedoc' });
    expect(outcome.kind).toBe('PASS');
    expect(tested).toMatchObject({ pullRequest: null, base: null });
    expect(fake.calls).not.toContain('hedgedoc pull request');
  });

  test('a commit that is named with a pull request is the head that is meant', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, pullRequests: { 12: 'e'.repeat(40) } } });
    const { tested } = await testOf(fake, { recipe: 'hedgedoc', pr: 12, ref: HEAD });
    expect(tested?.head.commit).toBe(HEAD);
  });

  test('of the same version as the canonical, the base is the newest release before it', async () => {
    const recipe = { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.1.0+1', head: '1.1.0+1' };
    const { tested } = await testOf(fakeHost({ hedgedoc: recipe }), { recipe: 'hedgedoc', ref: HEAD });
    expect(tested).toMatchObject({ head: { version: '1.1.0+1' }, base: { version: '1.0.0+1' } });
  });

  test('a base that does not install is not the one that the result names', async () => {
    const fake = fakeHost({
      hedgedoc: {
        ...NEXT,
        releases: ['0.9.0+1', '1.0.0+1'],
        red: { 'cold-test: install base': 'manifest unknown' },
      },
    });
    const { tested } = await testOf(fake, { recipe: 'hedgedoc', ref: HEAD });
    expect(tested?.base?.version).toBe('0.9.0+1');
  });

  test('a red tier fails the head, and its workflow is completed', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, red: { 'cold-test: upgrade': 'never healthy' } } });
    const { outcome } = await testOf(fake, { recipe: 'hedgedoc', ref: HEAD });
    expect(outcome).toMatchObject({
      kind: 'FAIL',
      version: '1.1.0+1',
      tier: 'upgrade',
      canonical: '1.0.0+1',
    });
    expect(fake.calls.slice(-3)).toEqual(['hedgedoc teardown', 'hedgedoc record', 'sweep give back']);
  });

  test('a head that says no version is red, without a deployment', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, head: null } });
    const result = await testOf(fake, { recipe: 'hedgedoc', ref: HEAD });
    expect(result.outcome).toMatchObject({ kind: 'FAIL', tier: 'install', why: 'no label' });
    expect(fake.results.get(`${result.test}/hedgedoc`)).toMatchObject({
      release: null,
      test: { head: { version: null, commit: HEAD } },
      tiers: [{ tier: 'install', result: 'fail', evidence: '/version.txt' }, {}, {}, {}, {}],
      level: 0,
    });
    expect(fake.calls).not.toContain('hedgedoc teardown');
  });

  test.each<[string, FakeRecipe, string]>([
    ['no canonical', { head: '1.1.0+1' }, 'there is no canonical'],
    ['the data dropped', { ...NEXT, dataDropped: '2025-03-02T03:00:00.000Z' }, 'was dropped on 2025-03-02'],
    [
      'the canonical of the same version',
      { ...NEXT, head: '1.0.0+1' },
      "the head's version is the canonical's",
    ],
    ['the canonical newer', { ...NEXT, head: '0.9.0+1' }, 'is newer than the head'],
  ])('with %s a quick test is a cold one, and says why', async (_what, recipe, why) => {
    const fake = fakeHost({ hedgedoc: recipe });
    const { tested, outcome } = await testOf(fake, { recipe: 'hedgedoc', ref: HEAD, quick: true });
    expect(outcome.kind).toBe('PASS');
    expect(tested).toMatchObject({ mode: 'cold', wanted: 'quick', why: expect.stringContaining(why) });
  });

  test('without a canonical main is the base, unless it is newer', async () => {
    const recipe = { head: '1.1.0+1', main: '1.0.0+1' };
    const over = await testOf(fakeHost({ hedgedoc: recipe }), { recipe: 'hedgedoc', ref: HEAD });
    expect(over.tested?.base).toMatchObject({ version: '1.0.0+1' });
    const stale = fakeHost({ hedgedoc: { ...recipe, main: '2.0.0+1' } });
    const result = await testOf(stale, { recipe: 'hedgedoc', ref: HEAD });
    expect(result.tested?.base).toBeNull();
    expect(stale.results.get(`${result.test}/hedgedoc`)?.tiers[1]).toMatchObject({
      result: 'skipped',
      reason: expect.stringContaining('main is at 2.0.0+1'),
    });
  });

  test('a hold stops no test', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, hold: 'for now' } });
    expect((await testOf(fake, { recipe: 'hedgedoc', ref: HEAD })).outcome.kind).toBe('PASS');
  });

  test('what is gone from the mirror has no verdict, and its workflow fails with the reason', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, gone: true } });
    await server.withWorker(fake, async () => {
      const run = await start({ recipe: 'hedgedoc', ref: HEAD });
      const failure = await failureOf(run.result());
      expect(failure.message).toContain(`the mirror has no commit ${HEAD}`);
      expect(fake.results.get(`${run.workflowId}/hedgedoc`)?.outcome).toMatchObject({
        kind: 'ERROR',
        cause: 'infrastructure',
      });
      await idle();
    });
    expect(fake.calls.at(-1)).toBe('sweep give back');
  });

  test('without a tool that the recipe needs there is no verdict, and nothing is deployed', async () => {
    const lack = 'git-lfs, which gitea names in "tools", is not on /usr/bin: install it';
    const fake = fakeHost({ hedgedoc: { ...NEXT, lack } });
    await server.withWorker(fake, async () => {
      const run = await start({ recipe: 'hedgedoc', ref: HEAD });
      expect((await failureOf(run.result())).message).toBe(`ERROR infrastructure: ${lack}`);
      await idle();
    });
    expect(fake.calls.slice(-3)).toEqual(['hedgedoc resolve', 'hedgedoc record', 'sweep give back']);
  });

  test('an unready host has no verdict, and is given back', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, faults: { 'open test': { type: 'Preflight' } } } });
    await server.withWorker(fake, async () => {
      const run = await start({ recipe: 'hedgedoc', ref: HEAD });
      expect((await failureOf(run.result())).message).toContain('open test is broken');
      await idle();
    });
    expect(fake.calls.slice(-2)).toEqual(['hedgedoc record', 'sweep give back']);
  });

  test('a cancelled test is torn down, recorded, and gives the host back', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, hangs: 'cold-test: upgrade' } });
    await server.withWorker(fake, async () => {
      const run = await start({ recipe: 'hedgedoc', ref: HEAD });
      await fake.reached('hedgedoc cold-test: upgrade');
      expect(await run.query(stepQuery)).toMatchObject({ step: 'cold-test: upgrade' });
      await run.cancel();
      await expect(run.result()).rejects.toThrow();
      expect((await run.describe()).status.name).toBe('CANCELLED');
      const { outcome } = fake.results.get(`${run.workflowId}/hedgedoc`) ?? {};
      expect(outcome && outcomeTitle(outcome)).toBe('ERROR cancelled');
      await idle();
    });
    expect(fake.calls.slice(-3)).toEqual(['hedgedoc teardown', 'hedgedoc record', 'sweep give back']);
  });

  test('a recipe that is not enrolled leaves nothing', async () => {
    const fake = fakeHost({ hedgedoc: NEXT });
    await server.withWorker(fake, async () => {
      expect((await failureOf((await start({ recipe: 'gitea' })).result())).message).toContain(
        'not enrolled',
      );
    });
    expect(fake.results.size).toBe(0);
    expect(fake.calls).toEqual([]);
  });

  test('a pull request that is not there fails at once', async () => {
    const fake = fakeHost({ hedgedoc: NEXT });
    await server.withWorker(fake, async () => {
      const failure = await failureOf((await start({ recipe: 'hedgedoc', pr: 3, ref: HEAD })).result());
      expect(failure.message).toContain('has no pull request 3');
    });
    expect(fake.calls).not.toContain('hedgedoc open test');
  });

  test.each([
    [{ recipe: '../x' }, 'not a recipe name'],
    [{ recipe: 'a', pr: 0 }, "not a pull request's number"],
    [{ recipe: 'a', ref: 'main' }, 'not a whole commit ID'],
    [{ recipe: 'a', quick: 'yes' }, 'neither true nor false'],
    [{ recipe: 'a', promote: true }, 'promote: unknown key'],
    [{ recipe: 'a', request: { comment: 1, by: 'ada', at: '2025-01-01' } }, 'go with it'],
  ])('of the input %j the workflow fails at once', async (input, says) => {
    await server.withWorker(fakeHost({ a: {} }), async () => {
      const failure = await failureOf((await start(input)).result());
      expect(failure.message).toContain(says);
    });
  });

  test('it is found by its recipe, its outcome, its mode and its pull request', async () => {
    const fake = fakeHost({ hedgedoc: { ...NEXT, pullRequests: { 12: HEAD } } });
    await server.withWorker(fake, async () => {
      const run = await start({ recipe: 'hedgedoc', pr: 12, quick: true }).then(async (one) => {
        await one.result().catch(() => undefined);
        return one;
      });
      const { typedSearchAttributes: found } = await run.describe();
      expect(found.get(SEARCH_ATTRIBUTES.Recipe)).toBe('hedgedoc');
      expect(found.get(SEARCH_ATTRIBUTES.TestMode)).toBe('quick');
      expect(found.get(SEARCH_ATTRIBUTES.PullRequest)).toBe('hedgedoc#12');
      expect(found.get(SEARCH_ATTRIBUTES.RecipeOutcome)).toBeDefined();
    });
  });
});

describe('its turn', () => {
  /** A sweep of a and b, of which a takes a while. */
  const sweeping = (more: Record<string, FakeRecipe> = {}): FakeHost =>
    fakeHost({
      a: { releases: ['1.0.0+1'], slow: 'cold-test: install' },
      b: { releases: ['1.0.0+1'], slow: 'cold-test: install' },
      c: NEXT,
      ...more,
    });
  const startSweep = (...recipes: string[]) =>
    server.client.workflow.start(SWEEP_WORKFLOW, {
      workflowId: `sweep-${randomUUID()}`,
      taskQueue: TASK_QUEUE,
      args: [{ recipes }],
    });

  test('comes between two recipes of a sweep, and no more than so many tests go there', async () => {
    const fake = sweeping();
    await server.withWorker(fake, async () => {
      const sweep = await startSweep('a', 'b');
      await fake.reached('a cold-test: install');
      const tests: WorkflowHandle[] = [];
      for (let count = 0; count < 3; count += 1) {
        tests.push(await start({ recipe: 'c', ref: HEAD }));
        await isWaiting(tests[count] as WorkflowHandle);
      }
      for (const one of tests) expect(((await one.result()) as RecipeTestResult).outcome.kind).toBe('PASS');
      expect(((await sweep.result()) as SweepResult).verdict).toBe('green');
      await idle();
    });
    const story = fake.calls.filter((call) => ['c open test', 'b mirror-sync', 'a record'].includes(call));
    expect(story).toEqual(['a record', 'c open test', 'c open test', 'b mirror-sync', 'c open test']);
  });

  test('of one that is cancelled while it waits is passed over, and it says so', async () => {
    const fake = sweeping();
    await server.withWorker(fake, async () => {
      const sweep = await startSweep('a');
      await fake.reached('a cold-test: install');
      const run = await start({ recipe: 'c', ref: HEAD });
      await isWaiting(run);
      expect(await run.query(stepQuery)).toMatchObject({ step: 'turn' });
      await run.cancel();
      await expect(run.result()).rejects.toThrow();
      await until('it left', async () => (await waiting()).length === 0);
      expect(fake.results.get(`${run.workflowId}/c`)?.outcome).toEqual({
        kind: 'ERROR',
        cause: 'cancelled',
        why: 'cancelled at turn',
      });
      await sweep.result();
      await idle();
    });
    expect(fake.calls).not.toContain('c open test');
  });

  test('is for the newest request of a pull request alone, in whatever order they come', async () => {
    const fake = sweeping();
    await server.withWorker(fake, async () => {
      const sweep = await startSweep('a');
      await fake.reached('a cold-test: install');
      const second = await start(asked('c', 2));
      await isWaiting(second);
      const first = await start(asked('c', 1));
      const third = await start(asked('c', 3));
      const elsewhere = await start(asked('c', 4, { pr: 13 }));
      for (const older of [first, second]) {
        const { outcome } = (await older.result()) as RecipeTestResult;
        expect(outcome).toMatchObject({ kind: 'SKIP', because: 'superseded' });
        expect(fake.results.get(`${older.workflowId}/c`)?.outcome).toEqual(outcome);
      }
      for (const one of [third, elsewhere]) {
        expect(((await one.result()) as RecipeTestResult).outcome.kind).toBe('PASS');
      }
      await sweep.result();
      await idle();
    });
    expect(fake.said.findLast(({ request }) => request === 1)?.word.end?.outcome).toMatchObject({
      because: 'superseded',
      why: expect.stringContaining('asked for again'),
    });
  });

  test('once come is not taken away by a newer request', async () => {
    const fake = sweeping({ c: { ...NEXT, slow: 'cold-test: install base' } });
    await server.withWorker(fake, async () => {
      const first = await start(asked('c', 1));
      await fake.reached('c cold-test: install base');
      const second = await start(asked('c', 2));
      for (const one of [first, second]) {
        expect(((await one.result()) as RecipeTestResult).outcome.kind).toBe('PASS');
      }
      await idle();
    });
  });
});

describe('what is said where it was asked for', () => {
  test('is whom it waits for, base and tiers, and how it ended, each no sooner than 10 s after the last', async () => {
    const fake = fakeHost({
      a: { releases: ['1.0.0+1'], hangs: 'cold-test: install' },
      c: { ...NEXT, red: { 'cold-test: custom': 'exit status 1' } },
    });
    await server.withWorker(fake, async () => {
      const sweep = await server.client.workflow.start(SWEEP_WORKFLOW, {
        workflowId: `sweep-${randomUUID()}`,
        taskQueue: TASK_QUEUE,
        args: [{ recipes: ['a'] }],
      });
      await fake.reached('a cold-test: install');
      const run = await start(asked('c', 7));
      await until('it says so', async () => fake.said.some(({ word }) => word.behind !== null));
      await sweep.cancel();
      await sweep.result().catch(() => undefined);
      await run.result();
      await idle();
    });
    const words = fake.said.map(({ word }) => word);
    expect(words.find(({ behind }) => behind !== null)).toMatchObject({
      step: 'turn',
      behind: 'the recipe that a sweep is at',
    });
    expect(words.at(-1)).toMatchObject({
      commit: HEAD,
      tested: { base: { version: '1.0.0+1' } },
      end: { outcome: { kind: 'FAIL', tier: 'custom' }, level: 3 },
    });
    const gaps = fake.said.slice(1).map(({ at }, place) => at - (fake.said[place]?.at ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThan(9_900);
  });

  test('is said when a forge that was away comes back, and the test did not wait for it', async () => {
    const fake = fakeHost({ c: NEXT });
    fake.forgeAway = 2;
    await server.withWorker(fake, async () => {
      const run = await start(asked('c', 8));
      await run.result();
      await idle();
    });
    expect(fake.said.map(({ word }) => word.end?.outcome.kind ?? word.step)).toEqual(['PASS']);
    const given = fake.calls.indexOf('sweep give back');
    expect(fake.calls.slice(given)).toContain('c answer');
  });

  test('is said of a test that was cancelled', async () => {
    const fake = fakeHost({ c: { ...NEXT, hangs: 'cold-test: upgrade' } });
    await server.withWorker(fake, async () => {
      const run = await start(asked('c', 9));
      await fake.reached('c cold-test: upgrade');
      await run.cancel();
      await expect(run.result()).rejects.toThrow();
    });
    expect(fake.said.at(-1)?.word.end?.outcome).toMatchObject({ kind: 'ERROR', cause: 'cancelled' });
  });
});
