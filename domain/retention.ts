/** Which of what sweeps left for people has had its time. Pure, since what it answers is thrown away. */

/** A sweep's folder. */
export interface KeptSweep {
  folder: string;
  /** When it ended; of one that never did, when it was last written to. Milliseconds since the epoch. */
  endedMs: number;
  /** The recipes that have a folder in it. */
  recipes: readonly string[];
  /** Those of which it says something: any outcome but ERROR and SKIP. */
  told: readonly string[];
}

/** What somebody still needs, whatever its age. */
export interface NeededSweeps {
  /** Folders of sweeps. */
  sweeps: ReadonlySet<string>;
  /** Folders of recipes' runs, as in `<sweep's folder>/<recipe>`. */
  runs: ReadonlySet<string>;
  /** Recipes of which it is not known which run they need. */
  recipes: ReadonlySet<string>;
}

/** Milliseconds. */
export interface SweepAges {
  sweeps: number;
  evidence: number;
}

export interface Outlived {
  sweeps: string[];
  /** Runs whose evidence goes, and whose result stays. */
  evidence: { sweep: string; recipe: string }[];
}

/**
 * What is older than it need be, and needed by nobody. The last sweep that said something of a recipe stays with its
 * evidence, and the last of all.
 */
export function outlived(
  sweeps: readonly KeptSweep[],
  needed: NeededSweeps,
  ages: SweepAges,
  nowMs: number,
): Outlived {
  const byAge = [...sweeps].sort((a, b) => b.endedMs - a.endedMs);
  const last = new Map<string, string>();
  for (const { folder, told } of byAge) {
    for (const recipe of told) if (!last.has(recipe)) last.set(recipe, folder);
  }
  const isNeeded = (folder: string, recipe: string): boolean =>
    needed.runs.has(`${folder}/${recipe}`) || needed.recipes.has(recipe) || last.get(recipe) === folder;

  const outlives: Outlived = { sweeps: [], evidence: [] };
  for (const { folder, endedMs, recipes } of byAge.slice(1)) {
    if (needed.sweeps.has(folder)) continue;
    const age = nowMs - endedMs;
    const free = recipes.filter((recipe) => !isNeeded(folder, recipe));
    if (age > ages.sweeps && free.length === recipes.length) outlives.sweeps.push(folder);
    else if (age > ages.evidence)
      outlives.evidence.push(...free.map((recipe) => ({ sweep: folder, recipe })));
  }
  return outlives;
}
