import { lstat, opendir, readdir, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { inside, openFileInside, openFolder, openInside } from './inside-folder.ts';

/**
 * What stands below a folder of ours, looked at for somebody else's eyes: through no link, so that nobody who may put
 * one there can have it lead elsewhere, and never more than was asked for.
 */

/** Runs the body on an open folder below the root; null where there is none of that name. It is closed afterwards. */
export async function withFolder<T>(
  root: string,
  parts: readonly string[],
  body: (folder: FileHandle) => Promise<T>,
): Promise<T | null> {
  let folder = await openFolder(root);
  try {
    for (const part of parts) {
      const next = await openInside(folder, part);
      await folder.close();
      if (next === null) return null;
      folder = next;
    }
    return await body(folder);
  } finally {
    await folder.close().catch(() => undefined);
  }
}

const partsOf = (name: string): string[] => name.split('/').filter((part) => part !== '' && part !== '.');

/** The end of a regular file below the root, and how long all of it is; null where there is none, or a link. */
export async function endOfFileBelow(
  root: string,
  name: string,
  mostBytes: number,
): Promise<{ text: string; bytes: number } | null> {
  const parts = partsOf(name);
  return withFolder(root, parts.slice(0, -1), async (folder) => {
    const file = await openFileInside(folder, parts.at(-1) ?? '');
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      const end = Buffer.alloc(Math.min(size, mostBytes));
      const { bytesRead } = await file.read(end, 0, end.length, size - end.length);
      return { text: end.toString('utf8', 0, bytesRead), bytes: size };
    } finally {
      await file.close();
    }
  });
}

/** Names in a folder below the root, and what kind each is and when it was written, latest first. None where it is missing. */
export async function entriesBelow(root: string, name: string): Promise<Entry[]> {
  const entries = await withFolder(root, partsOf(name), async (folder) => {
    const names = await readdir(inside(folder, '.'), { encoding: 'utf8' });
    return Promise.all(names.map(async (one) => entryOf(folder, one)));
  });
  return (entries ?? []).filter((entry) => entry !== null).sort((a, b) => b.writtenMs - a.writtenMs);
}

export interface Entry {
  name: string;
  is: 'folder' | 'file' | 'link' | 'other';
  bytes: number;
  /** As in 0o644. */
  mode: number;
  writtenMs: number;
}

/** Null for one that is gone by now. */
async function entryOf(folder: FileHandle, name: string): Promise<Entry | null> {
  const found = await lstat(inside(folder, name)).catch(() => null);
  if (found === null) return null;
  const is = found.isDirectory()
    ? 'folder'
    : found.isFile()
      ? 'file'
      : found.isSymbolicLink()
        ? 'link'
        : 'other';
  return { name, is, bytes: found.size, mode: found.mode & 0o7777, writtenMs: found.mtimeMs };
}

export interface ListingLimits {
  /** Entries of one folder. */
  ofOne: number;
  /** Entries of all. */
  ofAll: number;
}

/**
 * What stands below the root, folders before what is in them, so that what is left out is deep down; by their paths seen
 * from the root. Folders that are to stay `closed` are named, and not looked into. Answers too of how many entries at least
 * nothing is said.
 */
export async function listingBelow(
  root: string,
  { ofOne, ofAll }: ListingLimits,
  closed: ReadonlySet<string> = new Set(),
): Promise<{ entries: (Entry & { path: string })[]; leftOut: number }> {
  const entries: (Entry & { path: string })[] = [];
  let leftOut = 0;
  const waiting: string[][] = [[]];
  for (let parts = waiting.shift(); parts !== undefined; parts = waiting.shift()) {
    const here = parts;
    await withFolder(root, here, async (folder) => {
      const names: string[] = [];
      for await (const { name } of await opendir(inside(folder, '.'))) {
        if (names.length < ofOne && entries.length + names.length < ofAll) names.push(name);
        else leftOut += 1;
      }
      for (const name of names.sort()) {
        const entry = await entryOf(folder, name);
        if (entry === null) continue;
        const seen = { ...entry, path: path.join(...here, name) };
        entries.push(seen);
        if (seen.is === 'folder' && !closed.has(seen.path)) waiting.push([...here, name]);
      }
    });
  }
  return { entries, leftOut };
}
