import path from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../machine/durable-file.ts';

/**
 * What the images that a run names were when it first looked: a tag may move in the registry at any moment, and
 * what is tested, restored and promoted by one run must be one thing.
 */

const schema = z.strictObject({
  schema: z.literal(1),
  /** By the name in compose: the registry's digest, else the engine's ID. */
  images: z.record(z.string(), z.string()),
});

/** Where it stands in the folder of a recipe's run. */
export function resolvedImagesFile(folder: string): string {
  return path.join(folder, 'resolved-images.json');
}

/** By name. Throws Fault RecordUnreadable. */
export async function readResolved(file: string): Promise<Map<string, string>> {
  return new Map(Object.entries((await readJson(file, schema))?.images ?? {}));
}

export async function addResolved(file: string, seen: Iterable<readonly [string, string]>): Promise<void> {
  const known = await readResolved(file);
  const all = new Map([...seen, ...known]);
  if (all.size > known.size) await writeJson(file, { schema: 1, images: Object.fromEntries(all) });
}
