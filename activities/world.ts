import type { Environment } from '../domain/environment.ts';
import type { Disk } from '../domain/disk.ts';
import type { TurnRequest } from '../domain/turn.ts';
import type { Forge } from '../forge/forge.ts';
import type { Attempts } from '../host/lock/attempts.ts';
import type { Canonicals } from '../host/store/canonicals.ts';
import type { Config } from '../host/config/config.ts';
import type { HostLock } from '../host/lock/host-lock.ts';
import type { Ledger } from '../host/git/ledger.ts';
import type { Mirrors } from '../host/git/mirrors.ts';
import type { ProcessRunner } from '../host/machine/process.ts';
import type { Recipes } from '../host/recipes/recipes.ts';
import type { Services } from '../host/store/services.ts';
import type { Store } from '../host/store/store.ts';
import type { AttemptBonds, Tools } from '../host/tools.ts';

/** The outside world as the steps see it. */
export interface World extends Store {
  config: Config;
  /** Where the mirrors' pull requests are, asked until the signal; null where the configuration names no forge. */
  forgeFor(signal: AbortSignal): Promise<Forge | null>;
  recipes: Recipes;
  ledger: Ledger;
  canonicals: Canonicals;
  services: Services;
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
  /** What of this host decides verdicts, as it is now. */
  environment(commands: ProcessRunner): Promise<Environment>;
  /** The disks that this host's room is on, as they are now; those that can be seen. */
  disks(): Promise<Disk[]>;
  /** Runs commands until the signal, each with this mark in its environment. */
  runnerFor(attempt: { signal: AbortSignal; commandMark: string }): ProcessRunner;
  mirrorsFor(commands: ProcessRunner): Mirrors;
  toolsFor(attempt: AttemptBonds): Tools;
  now(): Date;
}
