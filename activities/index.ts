import { answer } from './answer.ts';
import { backup } from './backup.ts';
import { canonical } from './canonical.ts';
import { coldTest } from './cold-test.ts';
import { custom } from './custom.ts';
import { dependencies } from './dependencies.ts';
import { liveOrColdDependencies } from './live-or-cold.ts';
import { ledger } from './ledger.ts';
import { lint } from './lint.ts';
import { mirrorSync } from './mirror-sync.ts';
import { prefetch } from './prefetch.ts';
import { promote } from './promote.ts';
import { quickLane } from './quick-lane.ts';
import { reap } from './reap.ts';
import { recipeTest } from './recipe-test.ts';
import { reconcile } from './reconcile.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { restore } from './restore.ts';
import { serviceOrders } from './service-orders.ts';
import { sweep } from './sweep.ts';
import { teardown } from './teardown.ts';
import { turn } from './turn.ts';
import type { World } from './world.ts';

/** Every step, bound to the outside world: the only way in. */
export function createActivities(world: World) {
  const provider = liveOrColdDependencies(world);
  return {
    ...sweep(world),
    ...mirrorSync(world),
    ...resolve(world),
    ...dependencies(world, provider),
    ...coldTest(world),
    ...backup(world),
    ...restore(world),
    ...custom(world),
    ...lint(world),
    ...quickLane(world),
    ...prefetch(world),
    ...promote(world),
    ...teardown(world, provider),
    ...record(world),
    ...reap(world),
    ...canonical(world),
    ...ledger(world),
    ...turn(world),
    ...recipeTest(world),
    ...answer(world),
    ...reconcile(world),
    ...serviceOrders(world),
  };
}

export type Activities = ReturnType<typeof createActivities>;
