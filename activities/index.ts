import type { Alerts } from '../host/alerts.ts';
import type { Canonicals } from '../host/canonicals.ts';
import type { Config } from '../host/config.ts';
import type { HostLock } from '../host/host-lock.ts';
import type { Ledger } from '../host/ledger.ts';
import type { Recipes } from '../host/recipes.ts';
import type { Results } from '../host/results.ts';
import { coldTest } from './cold-test.ts';
import { mirrorSync } from './mirror-sync.ts';
import { promote } from './promote.ts';
import { reap } from './reap.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { sweep } from './sweep.ts';
import { teardown } from './teardown.ts';

/** The outside world as the steps see it. What is bound to one attempt is made in attempt.ts. */
export interface Dependencies {
  config: Config;
  recipes: Recipes;
  ledger: Ledger;
  canonicals: Canonicals;
  results: Results;
  alerts: Alerts;
  lock: HostLock;
  now(): Date;
}

/** Every step, bound to the outside world: the only way in. */
export function createActivities(deps: Dependencies) {
  return {
    ...sweep(deps),
    ...mirrorSync(deps),
    ...resolve(deps),
    ...coldTest(deps),
    ...promote(deps),
    ...teardown(deps),
    ...record(deps),
    ...reap(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
