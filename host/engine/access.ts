import type Dockerode from 'dockerode';

/** The engine as one attempt of a step uses it. */
export interface EngineAccess {
  docker: Dockerode;
  /** Ends every wait. */
  signal: AbortSignal;
  /** Awaited before every change that is made; throws when the attempt no longer holds the host. */
  guard: () => Promise<void>;
}
