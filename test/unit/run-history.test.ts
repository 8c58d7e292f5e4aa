import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../domain/outcome.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { indexedRun, redSince } from '../../domain/run-history.ts';
import { createRunIndex, type RunIndex } from '../../host/store/run-index.ts';
import { ERROR, FAIL, NOT_PROMOTED, PASS, SKIP } from '../fixtures/outcomes.ts';

function resultOf(day: number, outcome: Outcome): RecipeResult {
  const at = new Date(Date.UTC(2025, 0, day)).toISOString();
  return {
    schema: 4,
    recipe: 'gitea',
    asked: { by: 'sweep', id: `sweep-${day}` },
    outcome,
    leftovers: null,
    notes: [],
    release: { version: '1.1.0+1', commit: 'c'.repeat(40) },
    test: null,
    tiers: [],
    level: null,
    lint: null,
    spentMs: null,
    started: at,
    ended: at,
    workflow: { id: `sweep-${day}/gitea`, runId: null },
  };
}

describe('since when a recipe is red', () => {
  const since = (...newestFirst: Outcome[]) =>
    redSince(
      newestFirst.map((outcome, at) => indexedRun(resultOf(newestFirst.length - at, outcome), 'result.json')),
    );
  test('tests of heads do not count, red or green', () => {
    const ofTest = (day: number, outcome: Outcome) => {
      const id = `test-${day}`;
      return { ...resultOf(day, outcome), asked: { by: 'test', id } } as const;
    };
    const runs = [ofTest(4, PASS), resultOf(3, FAIL), ofTest(2, FAIL), resultOf(1, PASS)];
    expect(redSince(runs.map((run) => indexedRun(run, 'result.json')))).toEqual({ since: day(3), runs: 1 });
  });

  const day = (number: number): string => new Date(Date.UTC(2025, 0, number)).toISOString();

  test.each([
    ['it never ran', [], null],
    ['it passed last', [PASS, FAIL], null],
    ['it failed once', [FAIL, PASS], { since: day(2), runs: 1 }],
    ['it failed in two ways', [NOT_PROMOTED, FAIL, PASS, FAIL], { since: day(3), runs: 2 }],
    ['nothing was learned since', [ERROR, SKIP, FAIL, ERROR, FAIL, PASS], { since: day(2), runs: 2 }],
    ['it has been from the first', [FAIL, SKIP, FAIL], { since: day(1), runs: 2 }],
    ['nothing was ever learned', [ERROR, SKIP], null],
  ])('when %s', (_when, outcomes, expected) => {
    expect(since(...outcomes)).toEqual(expected);
  });
});

describe('the index', () => {
  let state: string;
  let index: RunIndex;
  let file: string;
  beforeEach(() => {
    state = mkdtempSync(path.join(os.tmpdir(), 'index-'));
    index = createRunIndex(state);
    file = path.join(state, 'index', 'gitea.jsonl');
  });
  afterEach(() => rmSync(state, { recursive: true }));

  const runs = async () => (await index.of('gitea')).runs.map(({ run }) => run);

  test('has the runs newest first, and says where the result is', async () => {
    for (const at of [1, 3, 2]) await index.add(resultOf(at, FAIL));
    expect(await runs()).toEqual(['sweep-3/gitea', 'sweep-2/gitea', 'sweep-1/gitea']);
    const [last] = (await index.of('gitea')).runs;
    expect(last).toEqual(indexedRun(resultOf(3, FAIL), 'runs/sweep-3/gitea/result.json'));
  });

  test('says of a run that ended twice how it ended last', async () => {
    await index.add(resultOf(1, ERROR));
    await index.add(resultOf(2, ERROR));
    await index.add(resultOf(1, PASS));
    expect((await index.of('gitea')).runs.map(({ outcome }) => outcome.kind)).toEqual(['ERROR', 'PASS']);
  });

  test('keeps a reason short, whatever a release has to say', async () => {
    await index.add(resultOf(1, { ...ERROR, why: 'x'.repeat(100_000) }));
    expect(readFileSync(file, 'utf8').length).toBeLessThan(1_000);
  });

  test('loses one line where a crash cut it, and says so', async () => {
    await index.add(resultOf(1, PASS));
    appendFileSync(file, '{"schema":2,"run":"sweep-2/gi');
    await index.add(resultOf(3, FAIL));
    expect(await runs()).toEqual(['sweep-3/gitea', 'sweep-1/gitea']);
    expect((await index.of('gitea')).problem).toContain('gitea.jsonl: 1 of its lines cannot be read');
  });

  test.each([
    ['a later version wrote', (line: string) => line.replace('"schema":2', '"schema":3')],
    ['names a path', (line: string) => line.replace('sweep-1/gitea', '../..')],
    ['is no JSON', () => 'x'],
  ])('does not take a line that %s for one', async (_what, change) => {
    await index.add(resultOf(1, PASS));
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    expect(await index.of('gitea')).toMatchObject({ runs: [], problem: expect.stringContaining('1 of its') });
  });

  test('of a recipe that never ran is empty, and one that cannot be read says so', async () => {
    expect(await index.of('gitea')).toEqual({ runs: [], problem: null });
    mkdirSync(file, { recursive: true });
    expect(await index.of('gitea')).toMatchObject({ runs: [], problem: expect.stringContaining(file) });
  });
});
