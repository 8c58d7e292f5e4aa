import { readdir, rename, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { checkedRecipe, isRecipeName, warmDomain } from '../../domain/names.ts';
import { parseVersion } from '../../domain/version.ts';
import { Fault } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import {
  appendDurably,
  bytesIfThere,
  noneIfMissing,
  newerSchema,
  readJson,
  syncFolder,
  textIfThere,
  tryJson,
  writeJson,
} from '../machine/durable-file.ts';

/**
 * The canonical of each recipe, under `<state>/canonicals/<recipe>/`:
 * `canonical.json` (the record and the one commit point), `history.jsonl` (every promotion, and
 * where data was dropped), `snapshots/<id>/` (the data), `attached.json` (the data is in use and may differ from the record).
 */

const commit = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);

const recordKeys = {
  recipe: z.string(),
  version: z.string().refine((tag) => parseVersion(tag) !== null, 'not a release (x.y.z+app)'),
  commit,
  status: z.literal('proven'),
  /** When it was promoted, ISO 8601, UTC. */
  ts: z.iso.datetime(),
  /** The run that tested and promoted it. */
  run: z.string(),
  images: z.record(z.string(), z.strictObject({ image: z.string(), digest: z.string() })),
};

const ofDeployment = {
  /** Where its data lives: names of volumes and secrets derive from it. */
  domain: z.string().nullable(),
  /** What of recipe.yml was set over .env.sample when it was proven; `${DEP_…}` as it is written. */
  env: z.record(z.string(), z.string()).nullable(),
};

const snapshot = z.strictObject({
  id: z.string().regex(/^[0-9a-z-]+$/),
  /** Of the snapshot's manifest, which holds the sum of every volume's tar. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of all its files. */
  bytes: z.number().int().nonnegative(),
});

/** A canonical has a snapshot, or its data was dropped. */
const ofData = {
  snapshot: snapshot.nullable(),
  /** When its data was given up, ISO 8601, UTC; null while it has it. */
  dropped: z.iso.datetime().nullable(),
};

const isEither = (one: { snapshot: unknown; dropped: unknown }): boolean =>
  (one.snapshot === null) !== (one.dropped === null);
const EITHER = { error: 'exactly one of snapshot and dropped is null' };

const record = z
  .strictObject({
    schema: z.literal(4),
    ...recordKeys,
    ...ofDeployment,
    ...ofData,
    /** Who gave its data up, by the workflow's ID, and why; null while it has it, and of what earlier versions dropped. */
    droppedBy: z.strictObject({ run: z.string(), why: z.string() }).nullable(),
    /** The bytes that it took when it was promoted, beside its snapshot; null where nobody looked. */
    disk: z
      .strictObject({ volumes: z.number().int().nonnegative(), images: z.number().int().nonnegative() })
      .nullable(),
  })
  .refine(isEither, EITHER);

export type CanonicalRecord = z.output<typeof record>;

/** What records before schema 4 did not say. */
const UNSAID = { schema: 4 as const, droppedBy: null, disk: null };

/**
 * No data was ever dropped of records before schema 3. Those of schema 1 name neither the domain nor the environment: both
 * are null.
 */
export const recordSchema: z.ZodType<CanonicalRecord> = z.discriminatedUnion('schema', [
  record,
  z
    .strictObject({ schema: z.literal(3), ...recordKeys, ...ofDeployment, ...ofData })
    .refine(isEither, EITHER)
    .transform((old) => ({ ...old, ...UNSAID })),
  z
    .strictObject({ schema: z.literal(2), ...recordKeys, ...ofDeployment, snapshot })
    .transform((old) => ({ ...old, ...UNSAID, dropped: null })),
  z
    .strictObject({ schema: z.literal(1), ...recordKeys, snapshot })
    .transform((old) => ({ ...old, ...UNSAID, domain: null, env: null, dropped: null })),
]);

const attachedSchema = z.strictObject({
  schema: z.literal(1),
  run: z.string(),
  ts: z.iso.datetime(),
  /** The canonical whose data is in use; null for none. Absent from what earlier versions wrote. */
  canonical: z.string().nullable().optional(),
});

