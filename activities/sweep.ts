import { Fault, messageOf } from '../domain/fault.ts';
import { recipeRunId } from '../domain/names.ts';
import { brief, outcomeReason, outcomeTitle, type Outcome } from '../domain/outcome.ts';
import {
  givenResult,
  sweepOrder,
  sweepVerdict,
  type RecipeResult,
  type SweepReport,
  type SweepVerdict,
} from '../domain/report.ts';
import type { SweepSettings } from '../domain/run.ts';
import { fleetPage } from '../domain/site-url.ts';
import type { ToldStanding } from '../domain/standing.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import { strayLine } from '../host/recipes/recipes.ts';
import { standingsAtEnd, toldStanding } from '../host/store/standings.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import { holdingHost, inAttempt } from './attempt.ts';
import type { World } from './world.ts';
import { refuseForeignWorker, refuseUnready, settingsOf } from './preflight.ts';
import { leftByRecipe, reapLeftovers } from './reap.ts';
import { compareWithLast, leftOut, type LeftOut } from './last-sweep.ts';
import { throwAwayOld } from './retention.ts';
import { diskReport, makeRoom, shortOfRoom } from './room.ts';

export interface Opening {
  /** What to sweep, in order. */
  recipes: string[];
  settings: SweepSettings;
  /** What earlier runs left and could not be removed, by recipe. */
  left: Record<string, string>;
  /** What is wrong with this host or its folders and stops no sweep. */
  problems: string[];
}

export interface Closing {
  verdict: SweepVerdict;
  report: string;
  recipes: { recipe: string; outcome: string; why: string }[];
  problems: string[];
  /** Its fingerprint; null where the host was not looked at. */
  environment: string | null;
  /** Where each of the recipes stands now, in the order of telling; missing from what older versions answered. */
  standings?: ToldStanding[];
  /** The site's first page; missing where it has no address. */
  site?: string;
}

/** Names the first ones; whoever asked for a thousand reads no thousand. */
function first(count: number, texts: readonly string[], separator: string): string {
  const more = texts.length > count ? [`and ${texts.length - count} more`] : [];
  return [...texts.slice(0, count), ...more].join(separator);
}

