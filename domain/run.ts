import type { Release } from './release.ts';

/**
 * Who asked for a run; the ID is its workflow's. Whoever else comes to ask is another member here, and the compiler
 * then names what must know of it: who may hold the host for the run, by what the run is found in the Temporal UI, and
 * the schema of results. Everything else is called by the run itself, and never by who asked.
 */
export type Asker = { by: 'sweep'; id: string };

/** The same as a run is told it, with the first run ID of the workflow that asked. */
export type Asked = Asker & { runId: string };

/** One recipe's run, as every step is told of it. */
export interface RunRef {
  recipe: string;
  asked: Asked;
  /** The recipe run's own workflow ID and first run ID, which stays when it is reset. */
  workflow: { id: string; runId: string };
}

/** Who asked for the run. A step that an older workflow scheduled names its sweep under another key. */
export function askedFor(run: RunRef | (Omit<RunRef, 'asked'> & { sweep: Omit<Asked, 'by'> })): Asked {
  return 'asked' in run ? run.asked : { by: 'sweep', ...run.sweep };
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
