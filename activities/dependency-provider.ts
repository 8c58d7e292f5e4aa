import type { ProvidedDependency } from '../domain/dependency.ts';
import type { RunRef } from '../domain/run.ts';
import type { HostAttempt } from './attempt.ts';

/** A recipe that another one needs beside it, in a run of that one. */
export interface Need {
  run: RunRef;
  recipe: string;
  /** Those that were provided before it. */
  dependencies: readonly ProvidedDependency[];
}

/**
 * Provides what a recipe needs beside it: a deployment of its own, which lives and dies with the run, or a namespace
 * for the run in a service that others use too. Whoever needs it is told the same of either.
 */
export interface DependencyProvider {
  /**
   * Provides it, also where an earlier attempt got halfway. One that cannot be had says nothing of the recipe that
   * needs it: throws Fault Dependency.
   */
  provide(attempt: HostAttempt, need: Need): Promise<ProvidedDependency>;
  /** Takes back what was made of it for the run, all or half or nothing, and nothing that is not the run's. */
  takeBack(attempt: HostAttempt, need: Omit<Need, 'dependencies'>): Promise<void>;
}
