import { createHash } from 'node:crypto';
import { Fault } from '../domain/fault.ts';
import { coldDomain, stackName } from '../domain/names.ts';
import type { Release } from '../domain/release.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { prepareApp } from './app.ts';
import type { Attempt } from './attempt.ts';
import { removeColdStack } from './cold-stack.ts';
import type { DependencyProvider, Need } from './dependency-provider.ts';
import { syncMirror } from './mirror-sync.ts';
import type { World } from './world.ts';

/** The throw-away domain of a run's dependency; another one than the run's own, also of the same recipe. */
export function dependencyDomain(
  { config }: Pick<World, 'config'>,
  { run, recipe }: Pick<Need, 'run' | 'recipe'>,
): string {
  const mark = createHash('sha256').update(`${run.workflow.runId}/${recipe}`).digest('hex');
  return coldDomain(recipe, config.zone, mark);
}

/** Provides each dependency as a cold deployment of its own, which lives and dies with the run. */
export function coldDependencies(world: World): DependencyProvider {
  /** The release that is proven, or else the latest one. A lost record stops its own recipe, not those that need it. */
  async function releaseOf(attempt: Attempt, { run, recipe }: Need): Promise<Release> {
    const { releases } = await syncMirror(world, attempt, recipe, run);
    const canonical = await world.canonicals.readForOthers(recipe);
    if (canonical !== null) return { version: canonical.version, commit: canonical.commit };
    const latest = releases.at(-1);
    if (latest === undefined) {
      throw new Fault('Dependency', `${recipe}, which is needed beside it, has no release`);
    }
    return latest;
  }

  return {
    async provide(attempt, need) {
      const { run, recipe } = need;
      const release = await releaseOf(attempt, need);
      const needed = new Set((await world.recipes.one(recipe)).deps);
      const app = await prepareApp(
        world,
        attempt,
        {
          run,
          recipe,
          step: `dependency ${recipe}`,
          domain: dependencyDomain(world, need),
          lifetime: 'cold',
          dependencies: need.dependencies.filter((one) => needed.has(one.recipe)),
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
    },

    async takeBack(attempt, need) {
      await removeColdStack(world, attempt, stackName(dependencyDomain(world, need)));
    },
  };
}
