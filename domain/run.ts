import type { Need } from './disk.ts';
import { recipeRunId } from './names.ts';
import type { Release } from './release.ts';

/**
 * Who asked for a run; the ID is its workflow's. Whoever else comes to ask is another member here, and the compiler
 * then names what must know of it: who may hold the host for the run, by what the run is found in the Temporal UI, and
 * the schema of results. Files, labels and names are the run's own, whoever asked. What is a sweep's by name is the
 * workflow that it starts for a recipe (RecipeSweepInput) and the outcomes that it gives for want of a run.
 */
export type Asker = { by: 'sweep'; id: string } | { by: 'test'; id: string };

/** The same as a run is told it, with the first run ID of the workflow that asked. */
export type Asked = Asker & { runId: string };

/** One recipe's run, as every step is told of it. */
export interface RunRef {
  recipe: string;
  asked: Asked;
  /** Its own workflow ID and first run ID, which stays when it is reset. A test is its own asker. */
  workflow: { id: string; runId: string };
}

/** By what a run is called: the workflow that asked for it, and the recipe. */
export interface NamedRun {
  recipe: string;
  asked: { id: string };
}

/** What a run is called on disk and in labels: whoever asked for it, and the recipe. */
export function runName({ asked, recipe }: NamedRun): string {
  return recipeRunId(asked.id, recipe);
}

/** What workflows know of the configuration: limits in milliseconds. It is read when a sweep or a test opens. */
export interface SweepSettings {
  attempts: number;
  tierMs: number;
  promoteMs: number;
  sweepMs: number;
  /** `serve.url`: the address of the site; missing where it has none, and from what older versions answered. */
  site?: string;
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
  /** Since when the canonical's data is gone (ISO 8601, UTC); null while it has it, or is none. */
  dataDropped: string | null;
  hold: string | null;
  /** The room that a run of it takes; null where nothing is known of that. */
  disk: Need | null;
  /** Every recipe that must run beside it, its dependencies' own included, each before those that need it. */
  deps: string[];
  /** What hooks and checks, of it or of one of those, need and this host lacks, and what to do; left out where nothing is. */
  lack?: string;
}
