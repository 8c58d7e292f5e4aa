/** Which of what runs and sweeps left for people has had its time. Pure, since what it answers is thrown away. */

/** A run's folder. */
export interface KeptRun {
  /** `<asker>/<recipe>`, by which it is known. */
  folder: string;
  /** The folder of who asked for it, which a sweep's report has as well. */
  asker: string;
  recipe: string;
  /** When it ended; of one that never did, when it was last written to. Milliseconds since the epoch. */
  endedMs: number;
  /** saysSomething() of it: any outcome of a sweep's run but ERROR and SKIP. */
  told: boolean;
  isTest: boolean;
}

/** A sweep's folder, which has its report. */
export interface KeptSweep {
  folder: string;
  /** As of a run. */
  endedMs: number;
}

/** What somebody still needs, whatever its age. */
export interface Needed {
  /** Folders of sweeps, or of whoever else asked for runs. */
  askers: ReadonlySet<string>;
  /** Folders of runs. */
  runs: ReadonlySet<string>;
  /** Recipes of which it is not known which run they need. */
  recipes: ReadonlySet<string>;
}

/** Milliseconds. */
export interface KeptAges {
  sweeps: number;
  evidence: number;
}

/** Folders, the oldest last. */
export interface Outlived {
  /** Runs that go with their results. */
  runs: string[];
  /** Runs whose evidence goes, and whose result stays. */
  evidence: string[];
  sweeps: string[];
}

/**
 * What is older than it need be, and needed by nobody. The last run that said something of a recipe stays with its
 * evidence, and so does the last sweep of all; a report stays as long as any run that it speaks of. A test goes by its age
 * alone.
 */
export function outlived(
  kept: { runs: readonly KeptRun[]; sweeps: readonly KeptSweep[] },
  needed: Needed,
  ages: KeptAges,
  nowMs: number,
): Outlived {
  const runs = [...kept.runs].sort((a, b) => b.endedMs - a.endedMs);
  const sweeps = [...kept.sweeps].sort((a, b) => b.endedMs - a.endedMs);
  const lastTold = new Map<string, string>();
  for (const { folder, recipe, told } of runs) {
    if (told && !lastTold.has(recipe)) lastTold.set(recipe, folder);
  }
  const latest = [...runs.filter(({ isTest }) => !isTest).slice(0, 1), ...sweeps.slice(0, 1)].sort(
    (a, b) => b.endedMs - a.endedMs,
  )[0];
  const last = latest === undefined || !('asker' in latest) ? latest?.folder : latest.asker;
  const isNeededWhole = (asker: string): boolean => asker === last || needed.askers.has(asker);
  const isNeeded = ({ folder, asker, recipe }: KeptRun): boolean =>
    isNeededWhole(asker) ||
    needed.runs.has(folder) ||
    needed.recipes.has(recipe) ||
    lastTold.get(recipe) === folder;

  const outlives: Outlived = { runs: [], evidence: [], sweeps: [] };
  const staying = new Set<string>();
  for (const run of runs) {
    const age = nowMs - run.endedMs;
    if (!isNeeded(run) && age > ages.sweeps) outlives.runs.push(run.folder);
    else {
      staying.add(run.asker);
      if (!isNeeded(run) && age > ages.evidence) outlives.evidence.push(run.folder);
    }
  }
  for (const { folder, endedMs } of sweeps) {
    const old = nowMs - endedMs > ages.sweeps;
    if (old && !isNeededWhole(folder) && !staying.has(folder)) outlives.sweeps.push(folder);
  }
  return outlives;
}
