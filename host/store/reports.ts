import path from 'node:path';
import { z } from 'zod';
import { PLACES, type DiskReport } from '../../domain/disk.ts';
import { messageOf } from '../../domain/fault.ts';
import type { SweepEnvironment } from '../../domain/environment.ts';
import type { LastSweep, SweepReport } from '../../domain/report.ts';
import { readJson, writeJson } from '../machine/durable-file.ts';
import { folderName, foldersIn, REPORT_FILE, sweepsRoot } from './places.ts';
import { resultSchema } from './result-schema.ts';

const environmentSchema: z.ZodType<SweepEnvironment> = z.strictObject({
  fingerprint: z.string(),
  parts: z.record(z.string(), z.string()),
  changed: z.array(z.string()).nullable(),
});

const bytes = z.number().int().nonnegative();

const diskSchema: z.ZodType<DiskReport> = z.strictObject({
  headroom: bytes,
  disks: z.array(
    z.strictObject({ places: z.array(z.enum(PLACES)), folder: z.string(), size: bytes, free: bytes }),
  ),
  next: z.strictObject({
    engine: bytes,
    state: bytes,
    together: bytes,
    largest: z.string().nullable(),
    unknown: z.array(z.string()),
    withoutImages: z.array(z.string()),
  }),
  dropped: z.array(z.strictObject({ recipe: z.string(), version: z.string(), why: z.string() })),
});

/** A sweep's report as it is on disk, whichever version wrote it. */
export const reportSchema: z.ZodType<SweepReport> = z.strictObject({
  schema: z.literal([1, 2, 3, 4, 5]).transform(() => 5 as const),
  sweep: z.string(),
  host: z.string(),
  zone: z.string(),
  verdict: z.enum(['green', 'red', 'none', 'skipped']),
  note: z.string().nullable(),
  problems: z.array(z.string()).default([]),
  notes: z.array(z.string()).default([]),
  environment: environmentSchema.nullable().default(null),
  disk: diskSchema.nullable().default(null),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  recipes: z.array(resultSchema),
});

const unreachedSchema = z.strictObject({
  schema: z.literal(1),
  since: z.record(z.string(), z.iso.datetime()),
});

const lastSchema: z.ZodType<LastSweep> = z.strictObject({
  schema: z.literal(1),
  sweep: z.string(),
  environment: environmentSchema.nullable(),
  notes: z.array(z.string()),
  roster: z
    .strictObject({ enrolled: z.array(z.string()), gone: z.record(z.string(), z.iso.datetime()) })
    .nullable(),
});

/**
 * What sweeps leave for people: `<state>/sweeps/<sweep>/report.json`. Beside them `<state>/unreached.json`, for the
 * order of the next sweep, and `<state>/last-sweep.json`, for what it compares itself with, so that none must read what all
 * earlier ones left.
 */
export interface Reports {
  fileOf(sweep: string): string;
  write(report: SweepReport): Promise<void>;
  /** Null when there is no such sweep, or it has not ended. Throws Fault RecordUnreadable. */
  read(sweep: string): Promise<SweepReport | null>;
  /** Every ended sweep whose report can be read, newest first, and what is wrong with the other ones. */
  all(): Promise<{ reports: SweepReport[]; unreadable: string[] }>;
  /** The recipes that sweeps did not reach, and since when (ISO 8601, UTC). Throws Fault RecordUnreadable. */
  unreached(): Promise<Map<string, string>>;
  writeUnreached(since: ReadonlyMap<string, string>): Promise<void>;
  /** Null before the first sweep. Throws Fault RecordUnreadable. */
  last(): Promise<LastSweep | null>;
  writeLast(last: LastSweep): Promise<void>;
}

export function createReports(state: string): Reports {
  const root = sweepsRoot(state);
  const lastFile = path.join(state, 'last-sweep.json');
  const unreachedFile = path.join(state, 'unreached.json');
  const fileOf = (sweep: string): string => path.join(root, folderName(sweep), REPORT_FILE);
  return {
    fileOf,
    async write(report) {
      // What cannot be read back must not be written.
      await writeJson(fileOf(report.sweep), reportSchema.parse(report));
    },
    async read(sweep) {
      return readJson(fileOf(sweep), reportSchema);
    },
    async all() {
      const reports: SweepReport[] = [];
      const unreadable: string[] = [];
      for (const { name } of await foldersIn(root)) {
        try {
          const report = await readJson(path.join(root, name, REPORT_FILE), reportSchema);
          if (report) reports.push(report);
        } catch (error) {
          unreadable.push(messageOf(error));
        }
      }
      return { reports: reports.sort((a, b) => (a.ended < b.ended ? 1 : -1)), unreadable };
    },
    async unreached() {
      const read = await readJson(unreachedFile, unreachedSchema);
      return new Map(Object.entries(read?.since ?? {}));
    },
    async last() {
      return readJson(lastFile, lastSchema);
    },
    async writeLast(last) {
      await writeJson(lastFile, lastSchema.parse(last));
    },
    async writeUnreached(since) {
      await writeJson(unreachedFile, { schema: 1, since: Object.fromEntries(since) });
    },
  };
}
