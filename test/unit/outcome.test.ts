import { describe, expect, test } from 'vitest';
import { outcomeName, outcomeReason, outcomeTitle, type Outcome } from '../../domain/outcome.ts';
import { countOutcomes, sweepOrder, sweepVerdict } from '../../domain/report.ts';

const pass: Outcome = { kind: 'PASS', promoted: '1.1.0+2' };
const fail: Outcome = {
  kind: 'FAIL',
  version: '1.1.0+2',
  tier: 'upgrade',
  why: 'app: 0/1',
  evidence: '/e/app.log',
  canonical: '1.0.0+1',
};
const unpromoted: Outcome = {
  kind: 'GREEN-BUT-PROMOTE-FAILED',
  version: '1.1.0+2',
  why: 'read-only',
  canonical: '1.0.0+1',
  evidence: null,
};
const skip: Outcome = { kind: 'SKIP', because: 'no-new-version', why: 'canonical is at the latest release' };
const held: Outcome = { kind: 'SKIP', because: 'held', why: 'waits' };
const error: Outcome = { kind: 'ERROR', cause: 'mirror-sync', why: 'upstream is gone' };

describe('the words of an outcome', () => {
  test.each([
    [pass, 'PASS', 'PASS (promoted 1.1.0+2)', 'the canonical record says 1.1.0+2'],
    [fail, 'FAIL', 'FAIL', '1.1.0+2: upgrade: app: 0/1; canonical unchanged: 1.0.0+1'],
    [
      unpromoted,
      'GREEN-BUT-PROMOTE-FAILED',
      'GREEN-BUT-PROMOTE-FAILED',
      '1.1.0+2 is green, its promote failed: read-only; canonical is 1.0.0+1',
    ],
    [skip, 'SKIP no-new-version', 'SKIP no-new-version', 'canonical is at the latest release'],
    [held, 'SKIP held', 'SKIP held (waits)', 'waits'],
    [error, 'ERROR mirror-sync', 'ERROR mirror-sync', 'upstream is gone'],
  ])('%j', (outcome, name, title, reason) => {
    expect([outcomeName(outcome), outcomeTitle(outcome), outcomeReason(outcome)]).toEqual([
      name,
      title,
      reason,
    ]);
  });
});

describe('the verdict of a sweep', () => {
  test.each([
    ['passes and skips', [pass, skip, held], 'green'],
    ['a red one', [pass, fail], 'red'],
    ['a failed promote', [unpromoted], 'red'],
    ['one without a verdict', [pass, error], 'none'],
    ['red and one without a verdict', [error, fail], 'red'],
    ['nothing at all', [], 'none'],
  ] as const)('%s', (_situation, outcomes, verdict) => {
    expect(sweepVerdict(outcomes)).toBe(verdict);
  });

  test('outcomes are counted by name', () => {
    expect(countOutcomes([skip, pass, skip])).toEqual([
      ['SKIP no-new-version', 2],
      ['PASS', 1],
    ]);
  });
});

test('recipes that the last sweep did not reach go first', () => {
  expect(sweepOrder(['c', 'a', 'b', 'd'], new Map(['d', 'c'].map((name) => [name, '2025-03-02'])))).toEqual([
    'c',
    'd',
    'a',
    'b',
  ]);
});
