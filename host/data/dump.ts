import { readdir, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../../domain/fault.ts';
import { openFileInside, openInside, outside } from '../machine/inside-folder.ts';

/** Looks at a database's dump, as far as its own format tells whether it is whole. */

/** What a file is called that a hook dumped a database into. */
const DUMP = /\.(sql|dump)(\.gz)?$/;
/** So many files of one folder are looked into. */
const MOST_DUMPS = 100;

/**
 * What is wrong with what a hook dumped at a path, one line each: with the file, or with those that lie in the
 * folder and are called like a dump. A file that is called otherwise and was empty before is no dump.
 */
export async function wrongDumps(
  folder: FileHandle,
  what: string,
  since: Date,
  signal: AbortSignal,
): Promise<string[]> {
  const name = path.basename(what);
  const inFolder = await openInside(folder, name);
  try {
    const names = inFolder === null ? [name] : await readdir(outside(inFolder));
    const dumps = inFolder === null ? names : names.filter((one) => DUMP.test(one)).sort();
    const wrong: string[] = [];
    for (const one of dumps.slice(0, MOST_DUMPS)) {
      const file = await openFileInside(inFolder ?? folder, one);
      try {
        const { size = 0, mtimeMs = 0 } = (await file?.stat()) ?? {};
        const isDump = DUMP.test(one) || size > 0 || mtimeMs >= since.getTime();
        const lack = file !== null && isDump ? await lackOfDump(file, signal) : null;
        if (lack !== null) wrong.push(`${inFolder === null ? what : `${what}/${one}`} ${lack}`);
      } finally {
        await file?.close();
      }
    }
    return wrong;
  } finally {
    await inFolder?.close();
  }
}

/** How dumps in plain text begin and end: pg_dump and pg_dumpall, mysqldump and mariadb-dump, as they write it. */
const FORMATS: readonly { begins: RegExp; ends: string }[] = [
  { begins: /^-- PostgreSQL database cluster dump$/m, ends: '-- PostgreSQL database cluster dump complete' },
  { begins: /^-- PostgreSQL database dump$/m, ends: '-- PostgreSQL database dump complete' },
  { begins: /^-- (MySQL|MariaDB) dump /m, ends: '-- Dump completed' },
];

/** Both words stand within so many bytes of an end. */
const EDGE = 4096;
const GZIP = Buffer.from([0x1f, 0x8b]);
/** Longer than this nobody unpacks one to look at its end. */
const UNPACK_MS = 5 * 60_000;

interface Edges {
  head: Buffer;
  tail: Buffer;
}

/**
 * What a dump lacks to be one, as `is empty`; null when nothing can be said against it: it is whole, or in a format
 * that does not tell.
 */
export async function lackOfDump(file: FileHandle, signal: AbortSignal): Promise<string | null> {
  const { size } = await file.stat();
  if (size === 0) return 'is empty';
  let edges: Edges = { head: await bytes(file, 0), tail: await bytes(file, Math.max(0, size - EDGE)) };
  if (edges.head.subarray(0, GZIP.length).equals(GZIP)) {
    const late = AbortSignal.timeout(UNPACK_MS);
    try {
      edges = await unpackedEdges(file, AbortSignal.any([signal, late]));
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) return null;
      if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
      return `is cut or broken: gzip says ${messageOf(error)}`;
    }
    if (edges.head.length === 0) return 'is empty once it is unpacked';
  }
  const [head, tail] = [edges.head.toString('latin1'), edges.tail.toString('latin1')];
  const format = FORMATS.find(({ begins }) => begins.test(head));
  return format === undefined || tail.includes(format.ends)
    ? null
    : `is cut: it does not end with "${format.ends}"`;
}

async function bytes(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(EDGE), position });
  return buffer.subarray(0, bytesRead);
}

async function unpackedEdges(file: FileHandle, signal: AbortSignal): Promise<Edges> {
  let [head, tail] = [Buffer.alloc(0), Buffer.alloc(0)];
  const packed = file.createReadStream({ start: 0, autoClose: false });
  await pipeline(
    packed,
    createGunzip(),
    async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) {
        if (head.length < EDGE) head = Buffer.concat([head, piece]).subarray(0, EDGE);
        tail = Buffer.concat([tail, piece.subarray(-EDGE)]).subarray(-EDGE);
      }
    },
    { signal },
  );
  return { head, tail };
}
