import type { ProvidedDependency } from '../domain/dependency.ts';
import { Fault } from '../domain/fault.ts';
import { holdingHostFor } from './attempt.ts';
import type { DependencyProvider, Need } from './dependency-provider.ts';
import type { World } from './world.ts';

/**
 * The recipes that must run beside this one, their own dependencies included, each before those that need it.
 * Throws Fault BadConfig for one without a folder, and for a circle.
 */
export async function dependenciesOf({ recipes }: Pick<World, 'recipes'>, recipe: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (name: string, above: readonly string[]): Promise<void> => {
    if (above.includes(name)) {
      throw new Fault('BadConfig', `deps go in a circle: ${[...above, name].join(' → ')}`);
    }
    for (const needed of (await recipes.one(name)).deps) await visit(needed, [...above, name]);
    if (name !== recipe && !found.includes(name)) found.push(name);
  };
  await visit(recipe, []);
  return found;
}

export function dependencies(world: World, provider: DependencyProvider) {
  return {
    /** Provides one dependency of the run. */
    async provide(need: Need): Promise<ProvidedDependency> {
      const { run, recipe } = need;
      return holdingHostFor(world, run, `dependency ${recipe}`, (attempt) => provider.provide(attempt, need));
    },
  };
}
