import type { TierResult } from './outcome.ts';

/** One rule of good recipes that a release breaks. */
export interface LintProblem {
  /** The rule's name, as in `image-without-tag`. */
  rule: string;
  /** The file in the recipe. */
  file: string;
  /** Counted from 1; null where the rule is about the whole file. */
  line: number | null;
  /** One line: what is wrong, and what would be right. */
  what: string;
}

/**
 * How far a release was proven: 1 install, 2 and upgrade, 3 and backup with restore, 4 and custom, 5 and no
 * lint problems; 0 is nothing. A tier that was skipped ends the count, so a level may understate, and never
 * overstates. `lint` is null when it was not looked at.
 */
export function levelOf(tiers: readonly TierResult[], lint: readonly LintProblem[] | null): number {
  const passed = new Set(tiers.filter(({ result }) => result === 'pass').map(({ tier }) => tier));
  const steps = [
    passed.has('install'),
    passed.has('upgrade'),
    passed.has('backup') && passed.has('restore'),
    passed.has('custom'),
    lint !== null && lint.length === 0,
  ];
  const failed = steps.indexOf(false);
  return failed < 0 ? steps.length : failed;
}
