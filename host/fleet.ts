import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../domain/fault.ts';
import { checkGitUrl } from '../domain/git-url.ts';
import { isRecipeName } from '../domain/names.ts';
import type { IndexedRun } from '../domain/run-history.ts';
import { noneIfMissing } from './machine/durable-file.ts';
import { createRecipes } from './recipes/recipes.ts';
import { createCanonicals, type CanonicalRecord } from './store/canonicals.ts';
import { createRunIndex } from './store/run-index.ts';

/** What is on disk of each recipe: all that those who show it to people or count it begin with. */
export interface FleetRecipe {
  recipe: string;
  /** What its folder says; null where it has none (any more). */
  folder: {
    /** Why it is not enrolled; null when it is. */
    exception: string | null;
    /** Why it is held; null when nobody holds it. */
    hold: string | null;
    live: boolean;
    /** Where its home repository is, without a name and a password; null where the folder does not say. */
    upstream: string | null;
  } | null;
  /** Every run that its index has, of sweeps and of tests, newest first. */
  runs: IndexedRun[];
  /** Null where there is none, or it cannot be read. */
  canonical: CanonicalRecord | null;
  /** What of it cannot be read, a line each. */
  problems: string[];
  /** Changes whenever anything above does, and tells one state from any other. */
  seen: string;
}

/** A sweep, as its recipes' runs tell of it. */
export interface FleetSweep {
  id: string;
  /** When its first recipe began and its last one ended, ISO 8601, UTC. */
  started: string;
  ended: string;
  /** By recipe. */
  runs: ReadonlyMap<string, IndexedRun>;
}

export interface FleetReader {
  /** Every recipe that has a folder, a run or a canonical, by name. What did not change since the last time is not read again. */
  read(): Promise<FleetRecipe[]>;
}

/** Reads nothing but these files, and keeps in memory what they said. */
export function createFleetReader({
  state,
  recipes: folder,
  zone,
}: {
  state: string;
  recipes: string;
  zone: string;
}): FleetReader {
  const recipes = createRecipes(folder);
  const canonicals = createCanonicals({ state, zone });
  const index = createRunIndex(state);
  let known = new Map<string, FleetRecipe>();

  async function one(recipe: string): Promise<FleetRecipe> {
    const files = {
      index: path.join(state, 'index', `${recipe}.jsonl`),
      record: path.join(state, 'canonicals', recipe, 'canonical.json'),
      settings: path.join(folder, recipe, 'recipe.yml'),
    };
    const [runsSeen, recordSeen, settingsSeen] = await Promise.all(Object.values(files).map(signatureOf));
    const seen = [runsSeen, recordSeen, settingsSeen].join(' ');
    const before = known.get(recipe);
    if (before?.seen === seen) return before;
    const problems: string[] = [];
    const noted = async <T>(reading: Promise<T>): Promise<T | null> =>
      reading.catch((error: unknown) => {
        problems.push(messageOf(error));
        return null;
      });
    const { runs, problem } = await index.of(recipe);
    if (problem !== null) problems.push(problem);
    const canonical = await noted(canonicals.read(recipe));
    const settings = settingsSeen === NOT_THERE ? null : await noted(recipes.one(recipe));
    const isThere = settings !== null || (await folderIsThere(path.join(folder, recipe)));
    const { exception = null, hold = null, live = false } = settings ?? {};
    const home = settings?.upstream === undefined ? null : checkGitUrl(settings.upstream);
    const upstream = home?.ok === true ? home.url : null;
    return {
      recipe,
      folder: isThere ? { exception, hold, live, upstream } : null,
      runs,
      canonical,
      problems,
      seen,
    };
  }

  return {
    async read() {
      const [inFolder, withRuns, withCanonical] = await Promise.all([
        readdir(folder).catch(noneIfMissing),
        index.recipes(),
        canonicals.list(),
      ]);
      const names = [...new Set([...inFolder.filter(isRecipeName), ...withRuns, ...withCanonical])].sort();
      const found: FleetRecipe[] = [];
      for (let at = 0; at < names.length; at += AT_ONCE) {
        found.push(...(await Promise.all(names.slice(at, at + AT_ONCE).map(one))));
      }
      known = new Map(found.map((recipe) => [recipe.recipe, recipe]));
      return found.filter(
        ({ folder: is, runs, canonical, problems }) =>
          is !== null || runs.length > 0 || canonical !== null || problems.length > 0,
      );
    },
  };
}

const AT_ONCE = 32;
const NOT_THERE = '-';

/** What tells a file from what it was before. */
async function signatureOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null);
  return found === null ? NOT_THERE : `${found.ino}.${found.size}.${found.mtimeNs}`;
}

async function folderIsThere(folder: string): Promise<boolean> {
  return stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Every sweep that some recipe has a run of, the latest first. */
export function sweepsIn(fleet: readonly FleetRecipe[]): FleetSweep[] {
  const sweeps = new Map<
    string,
    { id: string; started: string; ended: string; runs: Map<string, IndexedRun> }
  >();
  for (const { recipe, runs } of fleet) {
    for (const run of runs) {
      const { by, id } = run.asked;
      if (by !== 'sweep') continue;
      const known = sweeps.get(id);
      if (known === undefined) {
        sweeps.set(id, { id, started: run.started, ended: run.ended, runs: new Map([[recipe, run]]) });
        continue;
      }
      known.runs.set(recipe, run);
      if (run.started < known.started) known.started = run.started;
      if (run.ended > known.ended) known.ended = run.ended;
    }
  }
  return [...sweeps.values()].sort((a, b) => (a.ended < b.ended ? 1 : -1));
}
