import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { isRecipeName } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { KeptRun, KeptSweep } from '../../domain/retention.ts';
import { saysSomething, type IndexedRun } from '../../domain/run-history.ts';
import { runName } from '../../domain/run.ts';
import { noneIfMissing, readJson, writeDurably } from '../machine/durable-file.ts';
import {
  folderName,
  foldersIn,
  REPORT_FILE,
  RESULT_FILE,
  runFolderName,
  runsRoot,
  sweepsRoot,
} from './places.ts';
import { reportSchema } from './reports.ts';
import { resultSchema } from './result-schema.ts';
import { lineOf, type RunIndex } from './run-index.ts';

/**
 * What there is of runs and sweeps on disk, and its removal. Runs are known as `<who asked>/<recipe>`; those of
 * versions that had no `<state>/runs/` stand in `<state>/sweeps/` under the same name, and go like the others.
 */
export interface Kept {
  /** All of it but what nobody can read, which stays until somebody has looked. */
  survey(): Promise<{ runs: KeptRun[]; sweeps: KeptSweep[] }>;
  /** Throws a run away: a reader sees all of it, or nothing. */
  discardRun(folder: string): Promise<void>;
  /** The same of a sweep's report, with what else stands in its folder. */
  discardSweep(folder: string): Promise<void>;
  /** Throws away what a run left beside its result, and leaves a word about it. Does nothing when that is done. */
  discardEvidence(folder: string, word: string): Promise<void>;
  /** Ends what a crash left of throwing away. */
  finishDiscarding(): Promise<void>;
  /** Makes the index say what the results on disk say: what is gone goes from it, and what it does not know comes. */
  mendIndex(): Promise<void>;
}

