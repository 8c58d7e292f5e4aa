import path from 'node:path';
import { outcomeEvidence } from '../../domain/outcome.ts';
import type { SweepReport } from '../../domain/report.ts';
import type { IndexedRun } from '../../domain/run-history.ts';
import { runPage } from '../../domain/site-url.ts';
import { inOrder, standingOf, tellingRun, type Standing, type ToldStanding } from '../../domain/standing.ts';
import { runFolderName } from './places.ts';
import { lineOf, type RunIndex } from './run-index.ts';

/**
 * Where each recipe of a sweep stood when that ended, in the order of telling: by its index, and by the sweep's own results
 * where the index lacks them. An index that cannot be read costs its recipe the past, and nothing else.
 */
export async function standingsAtEnd(
  index: RunIndex,
  { ended, recipes }: Pick<SweepReport, 'ended' | 'recipes'>,
): Promise<Standing[]> {
  const found: Standing[] = [];
  // Who says when a run ended and who says when its sweep did may have clocks of their own.
  const at = recipes.reduce((latest, one) => (one.ended > latest ? one.ended : latest), ended);
  for (let from = 0; from < recipes.length; from += AT_ONCE) {
    const some = recipes.slice(from, from + AT_ONCE).map(async (result) => {
      const own = lineOf(result);
      const { runs } = await index.of(result.recipe);
      return standingOf(result.recipe, newestFirst([own, ...runs.filter(({ run }) => run !== own.run)]), at);
    });
    found.push(...(await Promise.all(some)));
  }
  return inOrder(found);
}

const AT_ONCE = 32;

function newestFirst(runs: readonly IndexedRun[]): IndexedRun[] {
  return [...runs].sort((a, b) => (a.ended < b.ended ? 1 : -1));
}

/**
 * What is told of a standing in a list of them, and the one thing to open next: the run's page where the site is known, else
 * the file that says why, else its result.
 */
export function toldStanding(
  standing: Standing,
  { site, state }: { site: string | undefined; state: string },
): ToldStanding {
  const { recipe, is, since, blame } = standing;
  return { recipe, is, since, ...blame, open: toOpen(tellingRun(standing)) };

  function toOpen(run: IndexedRun | null): string | null {
    if (run === null) return null;
    if (site !== undefined) return runPage(site, runFolderName(run.run));
    return outcomeEvidence(run.outcome) ?? path.join(state, run.result);
  }
}
