import { describe, expect, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../workflows/protocol.ts';
import { fakeHost } from './fake-host.ts';
import { failureOf } from './server.ts';
import { openWorkflowServer } from './open-server.ts';
import { outcomes, sweepsOn } from './sweeps.ts';

/** What a sweep says of its recipes; the steps are a fake host's. */

const server = await openWorkflowServer();
const { withSweep, sweepOf } = sweepsOn(server);

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

test("the sweep's page says at its end what changed first, and lists its recipes in that order", async () => {
  const host = fakeHost({
    a: { releases: ['1.0.0+1'] },
    b: { releases: ['1.0.0+1'], red: { 'cold-test: install': 'no' } },
  });
  const since = '2025-03-02T03:00:00.000Z';
  host.told = {
    standings: [
      { recipe: 'b', is: 'newly red', since, who: 'the package', next: 'mend it', open: null },
      { recipe: 'a', is: 'promoted', since, who: 'nobody', next: '', open: null },
    ],
    site: 'https://ci.example.org/',
  };
  await withSweep(host, {}, async (sweep) => {
    expect(await sweep.result()).toMatchObject(host.told);
    const { currentDetails } = await sweep.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(currentDetails.split('\n').filter((line) => line !== '')).toEqual([
      expect.stringMatching(/^\*\*done\*\*: 2 of 2/),
      expect.stringMatching(/FAIL/),
      `- **newly red**: b, since ${since}; the package: mend it`,
      expect.stringMatching(/^- b: FAIL/),
      expect.stringMatching(/^- a: PASS/),
      'More: https://ci.example.org/',
    ]);
    const run = server.client.workflow.getHandle(`${sweep.workflowId}/b`);
    const told = await run.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(told.currentDetails).toMatch(/^## FAIL\n\ninstall: no\n\nWhose it is: the package: /);
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

describe('the images of the next recipe', () => {
  const fresh = { releases: ['1.0.0+1'] };
  const old = { releases: ['1.0.0+1'], canonical: '1.0.0+1' };

  test('are pulled while one is tested, and while one is skipped nothing is', async () => {
    const host = fakeHost({ drone: fresh, ghost: old, hedgedoc: fresh });
    await sweepOf(host);
    expect(host.ahead.asked).toEqual([{ beside: 'drone', next: ['ghost', 'hedgedoc'] }]);
    const again = fakeHost({ drone: old, ghost: old, hedgedoc: { ...old, hold: 'for now' } });
    await sweepOf(again);
    expect(again.ahead.asked).toEqual([]);
  });

  test('are no one’s that an operator skips', async () => {
    const slow = { ...fresh, slow: 'cold-test: install' };
    const host = fakeHost({ drone: slow, ghost: fresh, hedgedoc: fresh, mumble: fresh });
    await withSweep(host, {}, async (sweep) => {
      await host.reached('drone cold-test: install');
      await sweep.executeUpdate('skip', { args: [{ recipe: 'hedgedoc' }] });
      await sweep.result();
    });
    expect(host.ahead.asked).toContainEqual({ beside: 'ghost', next: ['mumble'] });
  });

  test('change no outcome where they cannot be had', async () => {
    const host = fakeHost({ drone: fresh, ghost: fresh });
    host.ahead.does = 'fails';
    const result = await sweepOf(host);
    expect(result).toMatchObject({ verdict: 'green', problems: [] });
    expect(host.ahead.asked).toContainEqual({ beside: 'drone', next: ['ghost'] });
  });

  test('are given up when the test has ended, and nobody waits for that', async () => {
    const host = fakeHost({ drone: fresh, ghost: fresh });
    host.ahead.does = 'hangs';
    const result = await sweepOf(host);
    expect(result.verdict).toBe('green');
    await expect.poll(() => host.ahead.givenUp, { timeout: 10_000 }).toEqual(['drone']);
  });

  test('are given up with the sweep', async () => {
    const host = fakeHost({ drone: { ...fresh, hangs: 'cold-test: install' }, ghost: fresh });
    host.ahead.does = 'hangs';
    await withSweep(host, {}, async (sweep) => {
      await host.reached('drone cold-test: install');
      await sweep.cancel();
      await sweep.result().catch(() => undefined);
      await expect.poll(() => host.ahead.givenUp, { timeout: 10_000 }).toEqual(['drone']);
    });
    expect(host.results.get([...host.results.keys()][0] ?? '')?.outcome).toMatchObject({
      cause: 'cancelled',
    });
  });
});
