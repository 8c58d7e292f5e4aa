import { blameOf, type Blame } from './blame.ts';
import { isRed } from './report.ts';
import { redSince, saysSomething, type IndexedRun } from './run-history.ts';

/**
 * Where each recipe stands, and the one order in which that is told: what changed first. The terminal, the site, the feed
 * and the Temporal UI all take it from here.
 */

/** In the order of telling. */
export const STANDINGS = [
  'newly red',
  'newly green',
  'held',
  'blocked',
  'red',
  'promoted',
  'unchanged',
  'never swept',
] as const;
export type StandingName = (typeof STANDINGS)[number];

/** What each means, for people. */
export const STANDING_IN_WORDS: Readonly<Record<StandingName, string>> = {
  'newly red': 'its latest release failed, or could not be promoted, for the first time this week',
  'newly green': 'proven and promoted this week, after it was red',
  held: 'not tested, since a person holds it',
  blocked: 'no verdict: something other than the release stood in the way',
  red: 'red for longer than a week',
  promoted: 'a new release proven and promoted this week',
  unchanged: 'nothing new was released, or nothing new was learned',
  'never swept': 'no sweep has had it yet',
};

/** Those that say what changed, or what somebody is to see to. */
export const NEWS: ReadonlySet<StandingName> = new Set([
  'newly red',
  'newly green',
  'held',
  'blocked',
] satisfies StandingName[]);

export interface Standing {
  recipe: string;
  is: StandingName;
  /** Since when it stands so, ISO 8601, UTC; of what is unchanged since when the last verdict stands. Null when it never ran. */
  since: string | null;
  /** Over how many runs of sweeps it is red without a break; 0 where it is not. */
  redRuns: number;
  /** Since when it is red without a break, also where the last run learned nothing; null where it is not. */
  redSince: string | null;
  /** The last run of a sweep; null where there was none. */
  latest: IndexedRun | null;
  /** The last run that said something of a release; null where none did. */
  verdict: IndexedRun | null;
  /** Whose it is to mend. */
  blame: Blame;
}

/** What is told of one in a list of many. */
export interface ToldStanding extends Pick<Standing, 'recipe' | 'is' | 'since'>, Blame {
  /** The file or page to open next; null where there is none. */
  open: string | null;
}

/** Those of which something is news, in the order in which they come. */
export function newsAmong<One extends Pick<Standing, 'is'>>(all: readonly One[]): One[] {
  return all.filter(({ is }) => NEWS.has(is));
}

/** Said where there is none. */
export const NO_NEWS = 'nothing changed: no recipe is newly red or newly green, and none is held or blocked';

/**
 * Those with a recipe each, in the order in which the standings are told; who has none of these comes last, as they came.
 */
export function inOrderOf<One extends { recipe: string }>(
  standings: readonly Pick<Standing, 'recipe'>[],
  all: readonly One[],
): One[] {
  const places = new Map(standings.map(({ recipe }, place) => [recipe, place]));
  const place = ({ recipe }: One): number => places.get(recipe) ?? standings.length;
  return [...all].sort((a, b) => place(a) - place(b));
}

/** A week of sweeps, with room for one that ends earlier in its day than the one before it did. */
const WEEK_MS = 6 * 24 * 60 * 60_000;

/**
 * Where a recipe stood at that moment (ISO 8601, UTC). `runs` are all that it had, newest first; those of tests do not
 * count, nor those that ended later.
 */
export function standingOf(recipe: string, runs: readonly IndexedRun[], at: string): Standing {
  const swept = runs.filter(({ asked, ended }) => asked.by === 'sweep' && ended <= at);
  const latest = swept[0] ?? null;
  const verdict = swept.find(saysSomething) ?? null;
  const red = redSince(swept);
  const about = {
    recipe,
    redRuns: red?.runs ?? 0,
    redSince: red?.since ?? null,
    latest,
    verdict,
    blame: blameOf(latest === null ? null : shownRun(latest, verdict, red !== null).outcome),
  };
  if (latest === null) return { ...about, is: 'never swept', since: null };
  const isNew = (since: string): boolean => Date.parse(since) > Date.parse(at) - WEEK_MS;
  const { outcome } = latest;
  if (outcome.kind === 'SKIP' && outcome.because === 'held') {
    return { ...about, is: 'held', since: sinceWhen(swept, (one) => kindOf(one) === 'held') };
  }
  if (outcome.kind === 'ERROR') {
    return { ...about, is: 'blocked', since: sinceWhen(swept, (one) => kindOf(one) === 'blocked') };
  }
  if (red !== null) return { ...about, is: isNew(red.since) ? 'newly red' : 'red', since: red.since };
  if (verdict === null) return { ...about, is: 'unchanged', since: swept.at(-1)?.ended ?? null };
  const { ended } = verdict;
  if (!isNew(ended)) return { ...about, is: 'unchanged', since: ended };
  const told = swept.filter(saysSomething);
  return {
    ...about,
    is: isNewlyGreen(told) ? 'newly green' : 'promoted',
    since: ended,
  };

  /** Whether the green runs of this week came right after a red one. */
  function isNewlyGreen(verdicts: readonly IndexedRun[]): boolean {
    const before = verdicts.find((one) => !isNew(one.ended) || isRed(one.outcome));
    return before !== undefined && isRed(before.outcome);
  }
}

/** The run to show first: of one that is red and has had nothing new since, the red one. */
function shownRun(latest: IndexedRun, verdict: IndexedRun | null, red: boolean): IndexedRun {
  return red && verdict !== null && latest.outcome.kind === 'SKIP' && latest.outcome.because !== 'held'
    ? verdict
    : latest;
}

/** The run that says why a recipe stands as it does; null where none does. */
export function tellingRun({ latest, verdict, redRuns }: Standing): IndexedRun | null {
  return latest === null ? null : shownRun(latest, verdict, redRuns > 0);
}

function kindOf({ outcome }: IndexedRun): 'held' | 'blocked' | 'other' {
  if (outcome.kind === 'ERROR') return 'blocked';
  return outcome.kind === 'SKIP' && outcome.because === 'held' ? 'held' : 'other';
}

/** When the first of the latest runs that are all so ended. */
function sinceWhen(runs: readonly IndexedRun[], isSo: (run: IndexedRun) => boolean): string | null {
  const until = runs.findIndex((run) => !isSo(run));
  return (until < 0 ? runs : runs.slice(0, until)).at(-1)?.ended ?? null;
}

/** In the order of telling: what changed first, of the same who stands so longest, then by name. */
export function inOrder<One extends Pick<Standing, 'recipe' | 'is' | 'since'>>(all: readonly One[]): One[] {
  const place = ({ is }: One): number => STANDINGS.indexOf(is);
  const since = (one: One): string => one.since ?? '';
  return [...all].sort(
    (a, b) =>
      place(a) - place(b) ||
      (since(a) === since(b) ? 0 : since(a) < since(b) ? -1 : 1) ||
      (a.recipe < b.recipe ? -1 : 1),
  );
}
