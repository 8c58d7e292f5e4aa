import { quotable } from './printable.ts';

/**
 * A broken platform is an exception of one of these kinds; a red test is a value, never one of them.
 * The kind is the `type` of the Temporal ApplicationFailure, so an operator can filter on it.
 */
export const FAULTS = {
  /** The configuration, a recipe.yml or a workflow's input is wrong. */
  BadConfig: { retryable: false },
  BadInput: { retryable: false },
  /** A release's tag has another commit than the ledger has; other tags may move. */
  TagMoved: { retryable: false },
  /** A record on disk cannot be read; it is never taken for an absent one. */
  RecordUnreadable: { retryable: false },
  /** Secrets that belong to a canonical's data are not on the swarm any more: new values would not open it. */
  SecretsLost: { retryable: false },
  /** Another run holds this host. */
  HostBusy: { retryable: false },
  /** This attempt no longer holds the host: a later attempt or another run does. */
  FenceLost: { retryable: false },
  /** Something that is not ours stands where we would have to write. */
  NotOurs: { retryable: false },
  /** Something else has a port of this host that an app publishes. */
  PortTaken: { retryable: false },
  /** The host lacks what a sweep needs. */
  Preflight: { retryable: false },
  /** Something else answers at the domain where an app is to answer. */
  DomainTaken: { retryable: true },
  MirrorSync: { retryable: true },
  /** The forge does not do what it is asked, or does not answer. */
  Forge: { retryable: true },
  /** What a recipe needs beside it did not come up. */
  Dependency: { retryable: true },
  /** A canonical does not run on its own data as it was proven, so that nothing could be learned of what follows it. */
  Canonical: { retryable: true },
  Registry: { retryable: true },
  Network: { retryable: true },
  Daemon: { retryable: true },
  Disk: { retryable: true },
  /** This host's clock was set, or the host slept, while something was timed. */
  Clock: { retryable: true },
  /** A step took longer than it may, or its worker fell silent. */
  TimedOut: { retryable: true },
  /** An error that nobody expected, so a mistake of recipe-sweep's own: trying again would repeat it. */
  Bug: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

export type FaultType = keyof typeof FAULTS;

/**
 * Thrown when nothing was learned. The message says what, where, and what to do; what it quotes of others is
 * made fit to be shown here, since it goes to terminals, logs and histories.
 */
export class Fault extends Error {
  readonly type: FaultType;

  constructor(type: FaultType, message: string, options?: ErrorOptions) {
    super(quotable(message), options);
    this.name = 'Fault';
    this.type = type;
  }
}

/** The text of anything thrown, for messages that quote it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
