import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../domain/fault.ts';

/** The sum of a whole file. */
export async function sumOf(file: string): Promise<Sum> {
  return sumWhile(Promise.resolve(), file);
}

export interface Sum {
  sha256: string;
  bytes: number;
}

/** Why a file is not what had this sum; null when it is. */
export async function differenceFrom({ sha256, bytes }: Sum, file: string): Promise<string | null> {
  try {
    const found = await sumOf(file);
    return found.sha256 === sha256 && found.bytes === bytes
      ? null
      : `${path.basename(file)} has other content`;
  } catch (error) {
    return messageOf(error);
  }
}

const PIECE = 1024 * 1024;
const FOLLOW_MS = 5;

/**
 * The sum of what a file holds when `writing` has ended, read behind the writer: it costs no time of its own
 * as long as the writer is the slower one. Right for writers that only append, as tar does. Throws what
 * `writing` throws.
 */
export async function sumWhile(writing: Promise<void>, file: string): Promise<Sum> {
  let ended = false;
  const written = writing.finally(() => (ended = true));
  written.catch(() => undefined); // it is awaited below, whatever happens to the reading
  const hash = createHash('sha256');
  let [piece, other] = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)];
  let bytes = 0;
  try {
    const handle = await open(file, 'r');
    try {
      const read = async (into: Buffer) => {
        const isLast = ended;
        const { bytesRead } = await handle.read(into, 0, PIECE, bytes);
        return { bytesRead, isLast };
      };
      let next = read(piece);
      for (;;) {
        const { bytesRead, isLast } = await next;
        if (bytesRead === 0 && isLast) break;
        if (bytesRead === 0) await sleep(FOLLOW_MS);
        bytes += bytesRead;
        // The next piece is read while this one is summed.
        next = read(other);
        hash.update(piece.subarray(0, bytesRead));
        [piece, other] = [other, piece];
      }
    } finally {
      await handle.close();
    }
  } finally {
    await written;
  }
  return { sha256: hash.digest('hex'), bytes };
}
