import { isCancellation } from '@temporalio/workflow';
import { decideOn } from '../domain/decide.ts';
import { openingSteps } from './steps.ts';
import { parseSweepInput, reasonOf, refuseWithout } from './input.ts';
import type { PlanEntry, SweepInput } from './protocol.ts';

/** What a sweep would do now and why: syncs the mirrors and deploys nothing. */
export async function planWorkflow(input?: SweepInput): Promise<PlanEntry[]> {
  const recipes = await openingSteps('which recipes are enrolled').enrolled({
    wanted: parseSweepInput(input),
  });
  const plan: PlanEntry[] = [];
  for (const recipe of recipes) plan.push(await planRecipe(recipe));
  return plan;
}

async function planRecipe(recipe: string): Promise<PlanEntry> {
  const steps = openingSteps(recipe);
  try {
    const { releases } = await steps.mirrorSync({ recipe, run: null });
    const { canonical, hold, lack } = await steps.resolve({ recipe });
    const latest = releases.at(-1) ?? null;
    const { decision, reason } = decideOn({ latest, canonical, hold });
    if (decision === 'run') refuseWithout(lack);
    return { recipe, latest, canonical: canonical?.version ?? null, decision, reason };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { recipe, latest: null, canonical: null, decision: 'error', reason: reasonOf(error) };
  }
}
