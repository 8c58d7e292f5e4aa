import { briefOutcome, type Outcome, type Tier, type TierResult } from './outcome.ts';
import { isRed, type RecipeResult } from './report.ts';
import { runName, type Asker } from './run.ts';

/** What is kept of a tier beside its run's outcome: how it went, and for how long it was asked. */
export interface IndexedTier {
  tier: Tier;
  result: TierResult['result'];
  /** Milliseconds; null where it was not asked, or nobody looked. */
  ms: number | null;
}

/** What a recipe's index keeps of one run: a line of `<state>/index/<recipe>.jsonl`. */
export interface IndexedRun {
  schema: 2;
  /** runName(). */
  run: string;
  asked: Asker;
  /** With its reason cut short where it is long: the result has it whole. */
  outcome: Outcome;
  /** The release that was looked at, where one was found. */
  version: string | null;
  level: number | null;
  /** Null in lines of before it was kept, which the next sweep that opens writes anew. */
  tiers: IndexedTier[] | null;
  /** ISO 8601, UTC. */
  started: string;
  ended: string;
  /** The run's result.json, seen from the state folder. */
  result: string;
}

/** The line of a run whose result is in that file. */
export function indexedRun(result: RecipeResult, file: string): IndexedRun {
  const { asked, outcome, release, level, started, ended } = result;
  const version = release?.version ?? null;
  const tiers = result.tiers.map((one) => ({ tier: one.tier, result: one.result, ms: msOf(one) }));
  const of = { run: runName(result), asked, outcome: briefOutcome(outcome), version, level, tiers };
  return { schema: 2, ...of, started, ended, result: file };
}

function msOf(tier: TierResult): number | null {
  return 'ms' in tier ? (tier.ms ?? null) : null;
}

/**
 * Whether it says something of a release, and not only that nothing was tested, or learned. What a test says is said of a
 * commit that is none.
 */
export function saysSomething({ asked, outcome: { kind } }: Pick<IndexedRun, 'asked' | 'outcome'>): boolean {
  return asked.by === 'sweep' && kind !== 'ERROR' && kind !== 'SKIP';
}

/**
 * Since when the recipe is red without a break, and over how many runs; null when the last one that said something
 * was not. The runs are newest first.
 */
export function redSince(runs: readonly IndexedRun[]): { since: string; runs: number } | null {
  const told = runs.filter(saysSomething);
  const ended = told.findIndex(({ outcome }) => !isRed(outcome));
  const red = ended < 0 ? told : told.slice(0, ended);
  const first = red.at(-1);
  return first === undefined ? null : { since: first.ended, runs: red.length };
}
