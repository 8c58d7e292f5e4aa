import { coldDomain, stackName, warmDomain } from '../domain/names.ts';
import type { RunRef } from '../domain/run.ts';
import { removeCheckouts } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import { removeColdStack } from './cold-stack.ts';
import type { DependencyProvider } from './dependency-provider.ts';
import type { World } from './world.ts';

export function teardown(world: World, provider: DependencyProvider) {
  /**
   * A run that holds the host by itself although a sweep asked for it (which has ended: the run was reset) gives it back
   * between steps. A test gives it back at its end.
   */
  async function releaseOwn({ asked, workflow }: RunRef): Promise<void> {
    if (asked.by !== 'sweep') return;
    await world.lock.giveBack({ workflowId: workflow.id, runId: workflow.runId, what: 'recipe run' });
  }

  return {
    /**
     * Removes the run's cold stack with everything it made, its checkouts and its archive; or gives back those of its
     * dependencies that are named, which outlive it, each before those that it needs.
     */
    async teardown({ run, dependencies }: { run: RunRef; dependencies?: string[] }): Promise<void> {
      return holdingHostFor(world, run, 'teardown', async (attempt) => {
        if (dependencies) {
          for (const recipe of dependencies.toReversed()) await provider.takeBack(attempt, { run, recipe });
        } else {
          const { recipe, workflow } = run;
          const stack = stackName(coldDomain(recipe, world.config.zone, workflow.runId));
          await removeColdStack(world, attempt, stack);
        }
        await releaseOwn(run);
      });
    },

    /**
     * After a promote, however it went: the warm app is stopped and its data is what the record says.
     * Answers the canonical's version as read back from disk.
     */
    async settle({ run }: { run: RunRef }): Promise<{ version: string } | null> {
      return holdingHostFor(world, run, 'settle', async ({ warm }) => {
        const record = await warm.settle(run.recipe);
        await removeCheckouts(world, stackName(warmDomain(run.recipe, world.config.zone)));
        await releaseOwn(run);
        return record && { version: record.version };
      });
    },
  };
}
