import { randomBytes } from 'node:crypto';
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readJson, syncFolder } from '../machine/durable-file.ts';

/**
 * Which installation this is: `<state>/installation.json`, made once. Two machines that were given one name in their
 * configurations are told apart by it, whatever their containers are called.
 */

const schema = z.strictObject({ schema: z.literal(1), id: z.string().regex(/^[0-9a-f]{8}$/) });

const fileOf = (state: string): string => path.join(state, 'installation.json');

/** Null where no worker has run yet. */
export async function installationOf(state: string): Promise<string | null> {
  return (await readJson(fileOf(state), schema))?.id ?? null;
}

/** The same, made if need be. */
export async function ensureInstallation(state: string): Promise<string> {
  const found = await installationOf(state);
  if (found !== null) return found;
  await mkdir(state, { recursive: true });
  const temporary = path.join(state, `.installation-${randomBytes(6).toString('hex')}`);
  try {
    const made: z.output<typeof schema> = { schema: 1, id: randomBytes(4).toString('hex') };
    await writeFile(temporary, `${JSON.stringify(made)}\n`, { flush: true });
    // Of two workers that start at once one makes it, and both go by what is there.
    await link(temporary, fileOf(state)).catch(unlessThere);
    await syncFolder(state);
  } finally {
    await rm(temporary, { force: true });
  }
  return (await installationOf(state)) as string;
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
