import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from '../machine.ts';

/** What images are made of is got once and kept. */

/**
 * The path of a file or folder of the cache. Unless it is there, `make` makes it at a path beside it, and only
 * what was made to its end is kept.
 */
export async function cached(name: string, make: (scratch: string) => Promise<void>): Promise<string> {
  const kept = path.join(cacheFolder(), name);
  if (await exists(kept)) return kept;
  await mkdir(path.dirname(kept), { recursive: true });
  const scratch = `${kept}.${randomBytes(4).toString('hex')}`;
  try {
    await make(scratch);
    await rename(scratch, kept).catch(async (error: unknown) => {
      // a folder does not replace the one that another set-up made meanwhile
      if (!(await exists(kept))) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return kept;
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Names what something is made of, so that an old one is not taken for it. */
export function fingerprintOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
}