export interface Canonicals {
  /**
   * The record, or null when the recipe never had one. Throws Fault RecordUnreadable for one that is damaged, of
   * another domain, or lost: a history or a snapshot without a record is never "no canonical".
   */
  read(recipe: string): Promise<CanonicalRecord | null>;
  /** The commit point: from here on the canonical, or what it has, is this. Then its history line. */
  write(record: CanonicalRecord): Promise<void>;
  /** What every record said, oldest first: each promotion, and where its data was dropped. Throws Fault RecordUnreadable for one that a newer version wrote. */
  history(recipe: string): Promise<CanonicalRecord[]>;
  /** Adds the record's line when a crash came between the commit point and the history. */
  completeHistory(record: CanonicalRecord): Promise<void>;
  /**
   * What the history's last whole line says, of which a lost record can be written anew. Throws Fault RecordUnreadable
   * when there is no history, or its last line cannot be read.
   */
  lastPromotion(recipe: string): Promise<CanonicalRecord>;
  /** Where its data lives, as its record or its history says, whether or not that is where it would be now. */
  writtenDomain(recipe: string): Promise<string | null>;
  /**
   * For a recipe that needs it beside itself and uses none of its data: the record, or, where that cannot be read, what
   * the history says. Throws as read does when that cannot be read either.
   */
  readForOthers(recipe: string): Promise<CanonicalRecord | null>;
  /** Gives the canonical up: its record is gone, and its history has become `history-<time>.jsonl`. */
  forget(recipe: string, run: string, now: Date): Promise<void>;
  /** Recipes that have a folder here, by name. */
  list(): Promise<string[]>;
  /** Says on disk that the warm data is about to be used, so that a crash is seen. */
  markAttached(recipe: string, run: string, canonical: string | null, now: Date): Promise<void>;
  isAttached(recipe: string): Promise<boolean>;
  clearAttached(recipe: string): Promise<void>;
  snapshotsFolder(recipe: string): string;
}

/** A history as it stands on disk. */
interface Written {
  /** Without one that a crash or a full disk cut short: only the last can be such a one. */
  lines: string[];
  /** Where that begins, in bytes; null where there is none. */
  cutAt: number | null;
  /** Whether the last of the lines has its end. */
  isEnded: boolean;
}

/** What of these lines can be read, and what of them a newer version wrote. */
function promotionsIn(
  file: string,
  lines: readonly string[],
): { known: CanonicalRecord[]; newer: Fault | null } {
  const known: CanonicalRecord[] = [];
  let newer: Fault | null = null;
  for (const line of lines) {
    const read = tryJson(line);
    const parsed = recordSchema.safeParse(read);
    if (parsed.success) known.push(parsed.data);
    else newer ??= newerSchema(file, read, parsed.error);
  }
  return { known, newer };
}

