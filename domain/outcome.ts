/**
 * What a cold test and a sweep can say of a recipe. The words are those of the terminal, the report,
 * the search attributes and the record; nothing else in the code makes them up.
 */

/** One kind of question asked of the one cold deployment, in the order they are asked. */
export const TIERS = ['install', 'upgrade', 'backup', 'restore', 'custom'] as const;
export type Tier = (typeof TIERS)[number];

export type TierResult =
  | {
      tier: Tier;
      result: 'pass';
      ms?: number;
      /** In what it passed not quite as it should. */
      note?: string;
    }
  | {
      tier: Tier;
      result: 'fail';
      /** What was seen. */
      reason: string;
      /** The file that has the rest. */
      evidence: string;
      ms?: number;
    }
  | { tier: Tier; result: 'skipped'; reason: string }
  | { tier: Tier; result: 'not reached' };

/** What each tier expects of a release, in words for the report. */
export const EXPECTED: Readonly<Record<Tier, string>> = {
  install:
    'every service at its full replicas and staying up, image and spec as asked for, and the app answering',
  upgrade: 'the release over the base in place, converged and answering, with the data written before',
  backup: 'hooks that succeed and an archive of everything that the backupbot labels name',
  restore:
    'put over a fresh deployment while it runs, and after a restart: the app up, with what was written before',
  custom: "every one of the recipe's own checks to exit 0 (or 77: not applicable)",
};

/** Why there is no verdict. */
export type ErrorCause = 'mirror-sync' | 'infrastructure' | 'tag-moved' | 'cancelled' | 'out-of-time';

/** What a sweep says of one recipe; exactly one per recipe and run. */
export type Outcome =
  /** A test promotes nothing. */
  | { kind: 'PASS'; promoted: string | null }
  | {
      kind: 'GREEN-BUT-PROMOTE-FAILED';
      version: string;
      why: string;
      /** The version the canonical has now, as read back from disk; null when there is none. */
      canonical: string | null;
      /** Null when the promote ended before it wrote any. */
      evidence: string | null;
    }
  | { kind: 'FAIL'; version: string; tier: Tier; why: string; evidence: string; canonical: string | null }
  | { kind: 'SKIP'; because: 'no-new-version' | 'never-released'; why: string }
  | { kind: 'SKIP'; because: 'held' | 'superseded'; why: string }
  | { kind: 'ERROR'; cause: ErrorCause; why: string };

/** The short, exact name of an outcome: the value of the search attribute RecipeOutcome. */
export function outcomeName(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'PASS':
    case 'FAIL':
    case 'GREEN-BUT-PROMOTE-FAILED':
      return outcome.kind;
    case 'SKIP':
      return `SKIP ${outcome.because}`;
    case 'ERROR':
      return `ERROR ${outcome.cause}`;
  }
}

/** The outcome as the terminal and the report print it, without its reason. */
export function outcomeTitle(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'PASS':
      return outcome.promoted === null ? 'PASS' : `PASS (promoted ${outcome.promoted})`;
    case 'SKIP':
      return outcome.because === 'held' ? `SKIP held (${outcome.why})` : outcomeName(outcome);
    default:
      return outcomeName(outcome);
  }
}

/** One sentence: why, and what the canonical is now where that is in question. */
export function outcomeReason(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'PASS':
      return outcome.promoted === null
        ? 'every tier passed'
        : `the canonical record says ${outcome.promoted}`;
    case 'FAIL':
      return `${outcome.version}: ${outcome.tier}: ${outcome.why}; canonical unchanged: ${outcome.canonical ?? 'none'}`;
    case 'GREEN-BUT-PROMOTE-FAILED':
      return `${outcome.version} is green, its promote failed: ${outcome.why}; canonical is ${outcome.canonical ?? 'none'}`;
    case 'SKIP':
    case 'ERROR':
      return outcome.why;
  }
}

/** The file an operator opens next, where there is one. */
export function outcomeEvidence(outcome: Outcome): string | null {
  return outcome.kind === 'FAIL' || outcome.kind === 'GREEN-BUT-PROMOTE-FAILED' ? outcome.evidence : null;
}

/** Of a reason that is kept for every recipe of a sweep at once. */
const LONGEST_BRIEF = 400;

/** The text, cut where it is long. */
export function brief(text: string): string {
  return text.length <= LONGEST_BRIEF ? text : `${text.slice(0, LONGEST_BRIEF - 1)}…`;
}

/** The outcome with its reason cut where it is long: the history of a sweep of hundreds holds them all. */
export function briefOutcome(outcome: Outcome): Outcome {
  return 'why' in outcome ? { ...outcome, why: brief(outcome.why) } : outcome;
}
