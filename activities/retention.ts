import { log } from '@temporalio/activity';
import { Fault, messageOf } from '../domain/fault.ts';
import { isRecipeName } from '../domain/names.ts';
import { outlived } from '../domain/retention.ts';
import type { Alert } from '../host/alerts.ts';
import { readResolved, resolvedImagesFile } from '../host/resolved-images.ts';
import { folderName } from '../host/results.ts';
import type { HostAttempt } from './attempt.ts';
import type { Dependencies } from './index.ts';

/** What records and open alerts need, of whatever age. */
interface Needed {
  /** Workflow IDs of sweeps and of recipes' runs. */
  runs: string[];
  /** Recipes whose record cannot be read, so that nobody knows what it needs. */
  recipes: Set<string>;
  digests: Set<string>;
}

/**
 * Throws away what has had its time: sweeps, evidence, archived alerts and images that we pulled. Never what a
 * canonical's record or an open alert names, and nothing of the sweep that does it; where one of them cannot be read,
 * nothing that it might name. Only for who holds the host: then no running test needs any of it. What could not be
 * done is answered, and stops nothing.
 */
export async function throwAwayOld(
  deps: Dependencies,
  attempt: HostAttempt,
  sweep: string,
): Promise<string[]> {
  const { config, results, alerts, now } = deps;
  const { report, signal, guard, deployer } = attempt;
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

  await trying('archived alerts', async () => {
    await alerts.discardSeen(before(ages.alerts));
  });
  let needed: Needed | null = null;
  await trying('remains of old sweeps', () => results.finishDiscarding());
  await trying('old sweeps', async () => {
    const { runs, recipes } = (needed = await whatIsNeeded());
    const { sweeps, evidence } = outlived(
      await results.kept(),
      { ...foldersOf([...runs, sweep]), recipes },
      ages,
      now().getTime(),
    );
    for (const folder of sweeps) {
      await guard();
      log.info('throwing away', { sweep: folder });
      await results.discardSweep(folder);
    }
    const days = Math.round(ages.evidence / DAY_MS);
    const word = `removed on ${now().toISOString().slice(0, 10)}: more than ${days} days old ("retention.evidence" of the configuration)`;
    for (const run of evidence) {
      await guard();
      await results.discardEvidence(run.sweep, run.recipe, word);
    }
  });
  await trying('old images', async () => {
    if (needed === null || needed.recipes.size > 0) return;
    problems.push(
      ...(await deployer.removeOldImages({ before: before(ages.images), digests: needed.digests })),
    );
  });
  return problems;

  async function whatIsNeeded(): Promise<Needed> {
    const found: Needed = { runs: [], recipes: new Set(), digests: new Set() };
    for (const recipe of await deps.canonicals.list()) {
      try {
        const record = await deps.canonicals.read(recipe);
        if (record === null) continue;
        found.runs.push(record.run);
        for (const { digest } of Object.values(record.images)) found.digests.add(digest);
      } catch (error) {
        if (!(error instanceof Fault) || error.type !== 'RecordUnreadable') throw error;
        found.recipes.add(recipe);
      }
    }
    const { alerts: open, unreadable } = await alerts.open();
    if (unreadable.length > 0) throw new Fault('RecordUnreadable', unreadable.join('\n'));
    for (const alert of open) {
      found.runs.push(alert.run);
      for (const digest of await digestsOf(alert)) found.digests.add(digest);
    }
    return found;
  }

  /** Of the images that the run which an alert is about looked at. */
  async function digestsOf({ run, recipe }: Alert): Promise<string[]> {
    if (recipe === null || !isRecipeName(recipe) || !run.endsWith(`/${recipe}`)) return [];
    const folder = results.folderOf(run.slice(0, -recipe.length - 1), recipe);
    return [...(await readResolved(resolvedImagesFile(folder))).values()];
  }
}

const DAY_MS = 24 * 60 * 60_000;

/** Of runs as they are named by their workflows: that of a sweep, or that of a recipe's run within one. */
function foldersOf(runs: readonly string[]): { sweeps: Set<string>; runs: Set<string> } {
  const parts = runs.flatMap((run) => {
    const slash = run.lastIndexOf('/');
    return slash < 0 ? [] : [`${folderName(run.slice(0, slash))}/${run.slice(slash + 1)}`];
  });
  return { sweeps: new Set(runs.map(folderName)), runs: new Set(parts) };
}
