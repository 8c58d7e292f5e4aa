import type { App } from '../domain/app.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { Fault } from '../domain/fault.ts';
import { parseRecipeRunId, warmDomain } from '../domain/names.ts';
import type { NamedRun } from '../domain/run.ts';
import type { LastGood } from '../host/store/services.ts';
import { asItWas, removeCheckouts } from './app.ts';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** A live service as what a run needs beside it. The run changes nothing of the service. */

/** The release of a live service that is looked after on this host; null where that recipe is none. */
export async function lastGoodOf(
  world: Pick<World, 'recipes' | 'services'>,
  recipe: string,
): Promise<LastGood | null> {
  const { live } = await world.recipes.one(recipe);
  return live ? world.services.lastGood(recipe) : null;
}

/** The live service, once it serves: waited for as long as a deployment may take. Throws Fault Dependency. */
export async function provideLive(
  world: World,
  attempt: HostAttempt,
  { run, recipe }: { run: NamedRun; recipe: string },
): Promise<ProvidedDependency> {
  const lastGood = await undisturbed(world, recipe);
  if (typeof lastGood === 'string') throw away(recipe, warmDomain(recipe, world.config.zone), lastGood);
  const app = await asItWas(world, attempt, run, lastGood, `dependency ${recipe}`);
  try {
    attempt.report(`waiting for the live ${recipe} at ${app.domain}`);
    const { deploy } = world.config.limits;
    const serves = await attempt.spend('app', () => attempt.stacks.serves(app, deploy));
    if (!serves.ok) throw away(recipe, app.domain, `does not serve: ${serves.reason}`);
    const { APP_URL: url = '' } = await attempt.stacks.environment(app);
    return { recipe, version: lastGood.version, domain: app.domain, stack: app.stack, url };
  } finally {
    await removeCheckouts(world, app.stack);
  }
}

/**
 * To be asked before a failure is believed: throws Fault Dependency where a live service that the app uses is not well, or
 * was not all the time since then, so that the failure may be the service's.
 */
export async function refuseWithoutLive(
  world: World,
  attempt: HostAttempt,
  app: Pick<App, 'dependencies' | 'run'>,
  since: Date,
  failure: { reason: string; evidence: string },
): Promise<void> {
  for (const { recipe, domain, stack } of app.dependencies) {
    if (domain !== warmDomain(recipe, world.config.zone)) continue;
    const why = await unwell(world, attempt, app.run, recipe, stack, since);
    if (why === null) continue;
    throw away(
      recipe,
      domain,
      `${why}, so nothing is learned from: ${failure.reason}; see ${failure.evidence}`,
    );
  }
}

/** Why what used it may have failed; null when it did not for its sake. */
async function unwell(
  world: World,
  attempt: HostAttempt,
  runLabel: string,
  recipe: string,
  stack: string,
  since: Date,
): Promise<string | null> {
  const lastGood = await undisturbed(world, recipe);
  if (typeof lastGood === 'string') return lastGood;
  const named = parseRecipeRunId(runLabel);
  const run = { recipe: named?.recipe ?? recipe, asked: { id: named?.asker ?? runLabel } };
  const app = await asItWas(world, attempt, run, lastGood, `dependency ${recipe}`);
  try {
    const serves = await attempt.stacks.serves(app, 0);
    if (!serves.ok) return `does not serve: ${serves.reason}`;
    const started = await attempt.stacks.startedSince(stack, since);
    return started.length === 0 ? null : `was started again meanwhile (${started.join(', ')})`;
  } finally {
    await removeCheckouts(world, app.stack);
  }
}

/** What is healthy there; or in words why it is not left alone now. */
async function undisturbed(
  { services }: Pick<World, 'services'>,
  recipe: string,
): Promise<LastGood | string> {
  const underway = await services.underway(recipe);
  if (underway !== null) return `is being changed to ${underway.to.version}: that was begun and not ended`;
  const { stopped } = await services.orders(recipe);
  if (stopped !== null) return `could not be put back: ${stopped.why}`;
  return (await services.lastGood(recipe)) ?? 'is not looked after any more';
}

function away(recipe: string, domain: string, why: string): Fault {
  return new Fault('Dependency', `${recipe}, the live service at ${domain}, ${why}`);
}