export function createCanonicals({ state, zone }: { state: string; zone: string }): Canonicals {
  const root = path.join(state, 'canonicals');
  const folder = (recipe: string): string => path.join(root, checkedRecipe(recipe));
  const recordFile = (recipe: string): string => path.join(folder(recipe), 'canonical.json');
  const historyFile = (recipe: string): string => path.join(folder(recipe), 'history.jsonl');
  const attachedFile = (recipe: string): string => path.join(folder(recipe), 'attached.json');

  async function read(recipe: string): Promise<CanonicalRecord | null> {
    const file = recordFile(recipe);
    const record = await readJson(file, recordSchema, remedyOf(recipe));
    if (record === null) {
      const beside = await traceOf(recipe);
      if (beside === null) return null;
      throw new Fault('RecordUnreadable', `${file}: is missing, but ${beside}; ${remedyOf(recipe)}`);
    }
    if (record.recipe !== recipe) {
      throw new Fault(
        'RecordUnreadable',
        `${file}: is the record of ${JSON.stringify(record.recipe)}, not of ${recipe}; put back the right copy`,
      );
    }
    const domain = warmDomain(recipe, zone);
    if (record.domain !== null && record.domain !== domain) {
      throw new Fault(
        'RecordUnreadable',
        `${file}: its data lives at ${record.domain}, and with the zone ${zone} it would be ${domain}; set "zone" back, or give it up: recipe-sweep canonical forget ${recipe}`,
      );
    }
    return record;
  }

  /** What shows that there was a record; null when nothing does. */
  async function traceOf(recipe: string): Promise<string | null> {
    if ((await textIfThere(historyFile(recipe))).trim() !== '')
      return 'history.jsonl beside it names promotions';
    const attached = await readJson(attachedFile(recipe), attachedSchema, remedyOf(recipe));
    if (typeof attached?.canonical === 'string')
      return `attached.json beside it says that the data of ${attached.canonical} is in use`;
    // A first promotion takes its snapshot before it writes the record, and says so before.
    if (attached !== null) return null;
    const snapshots = await namesIn(path.join(folder(recipe), 'snapshots'));
    const whole = snapshots.find((name) => !name.endsWith('.partial'));
    return whole === undefined ? null : `the snapshot ${whole} stands beside it`;
  }

  /** What stands in a history. */
  async function written(recipe: string): Promise<Written> {
    const bytes = await bytesIfThere(historyFile(recipe));
    const whole = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.toString('utf8', 0, whole).split('\n');
    const last = bytes.toString('utf8', whole);
    const isCut = last !== '' && tryJson(last) === undefined;
    return {
      lines: [...lines, isCut ? '' : last].filter((line) => line !== ''),
      cutAt: isCut ? whole : null,
      isEnded: last === '' || isCut,
    };
  }

  /** What of the history can be read, oldest first, and what of it a newer version wrote. */
  async function promotions(recipe: string): Promise<{ known: CanonicalRecord[]; newer: Fault | null }> {
    const { lines } = await written(recipe);
    return promotionsIn(historyFile(recipe), lines);
  }

  async function history(recipe: string): Promise<CanonicalRecord[]> {
    const { known, newer } = await promotions(recipe);
    if (newer) throw newer;
    return known;
  }

  async function completeHistory(record: CanonicalRecord): Promise<void> {
    const file = historyFile(record.recipe);
    const { lines, cutAt, isEnded } = await written(record.recipe);
    const { known } = promotionsIn(file, lines);
    if (known.some((past) => past.snapshot?.id === record.snapshot?.id && past.dropped === record.dropped)) {
      return;
    }
    // So that whoever reads the file can read every line of it.
    if (cutAt !== null) await truncate(file, cutAt);
    await appendDurably(file, `${isEnded ? '' : '\n'}${JSON.stringify(record)}`);
  }

  async function lastPromotion(recipe: string): Promise<CanonicalRecord> {
    const file = historyFile(recipe);
    // Of a line that a crash cut short the snapshot before it is not pruned yet.
    const { lines } = await written(recipe);
    const line = tryJson(lines.at(-1) ?? '');
    const last = recordSchema.safeParse(line);
    if (last.success && last.data.recipe === recipe) return last.data;
    const newer = last.success ? null : newerSchema(file, line, last.error);
    if (newer) throw newer;
    const why = lines.length === 0 ? 'there is no promotion in it' : 'its last line cannot be read';
    throw new Fault('RecordUnreadable', `${file}: ${why}; put back a good copy of it`);
  }

  return {
    read,
    history,
    completeHistory,
    lastPromotion,
    async readForOthers(recipe) {
      try {
        return await read(recipe);
      } catch (error) {
        return lastPromotion(recipe).catch(() => {
          throw error;
        });
      }
    },
    async writtenDomain(recipe) {
      const record = await readJson(recordFile(recipe), recordSchema).catch(() => null);
      return (record ?? (await promotions(recipe)).known.at(-1))?.domain ?? null;
    },
    async forget(recipe, run, now) {
      // From here on what stands beside the missing record is known to be nobody's.
      await writeJson(attachedFile(recipe), { schema: 1, run, ts: now.toISOString(), canonical: null });
      const kept = path.join(folder(recipe), `history-${now.toISOString().replace(/[^0-9TZ]/g, '')}.jsonl`);
      await rename(historyFile(recipe), kept).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      await syncFolder(folder(recipe));
      await rm(recordFile(recipe), { force: true });
      await syncFolder(folder(recipe));
    },
    async write(record) {
      recordSchema.parse(record);
      await writeJson(recordFile(record.recipe), record);
      passBoundary('promote.after-record');
      await completeHistory(record);
      passBoundary('promote.after-history');
    },
    async list() {
      const entries = await readdir(root, { withFileTypes: true }).catch(noneIfMissing);
      return entries
        .filter((entry) => entry.isDirectory() && isRecipeName(entry.name))
        .map((entry) => entry.name)
        .sort();
    },
    async markAttached(recipe, run, canonical, now) {
      await writeJson(attachedFile(recipe), { schema: 1, run, ts: now.toISOString(), canonical });
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

/** What an operator can do about a record that is lost or damaged. */
function remedyOf(recipe: string): string {
  return `put back a good copy, or write it anew from the history: recipe-sweep canonical rebuild ${recipe}; to start without it: recipe-sweep canonical forget ${recipe}`;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(noneIfMissing);
}
