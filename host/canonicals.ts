import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { checkedRecipe, isRecipeName } from '../domain/names.ts';
import { parseRelease } from '../domain/version.ts';
import { Fault } from '../domain/fault.ts';
import { passBoundary } from './boundary.ts';
import { appendDurably, readJson, syncFolder, writeJson } from './durable-file.ts';

/**
 * The canonical of each recipe, under `<state>/canonicals/<recipe>/`:
 * `canonical.json` (the record and the one commit point), `history.jsonl` (every promotion),
 * `snapshots/<id>/` (the data), `attached.json` (the data is in use and may differ from the record).
 */

const commit = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);

const recordSchema = z.strictObject({
  schema: z.literal(1),
  recipe: z.string(),
  version: z.string().refine((tag) => parseRelease(tag) !== null, 'not a release (x.y.z+app)'),
  commit,
  status: z.literal('proven'),
  /** When it was promoted, ISO 8601, UTC. */
  ts: z.iso.datetime(),
  /** The run that tested and promoted it. */
  run: z.string(),
  images: z.record(z.string(), z.strictObject({ image: z.string(), digest: z.string() })),
  snapshot: z.strictObject({
    id: z.string().regex(/^[0-9a-z-]+$/),
    /** Of the snapshot's manifest, which holds the sum of every volume's tar. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** Of all its files. */
    bytes: z.number().int().nonnegative(),
  }),
});

export type CanonicalRecord = z.output<typeof recordSchema>;

const attachedSchema = z.strictObject({ schema: z.literal(1), run: z.string(), ts: z.iso.datetime() });

export interface Canonicals {
  /** The record, or null when the recipe has none. Throws Fault RecordUnreadable. */
  read(recipe: string): Promise<CanonicalRecord | null>;
  /** The commit point: from here on the canonical is this. Then its history line. */
  write(record: CanonicalRecord): Promise<void>;
  /** Every promotion, oldest first. */
  history(recipe: string): Promise<CanonicalRecord[]>;
  /** Adds the record's line when a crash came between the commit point and the history. */
  completeHistory(record: CanonicalRecord): Promise<void>;
  /** Recipes that have a folder here, by name. */
  list(): Promise<string[]>;
  /** Says on disk that the warm data is about to be used, so that a crash is seen. */
  markAttached(recipe: string, run: string, now: Date): Promise<void>;
  isAttached(recipe: string): Promise<boolean>;
  clearAttached(recipe: string): Promise<void>;
  snapshotsFolder(recipe: string): string;
}

export function createCanonicals(state: string): Canonicals {
  const root = path.join(state, 'canonicals');
  const folder = (recipe: string): string => path.join(root, checkedRecipe(recipe));
  const recordFile = (recipe: string): string => path.join(folder(recipe), 'canonical.json');
  const historyFile = (recipe: string): string => path.join(folder(recipe), 'history.jsonl');
  const attachedFile = (recipe: string): string => path.join(folder(recipe), 'attached.json');

  async function read(recipe: string): Promise<CanonicalRecord | null> {
    const record = await readJson(recordFile(recipe), recordSchema);
    if (record && record.recipe !== recipe) {
      throw new Fault(
        'RecordUnreadable',
        `${recordFile(recipe)}: is the record of ${JSON.stringify(record.recipe)}, not of ${recipe}; put back the right copy`,
      );
    }
    return record;
  }

  async function history(recipe: string): Promise<CanonicalRecord[]> {
    const lines = (await readIfThere(historyFile(recipe))).split('\n').filter((line) => line !== '');
    return lines.flatMap((line) => {
      // A crash can cut the last line; completeHistory writes it again.
      const parsed = recordSchema.safeParse(tryJson(line));
      return parsed.success ? [parsed.data] : [];
    });
  }

  async function completeHistory(record: CanonicalRecord): Promise<void> {
    const text = await readIfThere(historyFile(record.recipe));
    const known = (await history(record.recipe)).some((past) => past.snapshot.id === record.snapshot.id);
    if (known) return;
    const torn = text !== '' && !text.endsWith('\n');
    await appendDurably(historyFile(record.recipe), `${torn ? '\n' : ''}${JSON.stringify(record)}`);
  }

  return {
    read,
    history,
    completeHistory,
    async write(record) {
      recordSchema.parse(record);
      await writeJson(recordFile(record.recipe), record);
      passBoundary('promote.after-record');
      await completeHistory(record);
      passBoundary('promote.after-history');
    },
    async list() {
      try {
        const entries = await readdir(root, { withFileTypes: true });
        return entries
          .filter((entry) => entry.isDirectory() && isRecipeName(entry.name))
          .map((entry) => entry.name)
          .sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    async markAttached(recipe, run, now) {
      await writeJson(attachedFile(recipe), { schema: 1, run, ts: now.toISOString() });
    },
    async isAttached(recipe) {
      // Whatever stands there, even cut short, says that the data was in use.
      try {
        return (await readJson(attachedFile(recipe), attachedSchema)) !== null;
      } catch (error) {
        if (error instanceof Fault && error.type === 'RecordUnreadable') return true;
        throw error;
      }
    },
    async clearAttached(recipe) {
      await rm(attachedFile(recipe), { force: true });
      await syncFolder(folder(recipe)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    },
    snapshotsFolder(recipe) {
      return path.join(folder(recipe), 'snapshots');
    },
  };
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function tryJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
