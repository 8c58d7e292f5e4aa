import { log } from '@temporalio/activity';
import ms from 'ms';
import { Fault, messageOf } from '../domain/fault.ts';
import { parseRecipeRunId } from '../domain/names.ts';
import { outlived, type Outlived } from '../domain/retention.ts';
import { readResolved, resolvedImagesFile } from '../host/deploy/resolved-images.ts';
import { folderName, runFolderName } from '../host/store/places.ts';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** What records and open alerts need, of whatever age. */
interface Needed {
  /** Workflow IDs of sweeps and of recipes' runs. */
  runs: string[];
  /** Recipes whose record cannot be read, so that nobody knows what it needs. */
  recipes: Set<string>;
  digests: Set<string>;
}

/**
 * Throws away what has had its time: sweeps, evidence, alerts that are over and images that we pulled. Never what the
 * record of a canonical or of a live service, or an open alert names, and nothing of the sweep that does it; where one
 * of them cannot be read, nothing that it might name. While the engine's room is short more images go than have had their
 * time. Only for who holds the host: then no running test needs any of it.
 * What could not be done is answered, and stops nothing.
 */
export async function throwAwayOld(
  world: World,
  attempt: Pick<HostAttempt, 'report' | 'signal' | 'guard' | 'stacks'>,
  sweep: string,
  isShort: () => Promise<boolean>,
): Promise<string[]> {
  const { config, results, kept, alerts, now } = world;
  const { report, signal, guard, stacks } = attempt;
  const ages = config.retention;
  const before = (age: number): Date => new Date(now().getTime() - age);
  const problems: string[] = [];
  const trying = async (what: string, body: () => Promise<void>): Promise<void> => {
    report(`throwing away ${what}`);
    try {
      await guard();
      await body();
    } catch (error) {
      signal.throwIfAborted();
      await guard();
      log.warn('not thrown away', { what, error });
      problems.push(`${what} were not thrown away: ${messageOf(error)}`);
    }
  };

  await trying('alerts that are over', () => alerts.discardOver(before(ages.alerts)));
  let needed: Needed | null = null;
  await trying('remains of old sweeps', () => kept.finishDiscarding());
  let outlives: Outlived = { runs: [], evidence: [], sweeps: [] };
  await trying('old sweeps', async () => {
    const { runs, recipes } = (needed = await whatIsNeeded());
    outlives = outlived(
      await kept.survey(),
      { ...foldersOf([...runs, sweep]), recipes },
      ages,
      now().getTime(),
    );
  });
  // One that does not go holds no other up.
  for (const folder of outlives.runs) {
    log.info('throwing away a run', { folder });
    await trying('old runs', () => kept.discardRun(folder));
  }
  for (const folder of outlives.sweeps) {
    log.info('throwing away a report', { folder });
    await trying('old sweeps', () => kept.discardSweep(folder));
  }
  const age = ms(ages.evidence, { long: true });
  const word = `removed on ${now().toISOString().slice(0, 10)}: more than ${age} old ("retention.evidence" of the configuration)`;
  for (const folder of outlives.evidence) {
    await trying('old files of evidence', () => kept.discardEvidence(folder, word));
  }
  await trying('lines of the index about what is gone', () => kept.mendIndex());
  await trying('old images', async () => {
    if (needed === null || needed.recipes.size > 0) return;
    const { digests } = needed;
    problems.push(...(await stacks.removeOldImages({ before: before(ages.images), digests, isShort })));
  });
  return problems;

  async function whatIsNeeded(): Promise<Needed> {
    const found: Needed = { runs: [], recipes: new Set(), digests: new Set() };
    const { canonicals, services } = world;
    for (const [recipes, read] of [
      [await canonicals.list(), canonicals.read],
      [await services.list(), services.lastGood],
    ] as const) {
      for (const recipe of recipes) {
        try {
          const record = await read(recipe);
          if (record === null) continue;
          found.runs.push(record.run);
          for (const { digest } of Object.values(record.images)) found.digests.add(digest);
        } catch (error) {
          if (!(error instanceof Fault) || error.type !== 'RecordUnreadable') throw error;
          found.recipes.add(recipe);
        }
      }
    }
    const { alerts: open, unreadable } = await alerts.open();
    if (unreadable.length > 0) throw new Fault('RecordUnreadable', unreadable.join('\n'));
    for (const { run } of open) {
      found.runs.push(run);
      for (const digest of await digestsOf(run)) found.digests.add(digest);
    }
    return found;
  }

  /** Of the images that a recipe's run looked at. */
  async function digestsOf(run: string): Promise<Iterable<string>> {
    if (parseRecipeRunId(run) === null) return [];
    return (await readResolved(resolvedImagesFile(results.folderOf(run)))).values();
  }
}

/** Of workflows by their IDs: a sweep, or a recipe's run. */
function foldersOf(runs: readonly string[]): { askers: Set<string>; runs: Set<string> } {
  return {
    askers: new Set(runs.map(folderName)),
    runs: new Set(runs.filter((run) => parseRecipeRunId(run) !== null).map(runFolderName)),
  };
}
