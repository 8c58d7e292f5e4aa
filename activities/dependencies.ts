import { createHash } from 'node:crypto';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { Fault } from '../domain/fault.ts';
import { coldDomain, stackName } from '../domain/names.ts';
import type { Release } from '../domain/release.ts';
import type { RunRef } from '../domain/run.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { prepareApp } from './app.ts';
import { holdersOf, holdingHost, type Attempt } from './attempt.ts';
import { syncMirror } from './mirror-sync.ts';
import type { World } from './world.ts';

/**
 * What a recipe needs beside it, as cold deployments that live and die with its run. A shared live service
 * with a namespace for the run would be provided with the same answer.
 */

/** The throw-away domain of a run's dependency; another one than the run's own, also of the same recipe. */
function dependencyDomain(world: World, run: RunRef, recipe: string): string {
  const mark = createHash('sha256').update(`${run.workflow.runId}/${recipe}`).digest('hex');
  return coldDomain(recipe, world.config.zone, mark);
}

/** The stacks of these dependencies of a run. */
export function dependencyStacks(world: World, run: RunRef, recipes: readonly string[]): string[] {
  return recipes.map((recipe) => stackName(dependencyDomain(world, run, recipe)));
}

/**
 * The recipes that must run beside this one, their own dependencies included, each before those that need it.
 * Throws Fault BadConfig for one without a folder, and for a circle.
 */
export async function dependenciesOf(world: World, recipe: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (name: string, above: readonly string[]): Promise<void> => {
    if (above.includes(name)) {
      throw new Fault('BadConfig', `deps go in a circle: ${[...above, name].join(' → ')}`);
    }
    for (const needed of (await world.recipes.one(name)).deps) await visit(needed, [...above, name]);
    if (name !== recipe && !found.includes(name)) found.push(name);
  };
  await visit(recipe, []);
  return found;
}

export function dependencies(world: World) {
  /** The release that is proven, or else the latest one. A lost record stops its own recipe, not those that need it. */
  async function releaseOf(attempt: Attempt, recipe: string): Promise<Release> {
    const { releases } = await syncMirror(world, attempt, recipe);
    const canonical = await world.canonicals.readForOthers(recipe);
    if (canonical !== null) return { version: canonical.version, commit: canonical.commit };
    const latest = releases.at(-1);
    if (latest === undefined) {
      throw new Fault('Dependency', `${recipe}, which is needed beside it, has no release`);
    }
    return latest;
  }

  return {
    /**
     * Deploys one dependency of the run, from nothing. One that does not come up says nothing of the recipe that
     * needs it: throws Fault Dependency.
     */
    async provide({
      run,
      recipe,
      dependencies: provided,
    }: {
      run: RunRef;
      recipe: string;
      /** Those that were provided before it. */
      dependencies: readonly ProvidedDependency[];
    }): Promise<ProvidedDependency> {
      const step = `dependency ${recipe}`;
      return holdingHost(world, holdersOf(run), `${run.workflow.id}: ${step}`, async (attempt) => {
        const release = await releaseOf(attempt, recipe);
        const needed = new Set((await world.recipes.one(recipe)).deps);
        const app = await prepareApp(
          world,
          attempt,
          {
            run,
            recipe,
            step,
            domain: dependencyDomain(world, run, recipe),
            lifetime: 'cold',
            dependencies: provided.filter((one) => needed.has(one.recipe)),
            upgraded: false,
          },
          release,
        );
        await attempt.deployer.remove(app);
        passBoundary('dependency.after-remove');
        const deployment = await attempt.deployer.deploy(app, 'deploy');
        passBoundary('dependency.after-deploy');
        if (!deployment.ok) {
          throw new Fault(
            'Dependency',
            `${recipe} ${release.version}, which is needed beside it, does not come up: ${deployment.reason}; see ${deployment.evidence}`,
          );
        }
        const { APP_URL: url = '' } = await attempt.stacks.environment(app);
        return { recipe, version: release.version, domain: app.domain, stack: app.stack, url };
      });
    },
  };
}
