import { outcomeName, outcomeReason } from '../domain/outcome.ts';
import { tellingRun, type StandingName } from '../domain/standing.ts';
import { runFolder, type SiteData } from './read.ts';

/** `index.json` of the site: the fleet for programs, in the order of telling. Times are ISO 8601, UTC. */
export interface SiteIndex {
  schema: 1;
  host: string;
  /** When the last run of a sweep ended; null before the first. */
  asOf: string | null;
  /** When the schedule starts the next sweep; null where that is not known, or never. */
  nextSweep: string | null;
  recipes: {
    recipe: string;
    stands: StandingName;
    /** Since when it stands so. */
    since: string | null;
    redSince: string | null;
    /** The outcome that says why, and its reason; null where it never ran. */
    outcome: string | null;
    why: string | null;
    /** Whose it is to mend. */
    whose: string;
    canonical: { version: string; promoted: string } | null;
    /** Of the last run that said something. */
    level: number | null;
    /** Its page, and that of the run that says why, seen from this file. */
    page: string;
    run: string | null;
  }[];
}

export function siteIndex(data: SiteData): SiteIndex {
  const { host, asOf, now, recipes } = data;
  const { schedule } = now;
  return {
    schema: 1,
    host,
    asOf,
    nextSweep: schedule === null || schedule === 'none' ? null : schedule.next,
    recipes: recipes.map((one) => {
      const { recipe, standing, canonical } = one;
      const run = tellingRun(standing);
      return {
        recipe,
        stands: standing.is,
        since: standing.since,
        redSince: standing.redSince,
        outcome: run === null ? null : outcomeName(run.outcome),
        why: run === null ? null : outcomeReason(run.outcome),
        whose: standing.blame.who,
        canonical: canonical === null ? null : { version: canonical.version, promoted: canonical.ts },
        level: standing.verdict?.level ?? null,
        page: `recipe/${recipe}/`,
        run: run === null ? null : runFolder(run, one, data),
      };
    }),
  };
}
