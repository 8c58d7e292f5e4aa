import { messageOf } from '../domain/fault.ts';
import { parseRecipeRunId } from '../domain/names.ts';
import type { SweepReport } from '../domain/report.ts';
import type { IndexedRun } from '../domain/run-history.ts';
import { inOrder, standingOf, type Standing } from '../domain/standing.ts';
import type { Config } from '../host/config/config.ts';
import { createFleetReader, sweepsIn, type FleetRecipe, type FleetSweep } from '../host/fleet.ts';
import { createAlerts, type AlertInFile } from '../host/store/alerts.ts';
import { folderName } from '../host/store/places.ts';
import { createReports } from '../host/store/reports.ts';
import { linkTo } from './html.ts';

/** What is on disk, as the pages show it. */

/** What the Temporal server and the lock know, which no file of ours says. */
export interface Now {
  /** Who has the host; null when nobody has. */
  holder: { workflowId: string; what: string; since: string; step: string } | 'unknown' | null;
  /** When the schedule starts the next sweep; null where nobody could say. */
  schedule: { next: string | null; paused: boolean; note: string | null } | 'none' | null;
}

export interface SiteRecipe extends FleetRecipe {
  standing: Standing;
}

export interface SiteData {
  host: string;
  zone: string;
  /** All that were swept or will be, in the order of telling. */
  recipes: SiteRecipe[];
  /** Those with a folder that no sweep takes: exceptions and live services. */
  unswept: FleetRecipe[];
  /** All of which some recipe has a run, the latest first. */
  sweeps: FleetSweep[];
  /** Of the latest sweep that has one. */
  report: SweepReport | null;
  /** Those that hold. */
  alerts: AlertInFile[];
  /** What could not be read, a line each. */
  problems: string[];
  now: Now;
  /** Runs that ended earlier have no page, but for those that are the last word on their recipe; ISO 8601, UTC. */
  pagesFrom: string;
  /** The moment as of which recipes stand as they do: when the last run of a sweep ended. Null before the first. */
  asOf: string | null;
}

/** So many of the last sweeps are told of in full: the columns of the fleet's matrix, the feed. */
export const SWEEPS_SHOWN = 12;

export type SiteConfig = Pick<
  Config,
  'host' | 'zone' | 'state' | 'recipes' | 'temporal' | 'serve' | 'retention'
>;

export interface SiteReader {
  /** Reads what changed since the last time. */
  read(now: Now, pagesFrom: string): Promise<SiteData>;
}

export function createSiteReader(config: SiteConfig): SiteReader {
  const { state, host, zone } = config;
  const fleet = createFleetReader(config);
  const alerts = createAlerts(state);
  const reports = createReports(state);
  let lastReport: { id: string; report: SweepReport } | null = null;

  /** The latest sweep's; of one that goes on the report of the one before. */
  async function latestReport(
    sweeps: readonly FleetSweep[],
    problems: string[],
  ): Promise<SweepReport | null> {
    for (const { id } of sweeps.slice(0, SWEEPS_SHOWN)) {
      if (lastReport?.id === id) return lastReport.report;
      try {
        const report = await reports.read(id);
        if (report === null) continue;
        lastReport = { id, report };
        return report;
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    return null;
  }

  return {
    async read(now, pagesFrom) {
      const found = await fleet.read();
      const sweeps = sweepsIn(found);
      const asOf = sweeps[0]?.ended ?? null;
      const swept = (one: FleetRecipe): boolean =>
        one.folder === null ? one.runs.some(isOfSweep) : one.folder.exception === null;
      const standings = found
        .filter(swept)
        .map((one): SiteRecipe => ({ ...one, standing: standingOf(one.recipe, one.runs, asOf ?? NEVER) }));
      const order = new Map(
        inOrder(standings.map(({ standing }) => standing)).map(({ recipe }, place) => [recipe, place]),
      );
      const problems: string[] = [];
      const open = await alerts.open();
      problems.push(...open.unreadable, ...found.flatMap((one) => one.problems));
      return {
        host,
        zone,
        recipes: standings.sort((a, b) => (order.get(a.recipe) ?? 0) - (order.get(b.recipe) ?? 0)),
        unswept: found.filter((one) => !swept(one)),
        sweeps,
        report: await latestReport(sweeps, problems),
        alerts: open.alerts,
        problems,
        now,
        pagesFrom,
        asOf,
      };
    },
  };
}

const NEVER = '9999-12-31T23:59:59.999Z';

function isOfSweep({ asked }: IndexedRun): boolean {
  return asked.by === 'sweep';
}

/** The folder of a run's pages, seen from the site's own folder: who asked, and the recipe. */
export function runParts({ run }: Pick<IndexedRun, 'run'>): [who: string, recipe: string] {
  const { asker, recipe } = parseRecipeRunId(run) ?? { asker: '', recipe: '' };
  return [folderName(asker), recipe];
}

/**
 * The folder of a run's page, seen from the site's own folder; null where it has none. Of a run that tested nothing all is
 * said where it is listed; one whose evidence is thrown away by now, and that is not the last word on its recipe, is told
 * of there too.
 */
export function runFolder(
  run: IndexedRun,
  { standing, canonical }: Pick<SiteRecipe, 'standing' | 'canonical'>,
  { pagesFrom }: Pick<SiteData, 'pagesFrom'>,
): string | null {
  if (run.outcome.kind === 'SKIP') return null;
  const isLast = run === standing.verdict || run === standing.latest || run.run === canonical?.run;
  return isLast || run.ended >= pagesFrom ? `${linkTo('runs', ...runParts(run))}/` : null;
}

/** The folder of a sweep's page, below the site's folder of sweeps. */
export function sweepFolder(id: string): string {
  return folderName(id);
}