export function sweep(world: World) {
  async function enrolled(wanted: readonly string[] | null): Promise<string[]> {
    const all = await world.recipes.all();
    const names = all.filter(({ exception }) => exception === null).map(({ recipe }) => recipe);
    if (names.length === 0) {
      throw new Fault('BadConfig', `${world.config.recipes}: no recipe is enrolled; add <name>/recipe.yml`);
    }
    if (wanted === null) return names;
    const wrong = [...new Set(wanted)].flatMap((name) => {
      if (names.includes(name)) return [];
      const exception = all.find(({ recipe }) => recipe === name)?.exception;
      return [exception ? `${name} is an exception (${exception})` : `${JSON.stringify(name)} has no folder`];
    });
    if (wrong.length > 0) {
      throw new Fault(
        'BadInput',
        `not enrolled: ${first(10, wrong, '; ')}. Enrolled in ${world.config.recipes}: ${first(30, names, ', ')}`,
      );
    }
    return [...new Set(wanted)];
  }

  return {
    /** The enrolled recipes among those wanted (all when none is named). Throws BadInput or BadConfig. */
    async enrolled({ wanted }: { wanted: string[] | null }): Promise<string[]> {
      return inAttempt(world, async () => enrolled(wanted));
    },

    /** What a sweep of all recipes would leave out, as it is now; nothing is told of it, and nothing remembered. */
    async leftOut(): Promise<LeftOut[]> {
      return inAttempt(world, async () => leftOut(world));
    },

    /**
     * Takes the host, throws away what is old, checks what it must have, reaps what crashes left, makes room where it is
     * short, and puts the recipes in order. Throws HostBusy or Preflight; whoever called it gives the host back then.
     */
    async openSweep({
      recipes,
      holder,
      all = false,
    }: {
      recipes: string[];
      holder: Holder;
      /** Whether these are all that are enrolled. */
      all?: boolean;
    }): Promise<Opening> {
      return holdingHost(world, [holder], 'preflight', async (attempt) => {
        // A foreign one has nothing to throw away for somebody else's sweep.
        await refuseForeignWorker(world);
        // First, since a disk that is full of what nobody needs would not pass.
        const isShort = async (): Promise<boolean> =>
          (await shortOfRoom(world, recipes)).some(({ places }) => places.includes('engine'));
        const kept = await throwAwayOld(world, attempt, holder.workflowId, isShort);
        await refuseUnready(world, 'but room');
        passBoundary('open.after-preflight');
        const found = await reapLeftovers(world, attempt, holder.workflowId);
        passBoundary('open.after-reap');
        // Last, since what nobody needs may be enough.
        const room = await makeRoom(world, attempt, recipes, holder.workflowId);
        await refuseUnready(world);
        const problems = [...leftByRecipe(found).values(), ...(await strays()), ...kept, ...room];
        // A canonical that cannot be used is no run's leftover: its recipe's own run meets it.
        const left = leftByRecipe(found.filter(({ kind }) => kind === 'not-reaped'));
        const run = holder.workflowId;
        problems.push(...(await compareWithLast(world, attempt, { run, enrolled: all ? recipes : null })));
        const unreached = await unreachedBefore(problems);
        return {
          recipes: sweepOrder(recipes, unreached),
          settings: settingsOf(world),
          left: Object.fromEntries([...left].filter(([recipe]) => recipe !== null)) as Record<string, string>,
          problems: problems.slice(0, MOST_PROBLEMS).map(brief),
        };
      });
    },

    /**
     * Writes report.json from the results on disk, says who goes first next time, and gives the host back. A
     * result that is not there, or cannot be read, costs the report nothing: the sweep knows the outcome.
     */
    async closeSweep(input: {
      holder: Holder;
      recipes: string[];
      /** By recipe, as the sweep knows them. */
      outcomes: Record<string, Outcome>;
      /** Those whose turn never came. */
      unreached: string[];
      startedMs: number;
      note: string | null;
      problems: string[];
    }): Promise<Closing> {
      const { holder, recipes, startedMs, note } = input;
      const { results, reports, config, lock, now } = world;
      const run = holder.workflowId;
      // A worker that stood still must not write an old order, or an old report, over those of a later sweep.
      return holdingHost(world, [holder], 'report', async ({ guard }) => {
        const problems = [...input.problems];
        const started = new Date(startedMs).toISOString();
        const ended = now().toISOString();
        const found: RecipeResult[] = [];
        for (const recipe of recipes) {
          const result = await noting(problems, null, () => results.read(recipeRunId(run, recipe)));
          const outcome = input.outcomes[recipe] ?? UNRECORDED;
          found.push(result ?? givenResult(run, recipe, outcome, { started, ended }));
        }
        const waiting = found
          .filter(({ recipe, outcome }) => input.unreached.includes(recipe) || isOutOfTime(outcome))
          .map(({ recipe }) => recipe);
        await guard();
        await noting(problems, undefined, () => keepUnreached(recipes, waiting, started, problems));
        const last = await noting(problems, null, () => reports.last());
        const { environment = null, notes = [] } = last?.sweep === run ? last : {};
        const disk = await noting(problems, null, () => diskReport(world, run));
        const verdict = sweepVerdict(found.map(({ outcome }) => outcome));
        const report: SweepReport = {
          schema: 5,
          sweep: run,
          host: config.host,
          zone: config.zone,
          verdict,
          note,
          problems,
          notes,
          environment,
          disk,
          started,
          ended,
          recipes: found,
        };
        passBoundary('close.before-report');
        await reports.write(report);
        passBoundary('close.after-report');
        const subject = { is: 'host', name: config.host } as const;
        if (problems.length > 0) {
          const about = { subject, message: problems.join('\n'), evidence: reports.fileOf(run), run };
          await raiseAlert(world, { kind: 'sweep-problems', ...about });
        } else await endAlert(world, 'sweep-problems', subject);
        const { state, serve } = config;
        const told = await noting<Pick<Closing, 'standings'>>(problems, {}, async () => {
          const standings = await standingsAtEnd(world.index, report);
          return { standings: standings.map((one) => toldStanding(one, { site: serve.url, state })) };
        });
        await lock.giveBack(holder);
        return {
          verdict,
          report: reports.fileOf(run),
          recipes: found.map(({ recipe, outcome }) => ({
            recipe,
            outcome: outcomeTitle(outcome),
            why: brief(outcomeReason(outcome)),
          })),
          problems: problems.map(brief),
          environment: environment?.fingerprint ?? null,
          ...told,
          ...(serve.url === undefined ? {} : { site: fleetPage(serve.url) }),
        };
      });
    },
  };

  async function strays(): Promise<string[]> {
    return (await world.recipes.strays()).map((stray) => strayLine(world.config.recipes, stray));
  }

  /** Who was not reached, and since when. A file that cannot be read costs the order, not the sweep. */
  async function unreachedBefore(problems: string[]): Promise<Map<string, string>> {
    return noting(problems, new Map<string, string>(), () => world.reports.unreached());
  }

  /** Of the recipes of this sweep, those that wait keep the moment since when they do; the others had their turn. */
  async function keepUnreached(
    recipes: readonly string[],
    waiting: readonly string[],
    started: string,
    problems: string[],
  ): Promise<void> {
    const since = await unreachedBefore(problems);
    const kept = new Map(waiting.map((recipe) => [recipe, since.get(recipe) ?? started]));
    for (const recipe of recipes) since.delete(recipe);
    await world.reports.writeUnreached(new Map([...since, ...kept]));
  }
}

const MOST_PROBLEMS = 100;

/** Of a recipe whose result is not on disk, and of which the sweep knows none either. */
const UNRECORDED: Outcome = {
  kind: 'ERROR',
  cause: 'infrastructure',
  why: 'its result is not on disk',
};

/** What was read or done; else `without`, and why is among the problems. */
async function noting<T>(problems: string[], without: T, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const line = messageOf(error);
    if (!problems.includes(line)) problems.push(line);
    return without;
  }
}

function isOutOfTime(outcome: Outcome): boolean {
  return outcome.kind === 'ERROR' && outcome.cause === 'out-of-time';
}
