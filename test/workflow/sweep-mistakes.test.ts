import { describe, expect, test } from 'vitest';
import {
  abortUpdate,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  SEARCH_ATTRIBUTES,
  skipUpdate,
} from '../../workflows/protocol.ts';
import { outcomeTitle } from '../../domain/outcome.ts';
import { fakeHost, type FakeHost, type FakeRecipe } from './fake-host.ts';
import { failureOf, SUGGEST_CONTINUE_AS_NEW } from './server.ts';
import { openWorkflowServer } from './open-server.ts';
import { outcomes, sweepsOn, type Sweep } from './sweeps.ts';

/** Steps of a sweep that fail, and what they may cost; they are a fake host's. */

const server = await openWorkflowServer();
const { withSweep, sweepOf, progressOf } = sweepsOn(server);

test('a tool that one recipe needs and the host lacks costs that recipe alone its verdict', async () => {
  const lack = 'git-lfs, which gitea names in "tools", is not on /usr/bin: install it';
  const host = fakeHost({
    drone: { releases: ['1.0.0+1'], deps: ['gitea'], lack },
    ghost: { releases: ['1.0.0+1'] },
    held: { releases: ['1.0.0+1'], hold: 'later', lack },
    old: { releases: ['1.0.0+1'], canonical: '1.0.0+1', lack },
  });
  await withSweep(host, {}, async (sweep) => {
    expect(outcomes(await sweep.result())).toEqual({
      drone: 'ERROR infrastructure',
      ghost: 'PASS (promoted 1.0.0+1)',
      held: 'SKIP held (later)',
      old: 'SKIP no-new-version',
    });
    expect(host.results.get(`${sweep.workflowId}/drone`)?.outcome).toMatchObject({
      why: `at decide: ${lack}`,
    });
    // Nothing was deployed, not even what it needs.
    expect(host.calls.filter((call) => call.startsWith('drone'))).toEqual([
      'drone mirror-sync',
      'drone resolve',
      'drone record',
    ]);
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
      expect(await failureOf(sweep.result())).toMatchObject({
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
