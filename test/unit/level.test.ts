import { describe, expect, test } from 'vitest';
import { levelOf, missedAfter, type LintProblem } from '../../domain/level.ts';
import { TIERS, type Tier, type TierResult } from '../../domain/outcome.ts';

const problem: LintProblem = { rule: 'image-without-tag', file: 'compose.yml', line: 3, what: 'no tag' };

/** Every tier passed, but for those named. */
function tiers(others: Partial<Record<Tier, 'fail' | 'skipped' | 'not reached'>> = {}): TierResult[] {
  return TIERS.map((tier): TierResult => {
    const result = others[tier] ?? 'pass';
    if (result === 'fail') return { tier, result, reason: 'broken', evidence: 'app.log' };
    return result === 'skipped' ? { tier, result, reason: 'nothing to ask' } : { tier, result };
  });
}

describe('a level counts what was proven in a row', () => {
  test.each([
    ['nothing reached', [], null, 0, 'install was not reached'],
    ['install failed', tiers({ install: 'fail' }), null, 0, 'install failed'],
    ['upgrade failed', tiers({ upgrade: 'fail' }), [], 1, 'upgrade failed'],
    [
      'upgrade skipped, whatever passed after it',
      tiers({ upgrade: 'skipped' }),
      [],
      1,
      'upgrade was skipped',
    ],
    ['backup without restore', tiers({ restore: 'not reached' }), [], 2, 'restore was not reached'],
    ['restore without backup', tiers({ backup: 'skipped' }), [], 2, 'backup was skipped'],
    ['no checks', tiers({ custom: 'skipped' }), [], 3, 'custom was skipped'],
    ['lint not looked at', tiers(), null, 4, 'lint was not looked at'],
    ['a lint problem', tiers(), [problem], 4, '1 lint problem'],
    ['lint problems', tiers(), [problem, problem], 4, '2 lint problems'],
    ['all of it', tiers(), [], 5, null],
  ] as const)('%s', (_what, asked, lint, level, missed) => {
    expect(levelOf(asked, lint)).toBe(level);
    expect(missedAfter(level, asked, lint)).toBe(missed);
  });
});
