import { KEYCLOAK } from '../domain/realm.ts';
import { coldDependencies } from './cold-dependency.ts';
import type { DependencyProvider } from './dependency-provider.ts';
import { lastGoodOf, provideLive } from './live-dependency.ts';
import { giveRealm, takeRealmBack } from './run-realm.ts';
import type { World } from './world.ts';

/**
 * Provides what is a live service on this host as that, and everything else as a deployment of the run's own; of Keycloak
 * with a realm for the run, wherever it is.
 */
export function liveOrColdDependencies(world: World): DependencyProvider {
  const cold = coldDependencies(world);
  return {
    async provide(attempt, need) {
      const isLive = (await lastGoodOf(world, need.recipe)) !== null;
      const provided = await (isLive ? provideLive(world, attempt, need) : cold.provide(attempt, need));
      return need.recipe === KEYCLOAK ? giveRealm(world, attempt, need.run, provided) : provided;
    },

    async takeBack(attempt, need) {
      await cold.takeBack(attempt, need);
      if (need.recipe === KEYCLOAK) await takeRealmBack(world, attempt, need.run);
    },
  };
}
