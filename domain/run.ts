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

/** What mirror-sync found upstream. */
export interface Published {
  /** Main's tip. */
  main: string;
  /** Every release reachable on main that the recipe has tested, oldest first. */
  releases: Release[];
  /** What is worth telling and stops nothing: tags that are no releases' and moved. */
  notes: string[];
}

/** What resolve found on this host's disk. */
export interface Found {
  canonical: Release | null;
  hold: string | null;
  /** Every recipe that must run beside it, its dependencies' own included, each before those that need it. */
  deps: string[];
}
