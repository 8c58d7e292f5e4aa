import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../domain/outcome.ts';
import type { IndexedRun } from '../../domain/run-history.ts';
import { inOrder, standingOf, STANDINGS, tellingRun } from '../../domain/standing.ts';
import { ERROR, FAIL, HELD, NOT_PROMOTED, PASS, SKIP } from '../fixtures/outcomes.ts';

const DAY_MS = 24 * 60 * 60_000;
const NOW = Date.UTC(2025, 2, 30, 5);
const at = (daysAgo: number): string => new Date(NOW - daysAgo * DAY_MS).toISOString();

function run(daysAgo: number, outcome: Outcome, by: 'sweep' | 'test' = 'sweep'): IndexedRun {
  const id = `${by}-${daysAgo}`;
  return {
    schema: 2,
    run: `${id}/ghost`,
    asked: { by, id },
    outcome,
    version: '1.1.0+1',
    level: null,
    tiers: [],
    started: at(daysAgo + 0.01),
    ended: at(daysAgo),
    result: 'x',
  };
}

/** A week apart, newest first. */
const weekly = (...outcomes: Outcome[]): IndexedRun[] =>
  outcomes.map((outcome, week) => run(week * 7, outcome));

describe('where a recipe stands', () => {
  test.each([
    ['it never ran', [], 'never swept', null],
    ['only a pull request was tested', [run(0, FAIL, 'test')], 'never swept', null],
    ['it failed for the first time', weekly(FAIL, PASS), 'newly red', at(0)],
    ['it was green and could not be promoted', weekly(NOT_PROMOTED, PASS), 'newly red', at(0)],
    ['it failed the first time it ran', weekly(FAIL), 'newly red', at(0)],
    ['it fails for the third week', weekly(FAIL, FAIL, FAIL, PASS), 'red', at(14)],
    ['somebody swept it again this week', [run(0, FAIL), run(3, FAIL), run(7, PASS)], 'newly red', at(3)],
    ['it passed after it failed', weekly(PASS, FAIL), 'newly green', at(0)],
    [
      'it passed twice this week, after it failed',
      [run(0, PASS), run(2, PASS), run(7, FAIL)],
      'newly green',
      at(0),
    ],
    ['it failed and passed within a week', [run(0, PASS), run(1, FAIL), run(7, PASS)], 'newly green', at(0)],
    ['it passed after it passed', weekly(PASS, PASS), 'promoted', at(0)],
    ['it passed the first time', weekly(PASS), 'promoted', at(0)],
    ['nothing is new', weekly(SKIP, SKIP, PASS), 'unchanged', at(14)],
    ['nothing is new since a verdict that stands', weekly(SKIP, PASS, FAIL), 'unchanged', at(7)],
    ['its release was never tested', weekly(SKIP, SKIP), 'unchanged', at(7)],
    ['the red release is gone', weekly(SKIP, FAIL, PASS), 'red', at(7)],
    ['somebody holds it', weekly(HELD, HELD, PASS), 'held', at(7)],
    ['somebody holds it and it is red', weekly(HELD, FAIL, PASS), 'held', at(0)],
    ['nothing was learned', weekly(ERROR, PASS), 'blocked', at(0)],
    ['nothing was learned for two weeks of a red one', weekly(ERROR, ERROR, FAIL), 'blocked', at(7)],
  ])('when %s', (_when, runs, is, since) => {
    expect(standingOf('ghost', runs, at(0))).toMatchObject({ is, since });
  });

  test('is asked of a moment: what came later does not count', () => {
    const runs = weekly(PASS, FAIL, PASS);
    expect(standingOf('ghost', runs, at(7))).toMatchObject({ is: 'newly red', since: at(7), redRuns: 1 });
  });

  test('of one that learned nothing still says since when it is red', () => {
    const found = standingOf('ghost', weekly(ERROR, FAIL, FAIL, PASS), at(0));
    expect(found).toMatchObject({ is: 'blocked', redSince: at(14), redRuns: 2, blame: { who: 'this host' } });
    expect(tellingRun(found)?.outcome).toBe(ERROR);
  });

  test('of a red release that is gone shows the run that was red', () => {
    const found = standingOf('ghost', weekly(SKIP, FAIL), at(0));
    expect(found.blame.who).toBe('the package');
    expect(tellingRun(found)?.outcome).toBe(FAIL);
  });
});

test('what changed is told first, then what stands so longest, then by name', () => {
  const each = STANDINGS.map((is) => ({ recipe: 'b', is, since: at(1) })).toReversed();
  const more = [
    { recipe: 'a', is: 'newly red' as const, since: at(1) },
    { recipe: 'z', is: 'newly red' as const, since: at(2) },
  ];
  const told = inOrder([...each, ...more]).map(({ recipe, is }) => `${recipe} ${is}`);
  expect(told).toEqual(['z newly red', 'a newly red', ...STANDINGS.map((is) => `b ${is}`)]);
});
