import type { Alerts } from '../host/alerts.ts';
import type { Attempts } from '../host/attempts.ts';
import type { Canonicals } from '../host/canonicals.ts';
import type { Config } from '../host/config.ts';
import type { Deployer } from '../host/deployer.ts';
import type { HostLock } from '../host/host-lock.ts';
import type { Ledger } from '../host/ledger.ts';
import type { Mirrors } from '../host/mirrors.ts';
import type { ProcessRunner } from '../host/process.ts';
import type { Recipes } from '../host/recipes.ts';
import type { Results } from '../host/results.ts';
import { backup } from './backup.ts';
import { canonical } from './canonical.ts';
import { coldTest } from './cold-test.ts';
import { custom } from './custom.ts';
import { dependencies } from './dependencies.ts';
import { ledger } from './ledger.ts';
import { lint } from './lint.ts';
import { mirrorSync } from './mirror-sync.ts';
import { promote } from './promote.ts';
import { reap } from './reap.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { sweep } from './sweep.ts';
import { teardown } from './teardown.ts';

/** What one attempt lends to what it works with, so that it ends, or stops changing things, when it does. */
export interface AttemptBonds {
  run: ProcessRunner;
  /** For the environment of what is started elsewhere than by `run`, so that it is found when this ends. */
  mark: string;
  signal: AbortSignal;
  /** Throws when this attempt no longer holds the host. */
  guard(): Promise<void>;
  report(what: string): void;
  /** When the step is ended, milliseconds since the epoch. */
  until: number;
}

/** The outside world as the steps see it. */
export interface Dependencies {
  config: Config;
  recipes: Recipes;
  ledger: Ledger;
  canonicals: Canonicals;
  results: Results;
  alerts: Alerts;
  lock: HostLock;
  attempts: Attempts;
  /** Runs commands until the signal, each with this mark in its environment. */
  runnerFor(attempt: { signal: AbortSignal; mark: string }): ProcessRunner;
  mirrorsFor(run: ProcessRunner): Mirrors;
  deployerFor(attempt: AttemptBonds): Deployer;
  now(): Date;
}

/** Every step, bound to the outside world: the only way in. */
export function createActivities(deps: Dependencies) {
  return {
    ...sweep(deps),
    ...mirrorSync(deps),
    ...resolve(deps),
    ...dependencies(deps),
    ...coldTest(deps),
    ...backup(deps),
    ...custom(deps),
    ...lint(deps),
    ...promote(deps),
    ...teardown(deps),
    ...record(deps),
    ...reap(deps),
    ...canonical(deps),
    ...ledger(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
