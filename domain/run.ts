import type { Release } from './release.ts';

/** One recipe's run within a sweep, as every step is told of it. */
export interface RunRef {
  recipe: string;
  /** The sweep's workflow ID and first run ID. */
  sweep: { id: string; runId: string };
  /** The recipe run's own workflow ID and first run ID, which stays when it is reset. */
  workflow: { id: string; runId: string };
}

/** Limits that shape the workflows; they come from the configuration when a sweep opens. Milliseconds. */
export interface SweepSettings {
  attempts: number;
  tierMs: number;
  promoteMs: number;
  sweepMs: number;
}

/** What the resolve step found on the mirror and on disk. */
export interface Found {
  main: string;
  /** Every release reachable on main, oldest first. */
  releases: Release[];
  canonical: Release | null;
  hold: string | null;
  /**
   * Every recipe that must run beside it, its dependencies' own included, each before those that need it.
   * Absent from histories of older workflows.
   */
  deps?: string[];
}
