import path from 'node:path';
import { z } from 'zod';
import { exactly } from '../machine/exact-schema.ts';
import { readJson, writeJson } from '../machine/durable-file.ts';

/** Up to where the comments of a repository were looked at. */
export interface Seen {
  /** When the newest of them was written; ISO 8601, UTC. */
  until: string;
  /** The IDs of those that were written shortly before: forges count whole seconds, and tell of some late. */
  comments: number[];
}

/** Comments on the forge that `serve` looked at, by recipe: `<state>/serve/seen.json`. */
export interface SeenComments {
  /** Throws Fault RecordUnreadable. */
  read(): Promise<ReadonlyMap<string, Seen>>;
  write(recipe: string, seen: Seen): Promise<void>;
}

const REMEDY = 'move the file away: comments of the last day are looked at again, and none is tested twice';

const seenSchema = z.strictObject({
  schema: z.literal(1),
  recipes: z.record(
    z.string(),
    exactly<Seen>()(z.strictObject({ until: z.iso.datetime(), comments: z.array(z.int()) })),
  ),
});

/** All that `serve` writes is in there. */
export function serveFolder(state: string): string {
  return path.join(state, 'serve');
}

export function createSeenComments(state: string): SeenComments {
  const file = path.join(serveFolder(state), 'seen.json');
  const recipes = async (): Promise<Record<string, Seen>> =>
    (await readJson(file, seenSchema, REMEDY))?.recipes ?? {};
  return {
    read: async () => new Map(Object.entries(await recipes())),
    async write(recipe, seen) {
      await writeJson(file, { schema: 1, recipes: { ...(await recipes()), [recipe]: seen } });
    },
  };
}
