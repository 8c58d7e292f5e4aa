import { placeOf, type LintProblem } from '../domain/level.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import { lintCheckout } from '../host/prepare/lint.ts';
import { coldApp, type AppOf, type TierStep } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import type { World } from './world.ts';

/** A result travels through histories, so it is bounded; lint.txt has every problem. */
const MOST_PROBLEMS = 100;

/** What was found; the file has all of it. */
export interface Linted {
  problems: LintProblem[];
}

export function lint(world: World) {
  return {
    /** Holds a release's files against the rules of good recipes, as they are at the run's throw-away domain. */
    lint: (input: TierStep): Promise<Linted> => lintFiles(world, coldApp, input),
  };
}

/** Holds a release's files against the rules of good recipes, wherever it is deployed. */
export async function lintFiles(world: World, appOf: AppOf, input: TierStep): Promise<Linted> {
  const { run, step } = input;
  return holdingHostFor(world, run, step, async (attempt) => {
    const app = await appOf(world, attempt, input);
    const problems = await lintCheckout(app);
    const lines = problems.length === 0 ? ['no problems'] : problems.map(lineOf);
    await keep(app.evidence, 'lint.txt', `${lines.join('\n')}\n`);
    return { problems: problems.slice(0, MOST_PROBLEMS) };
  });
}

function lineOf(problem: LintProblem): string {
  return `${placeOf(problem)}: ${problem.what} (${problem.rule})`;
}
