import type Dockerode from 'dockerode';

/** The engine as one attempt of a step uses it. */
export interface EngineAccess {
  docker: Dockerode;
  /** Ends what goes on for long: pulls, events, commands, waits. What the engine is asked besides it answers at once. */
  signal: AbortSignal;
  /** Awaited before every change that is made; throws when the attempt no longer holds the host. */
  guard: () => Promise<void>;
}
