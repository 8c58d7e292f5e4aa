import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { parseRecipeRunId } from '../../domain/names.ts';
import { noneIfMissing } from '../machine/durable-file.ts';

/** Where, below the state folder, runs, sweeps and the report site have their files. */

/** Of all runs. */
export function runsRoot(state: string): string {
  return path.join(state, 'runs');
}

/** In a run's folder. */
export const RESULT_FILE = 'result.json';

/** In a run's folder: what the release changes against the canonical, and what its notes say. */
export const CHANGES = { folder: 'changes', diff: 'files.diff', notes: 'release-notes.txt' } as const;

/** Of all sweeps. */
export function sweepsRoot(state: string): string {
  return path.join(state, 'sweeps');
}

/** In a sweep's folder. */
export const REPORT_FILE = 'report.json';

/** Of the report site, which is made of all the rest. */
export function siteRoot(state: string): string {
  return path.join(state, SITE);
}

/** Below the state folder. */
export const SITE = 'site';

/** By name. A stray file among them, or a folder whose name begins with a dot, is none. */
export async function foldersIn(root: string): Promise<Dirent[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(noneIfMissing);
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
}

const LONGEST_FOLDER_NAME = 200;
const KEPT_OF_A_LONG_ONE = 150;

/**
 * A workflow ID, or any other name that somebody made up, as one folder or file name. An operator may start a sweep
 * under any ID, so everything outside a narrow alphabet is percent-encoded and a leading dot too; the result is never
 * a path. One that would be too long for a file system ends with its sum, so that two that begin alike never share a
 * folder.
 */
export function folderName(id: string): string {
  const encoded = encodeURIComponent(id.replace(/\p{Cs}/gu, '\ufffd'))
    .replace(/^\./, '%2E')
    .replace(/[*'()!~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
  if (encoded.length <= LONGEST_FOLDER_NAME) return encoded;
  const sum = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return `${encoded.slice(0, KEPT_OF_A_LONG_ONE)}~${sum}`;
}

/**
 * A recipe's run, named by its workflow's ID, as a folder: who asked, and in it the recipe. Always two below where it
 * stands, so that no run's folder is ever in another's. Throws RangeError for an ID that is no recipe's run.
 */
export function runFolderName(run: string): string {
  const parts = parseRecipeRunId(run);
  if (parts === null || parts.asker === '') {
    throw new RangeError(`not a recipe's run: ${JSON.stringify(run.slice(0, 100))}`);
  }
  return path.join(folderName(parts.asker), parts.recipe);
}
