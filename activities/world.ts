import type { TurnRequest } from '../domain/turn.ts';
import type { Alerts } from '../host/store/alerts.ts';
import type { Attempts } from '../host/turn/attempts.ts';
import type { Canonicals } from '../host/store/canonicals.ts';
import type { Config } from '../host/config/config.ts';
import type { Deployer } from '../host/deploy/deployer.ts';
import type { HostLock } from '../host/turn/host-lock.ts';
import type { Ledger } from '../host/git/ledger.ts';
import type { Mirrors } from '../host/git/mirrors.ts';
import type { ProcessRunner } from '../host/machine/process.ts';
import type { Recipes } from '../host/recipes/recipes.ts';
import type { Results } from '../host/store/results.ts';

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
export interface World {
  config: Config;
  recipes: Recipes;
  ledger: Ledger;
  canonicals: Canonicals;
  results: Results;
  alerts: Alerts;
  lock: HostLock;
  attempts: Attempts;
  turns: {
    /** Asks for the host; answers the ID of the workflow that grants it. */
    ask(request: TurnRequest): Promise<string>;
    /** Whether this very workflow is still open on the Temporal server. */
    isOpen(workflow: TurnRequest['workflow']): Promise<boolean>;
  };
  /** A worker of another installation that waits for this host's steps, in words, and what to do; else null. */
  foreignWorker(): Promise<{ found: string; how: string } | null>;
  /** Runs commands until the signal, each with this mark in its environment. */
  runnerFor(attempt: { signal: AbortSignal; mark: string }): ProcessRunner;
  mirrorsFor(run: ProcessRunner): Mirrors;
  deployerFor(attempt: AttemptBonds): Deployer;
  now(): Date;
}
