import { access, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseRecipeRunId, recipeRunId } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { runName } from '../../domain/run.ts';
import { readJson, writeJson } from '../machine/durable-file.ts';
import { folderName, foldersIn, RESULT_FILE, runFolderName, runsRoot } from './places.ts';
import { resultSchema } from './result-schema.ts';

/**
 * What recipes' runs leave for people, whoever asked for them: `<state>/runs/<who asked>/<recipe>/` with result.json
 * and a folder of evidence for each step. A run is named by its workflow's ID.
 */
export interface Results {
  /** Where the run has its files. Throws RangeError for an ID that is no recipe's run. */
  folderOf(run: string): string;
  /** The same; made if it is missing. */
  runFolder(run: string): Promise<string>;
  /** The same if it is there; null where it is not, as of what an older version left elsewhere. */
  folderIfThere(run: string): Promise<string | null>;
  fileOf(run: string): string;
  write(result: RecipeResult): Promise<void>;
  /** Null when the run has none. Throws Fault RecordUnreadable. */
  read(run: string): Promise<RecipeResult | null>;
  /** Those of every run that it asked for. Throws Fault RecordUnreadable. */
  askedBy(id: string): Promise<RecipeResult[]>;
}

export function createResults(state: string): Results {
  const folderOf = (run: string): string => path.join(runsRoot(state), runFolderName(run));
  const fileOf = (run: string): string => path.join(folderOf(run), RESULT_FILE);
  return {
    folderOf,
    fileOf,
    async runFolder(run) {
      const folder = folderOf(run);
      await mkdir(folder, { recursive: true });
      return folder;
    },
    async folderIfThere(run) {
      if (!parseRecipeRunId(run)?.asker) return null;
      const folder = folderOf(run);
      return access(folder).then(
        () => folder,
        () => null,
      );
    },
    async write(result) {
      // What cannot be read back must not be written.
      await writeJson(fileOf(runName(result)), resultSchema.parse(result));
    },
    async read(run) {
      return readJson(fileOf(run), resultSchema);
    },
    async askedBy(id) {
      const found: RecipeResult[] = [];
      for (const { name } of await foldersIn(path.join(runsRoot(state), folderName(id)))) {
        const result = await readJson(fileOf(recipeRunId(id, name)), resultSchema);
        if (result !== null) found.push(result);
      }
      return found;
    },
  };
}
