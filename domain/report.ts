import type { Roster, SweepEnvironment } from './environment.ts';
import type { DiskReport } from './disk.ts';
import type { LintProblem } from './level.ts';
import { recipeRunId } from './names.ts';
import type { Tested } from './recipe-test.ts';
import type { Asker } from './run.ts';
import { outcomeName, type Outcome, type TierResult } from './outcome.ts';
import type { Release } from './release.ts';
import type { TimeSpent } from './time-spent.ts';

/** What one recipe's run leaves on disk: `result.json` in the run's folder. */
export interface RecipeResult {
  schema: 4;
  recipe: string;
  asked: Asker;
  outcome: Outcome;
  /** What is left of it that nobody could remove, and why: no part of the outcome. Null when nothing is. */
  leftovers: string | null;
  /** What was seen beside it and is nobody's fault: tags that are no releases' and moved. */
  notes: string[];
  /** The release that was looked at, where one was found; of a test the head, where it says its version. */
  release: Release | null;
  /** What a test tested, once that is known; null of a sweep's run. */
  test: Tested | null;
  tiers: TierResult[];
  /** levelOf() of what was tested; null when nothing was. */
  level: number | null;
  /** Null when it was not looked at. */
  lint: LintProblem[] | null;
  /** Where its time went, from started to ended; null where that was not kept. Milliseconds. */
  spentMs: TimeSpent | null;
  /** ISO 8601, UTC. */
  started: string;
  ended: string;
  /** The run's, whose history tells the rest; its runId is null where there was none, or none that is known. */
  workflow: { id: string; runId: string | null };
}

/** What the result says of a recipe that no run of its own tested. */
export const UNTESTED = {
  leftovers: null,
  notes: [],
  release: null,
  test: null,
  tiers: [],
  level: null,
  lint: null,
  spentMs: null,
} satisfies Partial<RecipeResult>;

/** The result of a sweep's recipe whose run left none, or never began. The times are ISO 8601, UTC. */
export function givenResult(
  sweep: string,
  recipe: string,
  outcome: Outcome,
  times: { started: string; ended: string },
): RecipeResult {
  const workflow = { id: recipeRunId(sweep, recipe), runId: null };
  return { schema: 4, recipe, asked: { by: 'sweep', id: sweep }, outcome, ...UNTESTED, ...times, workflow };
}

/** What a promote expects of a release that passed its cold test, in words for the report. */
export const EXPECTED_OF_PROMOTE =
  "the release at its warm domain, on the canonical's data where there is one, converged and answering, then a snapshot and the record";

export type SweepVerdict = 'green' | 'red' | 'none' | 'skipped';

/** `report.json` of a sweep: each of its recipes, once. */
export interface SweepReport {
  schema: 5;
  sweep: string;
  host: string;
  zone: string;
  verdict: SweepVerdict;
  /** Why the sweep as a whole did nothing or ended early; null when it went through. */
  note: string | null;
  /** What went wrong beside the recipes' outcomes, one line each. */
  problems: string[];
  /** What is worth telling beside them and is nobody's to mend. */
  notes: string[];
  /** Of the host, when it began; null where it was not looked at. */
  environment: SweepEnvironment | null;
  /** How room stood when it ended; null where nobody looked. */
  disk: DiskReport | null;
  started: string;
  ended: string;
  recipes: RecipeResult[];
}

/** What a sweep leaves for the next to compare itself with. */
export interface LastSweep {
  schema: 1;
  sweep: string;
  environment: SweepEnvironment | null;
  notes: string[];
  /** Of the last full sweep; null where there was none. */
  roster: Roster | null;
}

/** Whether the release failed, or could not be promoted. */
export function isRed({ kind }: Outcome): boolean {
  return kind === 'FAIL' || kind === 'GREEN-BUT-PROMOTE-FAILED';
}

/**
 * The one word for a sweep: red when a release failed or could not be promoted, else none when some recipe
 * has no verdict, else green. An empty list is none: a sweep of nothing proved nothing.
 */
export function sweepVerdict(outcomes: readonly Outcome[]): SweepVerdict {
  if (outcomes.some(isRed)) return 'red';
  const kinds = new Set(outcomes.map((outcome) => outcome.kind));
  if (kinds.has('ERROR') || kinds.size === 0) return 'none';
  return 'green';
}

/** How many recipes have which outcome, in the order they first occur. */
export function countOutcomes(outcomes: readonly Outcome[]): [name: string, count: number][] {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) {
    const name = outcomeName(outcome);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts];
}

/**
 * The order of a sweep: recipes that earlier ones did not reach go first, who has waited longest before all
 * others; the rest by name. `unreached` says since when (ISO 8601, UTC).
 */
export function sweepOrder(recipes: readonly string[], unreached: ReadonlyMap<string, string>): string[] {
  const LAST = '~';
  const place = (recipe: string): string => `${unreached.get(recipe) ?? LAST} ${recipe}`;
  return [...recipes].sort((a, b) => (place(a) < place(b) ? -1 : 1));
}
