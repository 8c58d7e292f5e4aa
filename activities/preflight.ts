import { Fault } from '../domain/fault.ts';
import type { SweepSettings } from '../domain/run.ts';
import { checkPrerequisites, isRoom } from '../host/prerequisites.ts';
import { lackFor } from '../host/recipe-tools.ts';
import type { World } from './world.ts';

/** What must be so before anything is deployed on this host. */

type Finding = Awaited<ReturnType<typeof checkPrerequisites>>[number];

/** Throws Fault Preflight where another installation's worker waits for this host's steps: this may be that one. */
export async function refuseForeignWorker(world: Pick<World, 'foreignWorker'>): Promise<void> {
  const foreign = await world.foreignWorker();
  if (foreign !== null) refuse([{ name: 'worker', ...foreign }]);
}

/** Throws Fault Preflight, naming all that this host lacks; `but room` where some of that can still be made. */
export async function refuseUnready({ config }: Pick<World, 'config'>, but?: 'but room'): Promise<void> {
  const missing = (await checkPrerequisites(config)).filter(({ ok }) => !ok);
  refuse(but === undefined ? missing : missing.filter((one) => !isRoom(one)));
}

/** Throws Fault Preflight, naming what the hooks and checks of a recipe need and this host lacks. */
export async function refuseWithoutTools(
  { config, recipes }: Pick<World, 'config' | 'recipes'>,
  recipe: string,
): Promise<void> {
  const lack = await lackFor(recipes, recipe, config.path);
  if (lack !== null) throw new Fault('Preflight', lack);
}

function refuse(missing: readonly Pick<Finding, 'name' | 'found' | 'how'>[]): void {
  if (missing.length === 0) return;
  const list = missing.map(({ name, found, how }) => `${name}: ${found}; ${how}`).join('\n');
  throw new Fault('Preflight', `this host is not ready (recipe-sweep doctor shows all):\n${list}`);
}

/** The limits of the configuration as workflows are told them. */
export function settingsOf({ config }: Pick<World, 'config'>): SweepSettings {
  const { attempts, tier, promote, sweep } = config.limits;
  const { url } = config.serve;
  const limits = { attempts, tierMs: tier, promoteMs: promote, sweepMs: sweep };
  return url === undefined ? limits : { ...limits, site: url };
}
