import { isCancellation, patched } from '@temporalio/workflow';
import { decideOn } from '../domain/decide.ts';
import { parseSweepInput, reasonOf } from './input.ts';
import type { PlanEntry, SweepInput } from './protocol.ts';
import { openingSteps, planSteps } from './steps.ts';

/**
 * What a sweep would do now and why: syncs the mirrors and deploys nothing. Of all recipes, those that a sweep leaves out
 * are named too: exceptions, live services, and what was swept before and is gone.
 */
export async function planWorkflow(input?: SweepInput): Promise<PlanEntry[]> {
  const wanted = parseSweepInput(input);
  const recipes = await openingSteps('which recipes are enrolled').enrolled({ wanted });
  const plan: PlanEntry[] = [];
  for (const recipe of recipes) plan.push(await planRecipe(recipe));
  if (wanted === null && patched(EACH_ACCOUNTED_FOR)) {
    const left = await planSteps('which recipes are left out').leftOut();
    for (const { recipe, why, gone, version } of left) {
      const decision = gone ? 'error' : 'not enrolled';
      plan.push({ recipe, latest: null, canonical: version, decision, reason: why, disk: null });
    }
  }
  return plan;
}

const EACH_ACCOUNTED_FOR = 'plan-accounts-for-each';

async function planRecipe(recipe: string): Promise<PlanEntry> {
  const steps = planSteps(recipe);
  const published = await outcomeOf(() => steps.mirrorSync({ recipe, run: null }));
  const unknown = { recipe, latest: null, canonical: null, disk: null };
  if ('why' in published && !patched(EACH_ACCOUNTED_FOR)) {
    return { ...unknown, decision: 'error', reason: published.why };
  }
  // What is proven is on this host, whatever upstream says.
  const found = await outcomeOf(() => steps.resolve({ recipe }));
  const latest = 'why' in published ? null : (published.is.releases.at(-1) ?? null);
  const canonical = 'why' in found ? null : found.is.canonical;
  const disk = 'why' in found ? null : found.is.disk;
  const entry = { recipe, latest, canonical: canonical?.version ?? null, disk };
  if ('why' in published) return { ...entry, decision: 'error', reason: published.why };
  if ('why' in found) return { ...entry, decision: 'error', reason: found.why };
  const { hold, lack } = found.is;
  const { decision, reason } = decideOn({ latest, canonical, hold });
  if (decision === 'run' && lack !== undefined) return { ...entry, decision: 'error', reason: lack };
  return { ...entry, decision, reason };
}

/** What a step came to, or why to nothing. Throws where the plan was cancelled. */
async function outcomeOf<T>(step: () => Promise<T>): Promise<{ is: T } | { why: string }> {
  try {
    return { is: await step() };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { why: reasonOf(error) };
  }
}
