import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';

/** Makes the names in a folder survive a power cut: a rename is only durable once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes what was written to a file survive a power cut. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file in one step: a reader, and whoever comes after a crash, sees the old text or the new one,
 * both whole. The temporary file stands in the same folder, since a rename is atomic only within one.
 */
export async function writeDurably(file: string, text: string): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  // Of its own: two attempts in one process may replace the same file.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'w', 0o644);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await removeAbandoned(file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw diskFault(file, error);
  }
  await syncFolder(folder);
}

/** No write of one record takes longer. */
const ABANDONED_MS = 10 * 60_000;

/** What writers of this file left who died over it. */
async function removeAbandoned(file: string): Promise<void> {
  const [folder, start] = [path.dirname(file), `${path.basename(file)}.`];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start) || !name.endsWith('.tmp')) continue;
    const left = path.join(folder, name);
    const seen = await stat(left).catch(() => null);
    if (seen !== null && Date.now() - seen.mtimeMs > ABANDONED_MS) await rm(left, { force: true });
  }
}

/** For `.catch` of whatever lists a folder: one that is missing holds nothing. */
export function noneIfMissing(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

/** A file's bytes; none where there is no file. */
export async function bytesIfThere(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** A file's text; empty where there is no file. */
export async function textIfThere(file: string): Promise<string> {
  return (await bytesIfThere(file)).toString('utf8');
}

/** What the text says; undefined when it is no JSON. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Adds one line to a file and waits until it is on disk. */
export async function appendDurably(file: string, line: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  try {
    await appendFile(file, `${line}\n`, { flush: true });
  } catch (error) {
    throw diskFault(file, error);
  }
}

export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeDurably(file, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Reads a record. Null only when the file does not exist; a file that is cut, of another shape or from a
 * newer schema throws Fault RecordUnreadable, so that it is never taken for "nothing there". The remedy is what an
 * operator can do about it.
 */
export async function readJson<T>(
  file: string,
  schema: z.ZodType<T>,
  remedy = 'put back a good copy, or move the file away to start without it',
): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Fault('RecordUnreadable', `${file}: ${messageOf(error)}; ${remedy}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable(file, messageOf(error), remedy);
  }
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const why = z.prettifyError(checked.error).replaceAll('\n', ' ');
  throw newerSchema(file, value, checked.error) ?? unreadable(file, why, remedy);
}

/**
 * What is wrong with a record that was refused for the number of its schema; null where that is not why. Every number that
 * was ever written is read, so a newer version wrote it: nothing is broken, and no copy would be better.
 */
export function newerSchema(file: string, written: unknown, { issues }: z.ZodError): Fault | null {
  const number = (written as { schema?: unknown } | null | undefined)?.schema;
  if (typeof number !== 'number' || !issues.some(({ path: [first] }) => first === 'schema')) return null;
  return new Fault(
    'RecordUnreadable',
    `${file}: not a record this version can read: a newer recipe-sweep wrote it (schema ${number}); install that one again`,
  );
}

function unreadable(file: string, why: string, remedy: string): Fault {
  return new Fault('RecordUnreadable', `${file}: not a record this version can read (${why}); ${remedy}`);
}

function diskFault(file: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EIO'
    ? new Fault('Disk', `${file}: ${messageOf(error)}`, { cause: error })
    : error;
}
