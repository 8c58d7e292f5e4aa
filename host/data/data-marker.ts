import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Volume } from '../engine/volumes.ts';
import { inside, openFolder, openInside } from '../machine/inside-folder.ts';

/**
 * A file of ours in each volume of a cold stack, by which a volume's data is known again after an upgrade or a
 * restore. The folder itself is docker's; what is in it is the app's, which may have put a link, a pipe or a
 * folder where our file goes: nothing is followed, and nothing is waited for.
 */
export const DATA_MARKER = '.recipe-sweep';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Puts the run's mark into each volume that is kept here, in place of an earlier one. The file belongs to whoever the volume's
 * folder belongs to, so that an app which takes its files over at every start can.
 */
export async function placeMarkers(volumes: readonly Volume[], mark: string): Promise<void> {
  for (const volume of volumes.filter(isHere)) {
    if (await isMarked(volume, mark)) continue;
    const file = markerOf(volume);
    await clear(file);
    const { uid, gid } = await stat(volume.mountpoint);
    const handle = await open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
    try {
      await handle.chown(uid, gid);
      await handle.writeFile(mark);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/**
 * Whatever else stands there makes room, since the name is ours. A folder is moved beside it and stays: out of one that
 * is emptied by its path, whoever works in the volume meanwhile could lead us.
 */
async function clear(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EISDIR') await rename(file, `${file}-${randomBytes(6).toString('hex')}`);
    else if (code !== 'ENOENT') throw error;
  }
}

/** The names of those volumes that are kept here and in which the mark is not to be found. */
export async function missingMarkers(volumes: readonly Volume[], mark: string): Promise<string[]> {
  const missing: string[] = [];
  for (const volume of volumes.filter(isHere)) {
    if (!(await isMarked(volume, mark))) missing.push(volume.name);
  }
  return missing;
}

/** A volume with fewer files is no witness of a loss. */
const FEWEST_FILES = 2;
const MOST_FILES = 1_000;
/** Each level keeps a folder open while what is below is looked at. */
const DEEPEST = 16;
const MOST_FOLDERS = 1_000;

/** Some of the files that each volume kept here holds, our mark not counted, by their paths on this host. */
export async function someFiles(volumes: readonly Volume[]): Promise<Map<string, string[]>> {
  const held = new Map<string, string[]>();
  for (const volume of volumes.filter(isHere)) {
    const files: string[] = [];
    await addFiles(await openFolder(volume.mountpoint), volume.mountpoint, { files, folders: 0, depth: 0 });
    held.set(
      volume.name,
      files.filter((file) => file !== markerOf(volume)),
    );
  }
  return held;
}

/** Adds what is in an open folder, and closes it. */
async function addFiles(
  folder: FileHandle,
  at: string,
  found: { files: string[]; folders: number; depth: number },
): Promise<void> {
  try {
    for (const entry of await readdir(inside(folder, '.'), { withFileTypes: true })) {
      if (found.files.length >= MOST_FILES || found.folders >= MOST_FOLDERS) return;
      const name = path.join(at, entry.name);
      if (entry.isFile()) found.files.push(name);
      if (!entry.isDirectory() || found.depth >= DEEPEST) continue;
      const below = await openInside(folder, entry.name);
      if (below === null) continue;
      found.folders++;
      found.depth++;
      await addFiles(below, name, found);
      found.depth--;
    }
  } finally {
    await folder.close();
  }
}

/** Those of these volumes of whose files, as there were several, not one is there any more. */
export async function nothingLeft(
  held: ReadonlyMap<string, readonly string[]>,
  names: readonly string[],
): Promise<string[]> {
  const emptied: string[] = [];
  for (const name of names) {
    const files = held.get(name) ?? [];
    if (files.length < FEWEST_FILES) continue;
    const left = await Promise.all(files.map((file) => lstat(file).then(Boolean, gone)));
    if (!left.includes(true)) emptied.push(name);
  }
  return emptied;
}

function gone(error: unknown): false {
  if (NOT_A_FILE.has(String((error as NodeJS.ErrnoException).code))) return false;
  throw error;
}

function isHere({ elsewhere }: Volume): boolean {
  return elsewhere === undefined;
}

function markerOf({ mountpoint }: Volume): string {
  return path.join(mountpoint, DATA_MARKER);
}

/** What open answers for a link, a folder that is not one, or nothing at all; all else is the disk's fault. */
const NOT_A_FILE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

async function isMarked(volume: Volume, mark: string): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(markerOf(volume), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (NOT_A_FILE.has(String((error as NodeJS.ErrnoException).code))) return false;
    throw error;
  }
  try {
    const wanted = Buffer.from(mark);
    const found = await handle.stat();
    if (!found.isFile() || found.size !== wanted.length) return false;
    const { buffer } = await handle.read(Buffer.alloc(wanted.length), 0, wanted.length, 0);
    return buffer.equals(wanted);
  } finally {
    await handle.close();
  }
}
