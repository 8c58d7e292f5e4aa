import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { html } from 'hono/html';
import { z } from 'zod';
import { isRecipeName } from '../domain/names.ts';
import { entriesBelow, withFolder, type Entry } from '../host/machine/below-folder.ts';
import { tryJson } from '../host/machine/durable-file.ts';
import { openFileInside, openInside, outside } from '../host/machine/inside-folder.ts';
import { RESULT_FILE, runsRoot } from '../host/store/places.ts';
import { testIdPrefix } from '../workflows/protocol.ts';

/**
 * What tests of pull requests left, as plain files: strangers wrote what is in them, so nothing of it is ever a page that
 * a browser would run, and no link in there is followed.
 */

/** Below `/runs/`, as the path of a request says it. */
export type Found =
  | { is: 'nothing' }
  /** A folder, asked for without the slash at its end. */
  | { is: 'a folder' }
  | { is: 'entries'; entries: Entry[] }
  | { is: 'file'; bytes: number; type: string; content: ReadableStream };

export const NOTHING: Found = { is: 'nothing' };

/** Each name is one of a file or a folder, or there is none of it. */
export function partsOf(path: string): string[] | null {
  const parts: string[] = [];
  for (const written of path.split('/')) {
    let part: string;
    try {
      part = decodeURIComponent(written);
    } catch {
      return null;
    }
    if (part === '.' || part === '..' || /[/\0]/.test(part)) return null;
    parts.push(part);
  }
  // A slash at the end leaves an empty one there, and there alone.
  return parts.slice(0, -1).includes('') ? null : parts;
}

/**
 * What stands at that path of the evidence: `<asker>/<recipe>/…`, of a test alone. Whoever is given the content of a file
 * reads it or cancels it; with `head` it is empty, and nothing stays open.
 */
export async function findEvidence(
  { state, host }: { state: string; host: string },
  path: string,
  head: boolean,
): Promise<Found> {
  const [asker = '', recipe = '', ...rest] = partsOf(path) ?? [];
  if (asker === '' || asker.startsWith('.') || !isRecipeName(recipe)) return NOTHING;
  const found = await withFolder(runsRoot(state), [asker, recipe], async (run) => {
    if (!(await isOfTest(run, asker, host))) return NOTHING;
    return rest.length === 0 ? ({ is: 'a folder' } as const) : foundIn(outside(run), rest, head);
  }).catch((error: NodeJS.ErrnoException) => {
    // No run has been yet.
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return found ?? NOTHING;
}

async function foundIn(run: string, parts: readonly string[], head: boolean): Promise<Found | null> {
  const name = parts.at(-1) ?? '';
  return withFolder(run, parts.slice(0, -1), async (folder) => {
    if (name === '') return { is: 'entries', entries: await entriesBelow(outside(folder), '') };
    const file = await openFileInside(folder, name);
    if (file !== null) return fileOf(file, name, head);
    const inner = await openInside(folder, name);
    await inner?.close();
    return inner === null ? NOTHING : { is: 'a folder' };
  });
}

const asked = z.object({ asked: z.object({ by: z.string() }) });

/** By its result; where that is not written yet, by its name. */
async function isOfTest(run: FileHandle, asker: string, host: string): Promise<boolean> {
  const file = await openFileInside(run, RESULT_FILE);
  if (file === null) return asker.startsWith(`${testIdPrefix(host)}-`);
  try {
    const result = asked.safeParse(tryJson(await file.readFile('utf8')));
    return result.success && result.data.asked.by === 'test';
  } finally {
    await file.close();
  }
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
/** By so many of a file's first bytes it is told what it is. */
const LOOKED_AT = 4096;

async function fileOf(file: FileHandle, name: string, head: boolean): Promise<Found> {
  try {
    const { size } = await file.stat();
    const start = Buffer.alloc(Math.min(size, LOOKED_AT));
    const { bytesRead } = await file.read(start, 0, start.length, 0);
    return await contentOf(file, typeOf(name, start.subarray(0, bytesRead)), head);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

/** An open file, which is closed once it is read, or now where nothing of it is to be. */
export async function contentOf(file: FileHandle, type: string, head: boolean): Promise<Found> {
  // One that grows while it is read is what it was.
  const { size } = await file.stat();
  if (head || size === 0) {
    await file.close();
    return { is: 'file', bytes: size, type, content: Readable.toWeb(Readable.from([])) };
  }
  const content = Readable.toWeb(file.createReadStream({ start: 0, end: size - 1 }));
  return { is: 'file', bytes: size, type, content };
}

/** Never one that a browser runs anything of, whatever the name says. */
function typeOf(name: string, start: Buffer): string {
  if (name.endsWith('.png') && start.subarray(0, PNG.length).equals(PNG)) return 'image/png';
  if (start.includes(0)) return BYTES;
  try {
    // A character may be cut off at the end.
    new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    return TEXT;
  } catch {
    return BYTES;
  }
}

const MOST_ENTRIES = 1000;

/** A folder as a small page of ours: names are text in it, and links lead to what is in it. */
export function listingPage(entries: readonly Entry[]) {
  const shown = entries
    .filter(({ is }) => is === 'folder' || is === 'file')
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const more = shown.length - MOST_ENTRIES;
  return html`<!doctype html>
    <meta charset="utf-8" />
    <title>recipe-sweep</title>
    <ul>
      <li><a href="..">..</a></li>
      ${shown.slice(0, MOST_ENTRIES).map(({ name, is, bytes }) => {
        const slash = is === 'folder' ? '/' : '';
        const size = is === 'folder' ? '' : ` (${bytes} bytes)`;
        return html`<li><a href="./${encodeURIComponent(name)}${slash}">${name}${slash}</a>${size}</li> `;
      })}
    </ul>
    ${more > 0 ? `and ${more} more` : ''} `;
}