export function createKept(state: string, index: RunIndex): Kept {
  const [ofRuns, ofSweeps] = [runsRoot(state), sweepsRoot(state)];

  /** Those of today's layout: asker, recipe. */
  async function runFolders(): Promise<[asker: string, recipe: string][]> {
    const found: [string, string][] = [];
    for (const { name: asker } of await foldersIn(ofRuns)) {
      for (const recipe of await recipesIn(path.join(ofRuns, asker))) found.push([asker, recipe]);
    }
    return found;
  }

  async function indexed(recipes: Iterable<string>): Promise<Map<string, IndexedRun>> {
    const known = new Map<string, IndexedRun>();
    for (const recipe of new Set(recipes)) {
      for (const run of (await index.of(recipe)).runs) known.set(runFolderName(run.run), run);
    }
    return known;
  }

  async function readResult(folder: string): Promise<RecipeResult | 'unreadable' | null> {
    try {
      const result = await readJson(path.join(ofRuns, folder, RESULT_FILE), resultSchema);
      // One that somebody put elsewhere is no result of this run.
      return result === null || runFolderName(runName(result)) === folder ? result : 'unreadable';
    } catch {
      return 'unreadable';
    }
  }

  async function discard(root: string, folder: string): Promise<void> {
    const aside = path.join(root, `${DISCARDED}${randomBytes(8).toString('hex')}`);
    try {
      await rename(path.join(root, folder), aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    await rm(aside, { recursive: true, force: true });
  }

  return {
    async survey() {
      const runs = new Map<string, KeptRun>();
      const add = (run: KeptRun): void => {
        const { endedMs = 0, told = false } = runs.get(run.folder) ?? {};
        runs.set(run.folder, { ...run, endedMs: Math.max(endedMs, run.endedMs), told: told || run.told });
      };
      const sweeps: KeptSweep[] = [];
      for (const { name: asker } of await foldersIn(ofSweeps)) {
        const folder = path.join(ofSweeps, asker);
        const read = readJson(path.join(folder, REPORT_FILE), reportSchema);
        const report = await read.catch(() => 'unreadable' as const);
        if (report === 'unreadable' || (report && folderName(report.sweep) !== asker)) continue;
        const recipes = await recipesIn(folder);
        const endedMs = report ? Date.parse(report.ended) : await lastWritten(folder, recipes);
        sweeps.push({ folder: asker, endedMs });
        for (const recipe of recipes) {
          const result = report?.recipes.find((one) => one.recipe === recipe);
          const told = result !== undefined && saysSomething(result);
          add({ folder: path.join(asker, recipe), asker, recipe, endedMs, told, isTest: false });
        }
      }
      const folders = await runFolders();
      const known = await indexed(folders.map(([, recipe]) => recipe));
      for (const [asker, recipe] of folders) {
        const folder = path.join(asker, recipe);
        const ended = known.get(folder) ?? (await readResult(folder));
        if (ended === 'unreadable') continue;
        const endedMs = ended ? Date.parse(ended.ended) : await lastWritten(path.join(ofRuns, folder), []);
        const told = ended !== null && saysSomething(ended);
        add({ folder, asker, recipe, endedMs, told, isTest: ended?.asked.by === 'test' });
      }
      return { runs: [...runs.values()], sweeps };
    },
    async discardRun(folder) {
      for (const root of [ofRuns, ofSweeps]) await discard(root, folder);
      // Who asked for others still has those; so does a report.
      await rmdir(path.join(ofRuns, path.dirname(folder))).catch(() => undefined);
    },
    async discardSweep(folder) {
      await discard(ofSweeps, folder);
    },
    async discardEvidence(folder, word) {
      for (const root of [ofRuns, ofSweeps]) {
        const run = path.join(root, folder);
        const entries = await readdir(run).catch(noneIfMissing);
        const evidence = entries.filter((name) => !STAYS.has(name));
        if (evidence.length === 0) continue;
        await writeDurably(path.join(run, DISCARDED_EVIDENCE), `${word}\n`);
        for (const name of evidence) await rm(path.join(run, name), { recursive: true, force: true });
      }
    },
    async finishDiscarding() {
      for (const root of [ofRuns, ofSweeps]) {
        for (const name of await readdir(root).catch(noneIfMissing)) {
          if (name.startsWith(DISCARDED)) await rm(path.join(root, name), { recursive: true, force: true });
        }
      }
    },
    async mendIndex() {
      const askers = new Map<string, string[]>((await index.recipes()).map((recipe) => [recipe, []]));
      for (const [asker, recipe] of await runFolders()) {
        askers.set(recipe, [...(askers.get(recipe) ?? []), asker]);
      }
      for (const [recipe, ofRecipe] of askers) {
        const { runs, problem } = await index.of(recipe);
        const known = new Map(runs.map((run) => [runFolderName(run.run), run]));
        const there: IndexedRun[] = [];
        for (const asker of ofRecipe) {
          const folder = path.join(asker, recipe);
          const line = known.get(folder);
          // One from before tiers were kept says them only now.
          const result = line && line.tiers !== null ? null : await readResult(folder);
          if (result !== null && result !== 'unreadable') there.push(lineOf(result));
          else if (line) there.push(line);
        }
        const same = there.length === runs.length && there.every((run) => runs.includes(run));
        if (problem !== null || !same) await index.rewrite(recipe, there);
      }
    },
  };
}

/** What is being thrown away stands under a name that no folder of a sweep or of runs has. */
const DISCARDED = '.discarded-';
const DISCARDED_EVIDENCE = 'evidence-removed.txt';
const STAYS = new Set([RESULT_FILE, DISCARDED_EVIDENCE]);

async function recipesIn(folder: string): Promise<string[]> {
  return (await foldersIn(folder)).flatMap(({ name }) => (isRecipeName(name) ? [name] : []));
}

/** When what never ended, or one of those in it, was last written to. */
async function lastWritten(folder: string, inIt: readonly string[]): Promise<number> {
  const folders = [folder, ...inIt.map((name) => path.join(folder, name))];
  const times = await Promise.all(folders.map(async (one) => (await stat(one)).mtimeMs));
  return Math.max(...times);
}
