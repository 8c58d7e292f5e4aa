import type { Tier, TierResult } from './outcome.ts';

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

/** Where a problem is: as in `compose.yml:7`. */
export function placeOf({ file, line }: Pick<LintProblem, 'file' | 'line'>): string {
  return line === null ? file : `${file}:${line}`;
}

/** What the tier restore finds, and no reading of files: data that is back only once the services are restarted. */
export function restoreProblem(note: string): LintProblem {
  const what = `the restored data is there ${note}; a backupbot.restore.post-hook could see to that`;
  return { rule: 'restore-needs-restart', file: 'compose.yml', line: null, what };
}

/** The tiers that each level asks for beyond the level before; the highest asks for no lint problems. */
const ASKED: readonly (readonly Tier[])[] = [['install'], ['upgrade'], ['backup', 'restore'], ['custom']];
export const HIGHEST_LEVEL = ASKED.length + 1;

/**
 * How far a release was proven: 1 install, 2 and upgrade, 3 and backup with restore, 4 and custom, 5 and no
 * lint problems; 0 is nothing. A tier that was skipped ends the count, so a level may understate, and never
 * overstates. `lint` is null when it was not looked at.
 */
export function levelOf(tiers: readonly TierResult[], lint: readonly LintProblem[] | null): number {
  const missed = ASKED.findIndex((asked) => asked.some((tier) => resultOf(tier, tiers) !== 'pass'));
  if (missed >= 0) return missed;
  return lint !== null && lint.length === 0 ? HIGHEST_LEVEL : HIGHEST_LEVEL - 1;
}

/** What keeps a release of this level from the next one, in words; null at the highest. */
export function missedAfter(
  level: number,
  tiers: readonly TierResult[],
  lint: readonly LintProblem[] | null,
): string | null {
  if (level >= HIGHEST_LEVEL) return null;
  const tier = ASKED[level]?.find((asked) => resultOf(asked, tiers) !== 'pass');
  if (tier !== undefined) {
    const result = resultOf(tier, tiers);
    return `${tier} ${result === 'fail' ? 'failed' : `was ${result}`}`;
  }
  if (lint === null) return 'lint was not looked at';
  return lint.length === 1 ? '1 lint problem' : `${lint.length} lint problems`;
}

function resultOf(tier: Tier, tiers: readonly TierResult[]): TierResult['result'] {
  return tiers.find((one) => one.tier === tier)?.result ?? 'not reached';
}
