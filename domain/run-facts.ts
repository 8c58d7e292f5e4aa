import { blameOf, type Blame } from './blame.ts';
import { HIGHEST_LEVEL, missedAfter, type LintProblem } from './level.ts';
import {
  EXPECTED,
  outcomeEvidence,
  outcomeTitle,
  type Outcome,
  type Tier,
  type TierResult,
} from './outcome.ts';
import type { Tested } from './recipe-test.ts';
import type { Release } from './release.ts';
import { EXPECTED_OF_PROMOTE, type RecipeResult } from './report.ts';
import type { Asker } from './run.ts';
import type { TimeSpent } from './time-spent.ts';

/**
 * What is told of one run, in the one order in which it is told: on the terminal, on the site, in a pull request's comment
 * and in the Temporal UI. Each of them has words and marks of its own, and quotes for its own readers: none of the texts
 * here is fit to be shown as it is, since others wrote parts of them.
 */
export type Fact =
  | {
      about: 'outcome';
      outcome: Outcome;
      /** outcomeTitle(). */
      title: string;
      /** From the run's start to its end; null where that is not known. */
      tookMs: number | null;
    }
  | {
      /** Left out where the title says it all. */
      about: 'why';
      text: string;
      /** Which fact below says the same as what was seen there; null where none does. */
      by: Tier | 'promote' | null;
    }
  /** Left out where there is nothing to mend. */
  | ({ about: 'blame' } & Blame)
  /** What a sweep's run tested, where a release was found. */
  | { about: 'release'; release: Release }
  /** What a test tested instead. */
  | { about: 'tested'; tested: Tested }
  | TierFact
  /** Of a promote that failed. */
  | {
      about: 'promote';
      expected: string;
      seen: string;
      /** Null when it ended before it wrote any. */
      evidence: string | null;
    }
  /** What the canonical is now, where that is in question; null where there is none. */
  | { about: 'canonical'; version: string | null }
  | {
      about: 'level';
      level: number;
      highest: number;
      /** What keeps it from the next level; null at the highest. */
      missed: string | null;
    }
  /** Left out where it was not looked at; empty where nothing was found. */
  | { about: 'lint'; problems: readonly LintProblem[] }
  | { about: 'time'; spentMs: TimeSpent }
  /** Each of them is a fact of its own. */
  | { about: 'note'; text: string }
  /** What is left of it that nobody could remove. */
  | { about: 'left'; text: string }
  /** Why its outcome is not on disk. */
  | { about: 'unrecorded'; text: string }
  /** The file to open next. */
  | { about: 'evidence'; file: string };

/** One kind of question, and what came of it. */
export interface TierFact {
  about: 'tier';
  tier: Tier;
  result: TierResult['result'];
  /** What it asks of a release. */
  expected: string;
  /** What was seen where it failed; null where it did not. */
  seen: string | null;
  /** Why it was skipped, or in what it passed not quite as it should; null where there is nothing to say. */
  note: string | null;
  /** The file with the rest of what failed; null where it did not. */
  evidence: string | null;
  /** Milliseconds; null where it was not asked, or nobody looked. */
  ms: number | null;
}

/** How far it came, and what keeps it from the next level. */
export function levelText({ level, highest, missed }: Extract<Fact, { about: 'level' }>): string {
  return `${level} of ${highest}${missed === null ? '' : `; not ${level + 1}: ${missed}`}`;
}

/** A run of which something can be told; a RecipeResult is one, and so is a run that still goes on. */
export interface ToldRun extends Pick<RecipeResult, 'release' | 'test' | 'level' | 'lint' | 'spentMs'> {
  asked: Pick<Asker, 'by'>;
  /** Null while it goes on. */
  outcome: Outcome | null;
  tiers: readonly TierResult[];
  notes: readonly string[];
  leftovers: string | null;
  /** Why its outcome is not on disk; null or missing where it is. */
  unrecorded?: string | null;
  /** ISO 8601, UTC. */
  started?: string;
  ended?: string;
}

/** Everything that is told of that run, in order. */
export function factsOf(run: ToldRun): Fact[] {
  const { outcome, release, test, tiers, level, lint, spentMs, notes, leftovers, unrecorded = null } = run;
  return [
    ...(outcome === null ? [] : ending(outcome, run)),
    ...(test === null
      ? release === null
        ? []
        : [{ about: 'release', release } as const]
      : [{ about: 'tested', tested: test } as const]),
    ...tiers.map(tierFact),
    ...(outcome === null ? [] : promotion(outcome)),
    ...(level === null
      ? []
      : [
          { about: 'level', level, highest: HIGHEST_LEVEL, missed: missedAfter(level, tiers, lint) } as const,
        ]),
    ...(lint === null ? [] : [{ about: 'lint', problems: lint } as const]),
    ...(spentMs === null ? [] : [{ about: 'time', spentMs } as const]),
    ...notes.map((text) => ({ about: 'note', text }) as const),
    ...(leftovers === null ? [] : [{ about: 'left', text: leftovers } as const]),
    ...(unrecorded === null ? [] : [{ about: 'unrecorded', text: unrecorded } as const]),
    ...evidenceOf(outcome),
  ];
}

function ending(outcome: Outcome, { asked, started, ended }: ToldRun): Fact[] {
  const tookMs =
    started === undefined || ended === undefined ? null : Date.parse(ended) - Date.parse(started);
  const blame = blameOf(outcome, asked.by);
  return [
    { about: 'outcome', outcome, title: outcomeTitle(outcome), tookMs },
    ...whyOf(outcome),
    ...(blame.next === '' ? [] : [{ about: 'blame', ...blame } as const]),
  ];
}

/** Without the version and the canonical, which are told by themselves. */
function whyOf(outcome: Outcome): Fact[] {
  switch (outcome.kind) {
    case 'PASS':
      return [];
    case 'FAIL':
      return [{ about: 'why', text: `${outcome.tier}: ${outcome.why}`, by: outcome.tier }];
    case 'GREEN-BUT-PROMOTE-FAILED':
      return [{ about: 'why', text: `promote: ${outcome.why}`, by: 'promote' }];
    case 'SKIP':
      return outcome.because === 'held' ? [] : [{ about: 'why', text: outcome.why, by: null }];
    case 'ERROR':
      return [{ about: 'why', text: outcome.why, by: null }];
  }
}

function tierFact(tier: TierResult): TierFact {
  return {
    about: 'tier',
    tier: tier.tier,
    result: tier.result,
    expected: EXPECTED[tier.tier],
    seen: tier.result === 'fail' ? tier.reason : null,
    note: tier.result === 'skipped' ? tier.reason : tier.result === 'pass' ? (tier.note ?? null) : null,
    evidence: tier.result === 'fail' ? tier.evidence : null,
    ms: 'ms' in tier ? (tier.ms ?? null) : null,
  };
}

function promotion(outcome: Outcome): Fact[] {
  const facts: Fact[] = [];
  if (outcome.kind === 'GREEN-BUT-PROMOTE-FAILED') {
    const { why: seen, evidence } = outcome;
    facts.push({ about: 'promote', expected: EXPECTED_OF_PROMOTE, seen, evidence });
  }
  if ('canonical' in outcome) facts.push({ about: 'canonical', version: outcome.canonical });
  return facts;
}

function evidenceOf(outcome: Outcome | null): Fact[] {
  const file = outcome === null ? null : outcomeEvidence(outcome);
  return file === null ? [] : [{ about: 'evidence', file }];
}
