import { constants } from 'node:fs';
import { lstat, open, readdir, rename, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/**
 * Folders that somebody else may change while we work in them, as a running app does its volumes. Each step goes
 * from an open folder to a name in it and through no link, so nobody can lead us out by exchanging one for the
 * other. Names are bytes, whatever they are encoded in.
 */

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** What open says of a name that is not there, or cannot be, or is no folder but a link or a file. */
const NO_FOLDER = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);
/** What it says of a name that is not there, a link, or a socket. */
const NO_FILE = new Set(['ENOENT', 'ELOOP', 'ENXIO', 'ENAMETOOLONG']);

/** Opens a folder whose path is ours. */
export async function openFolder(folder: string): Promise<FileHandle> {
  return open(folder, O_RDONLY | O_DIRECTORY);
}

/** Opens a folder in a folder; null when there is none of that name. */
export async function openInside(folder: FileHandle, name: string | Buffer): Promise<FileHandle | null> {
  try {
    return await open(inside(folder, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (NO_FOLDER.has(String((error as NodeJS.ErrnoException).code))) return null;
    throw error;
  }
}

/** Opens a regular file in a folder; null when there is none of that name. */
export async function openFileInside(folder: FileHandle, name: string | Buffer): Promise<FileHandle | null> {
  let file;
  try {
    // A pipe that nobody writes to would keep us waiting.
    file = await open(inside(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (NO_FILE.has(String((error as NodeJS.ErrnoException).code))) return null;
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return null;
}

/** A name in an open folder, for calls of this process that follow no link at their last step. */
export function inside({ fd }: FileHandle, name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), Buffer.from(name)]);
}

/** The open folder itself, for other processes while this one keeps it open. */
export function outside({ fd }: FileHandle): string {
  return `/proc/${process.pid}/fd/${fd}`;
}

/** Whether something, be it a link, has this name in the folder. */
export async function has(folder: FileHandle, name: string): Promise<boolean> {
  try {
    await lstat(inside(folder, name));
    return true;
  } catch (error) {
    if (['ENOENT', 'ENAMETOOLONG'].includes(String((error as NodeJS.ErrnoException).code))) return false;
    throw error;
  }
}

/** Where what has to make room is put: a folder of ours on the same disk. */
export interface Aside {
  folder: string;
  count: number;
}

/**
 * Moves all that is in `from`, a folder of ours alone on the same disk, into an open folder, where it replaces
 * what has its name, and nothing else, as tar does that unpacks over what is there. Folders that are in both stay,
 * and get owner and mode of the one that comes; so does `into`, when `alike`.
 */
export async function moveInto(
  from: string | Buffer,
  into: FileHandle,
  aside: Aside,
  alike: boolean,
): Promise<void> {
  const coming = await readdir(from, { encoding: 'buffer' });
  for (const name of coming) {
    const source = Buffer.concat([Buffer.from(from), Buffer.from('/'), name]);
    const both = (await lstat(source)).isDirectory() ? await openInside(into, name) : null;
    if (both === null) {
      await putAside(inside(into, name), aside);
      await rename(source, inside(into, name));
      continue;
    }
    try {
      await moveInto(source, both, aside, true);
    } finally {
      await both.close();
    }
  }
  if (!alike) return;
  const { uid, gid, mode } = await lstat(from);
  await into.chown(uid, gid);
  await into.chmod(mode & 0o7777);
}

async function putAside(name: Buffer, aside: Aside): Promise<void> {
  try {
    await rename(name, path.join(aside.folder, String(aside.count++)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
