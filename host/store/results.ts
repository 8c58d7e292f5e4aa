import { createHash, randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../domain/fault.ts';
import { checkedRecipe, isRecipeName } from '../../domain/names.ts';
import { TIERS } from '../../domain/outcome.ts';
import type { LintProblem } from '../../domain/level.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import type { KeptSweep } from '../../domain/retention.ts';
import { noneIfMissing, readJson, writeDurably, writeJson } from '../machine/durable-file.ts';

/**
 * What sweeps leave for people: `<state>/sweeps/<sweep>/report.json`, and a folder per recipe with its
 * result.json and evidence. Beside them `<state>/unreached.json`, for the order of the next sweep, so that none
 * must read what all earlier ones left.
 */

const tier = z.enum(TIERS);

const outcomeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('PASS'), promoted: z.string() }),
  z.strictObject({
    kind: z.literal('GREEN-BUT-PROMOTE-FAILED'),
    version: z.string(),
    why: z.string(),
    canonical: z.string().nullable(),
    evidence: z.string().nullable(),
  }),
  z.strictObject({
    kind: z.literal('FAIL'),
    version: z.string(),
    tier,
    why: z.string(),
    evidence: z.string(),
    canonical: z.string().nullable(),
  }),
  z.strictObject({
    kind: z.literal('SKIP'),
    because: z.enum(['no-new-version', 'never-released', 'held']),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('ERROR'),
    cause: z.enum(['mirror-sync', 'infrastructure', 'tag-moved', 'cancelled', 'out-of-time']),
    why: z.string(),
  }),
]);

const ms = z.number().nonnegative().exactOptional();

const resultKeys = {
  recipe: z.string(),
  sweep: z.string(),
  outcome: outcomeSchema,
  leftovers: z.string().nullable().default(null),
  notes: z.array(z.string()).default([]),
  release: z.strictObject({ version: z.string(), commit: z.string() }).nullable(),
  tiers: z.array(
    z.discriminatedUnion('result', [
      z.strictObject({ tier, result: z.literal('pass'), ms, note: z.string().exactOptional() }),
      z.strictObject({ tier, result: z.literal('fail'), reason: z.string(), evidence: z.string(), ms }),
      z.strictObject({ tier, result: z.literal('skipped'), reason: z.string() }),
      z.strictObject({ tier, result: z.literal('not reached') }),
    ]),
  ),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  workflow: z.strictObject({ id: z.string(), runId: z.string() }),
};

const lintProblem: z.ZodType<LintProblem> = z.strictObject({
  rule: z.string(),
  file: z.string(),
  line: z.int().positive().nullable(),
  what: z.string(),
});

/** Results of schema 1 knew of no level and no lint problems, the first of schema 2 of no leftovers and no notes. */
const resultSchema: z.ZodType<RecipeResult> = z.discriminatedUnion('schema', [
  z.strictObject({
    schema: z.literal(2),
    ...resultKeys,
    level: z.int().min(0).max(5).nullable(),
    lint: z.array(lintProblem).nullable(),
  }),
  z
    .strictObject({ schema: z.literal(1), ...resultKeys })
    .transform((result) => ({ ...result, schema: 2 as const, level: null, lint: null })),
]);

const reportSchema: z.ZodType<SweepReport> = z.strictObject({
  schema: z.literal([1, 2]).transform(() => 2 as const),
  sweep: z.string(),
  host: z.string(),
  zone: z.string(),
  verdict: z.enum(['green', 'red', 'none', 'skipped']),
  note: z.string().nullable(),
  problems: z.array(z.string()).default([]),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  recipes: z.array(resultSchema),
});

const unreachedSchema = z.strictObject({
  schema: z.literal(1),
  since: z.record(z.string(), z.iso.datetime()),
});

const LONGEST_FOLDER_NAME = 200;
const KEPT_OF_A_LONG_ONE = 150;

/**
 * A workflow ID as one folder name. An operator may start a sweep under any ID, so everything outside a
 * narrow alphabet is percent-encoded and a leading dot too; the result is never a path. One that would be too
 * long for a file system ends with its sum, so that two that begin alike never share a folder.
 */
export function folderName(id: string): string {
  const encoded = encodeURIComponent(id.replace(/\p{Cs}/gu, '\ufffd'))
    .replace(/^\./, '%2E')
    .replace(/[*'()!~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
  if (encoded.length <= LONGEST_FOLDER_NAME) return encoded;
  const sum = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return `${encoded.slice(0, KEPT_OF_A_LONG_ONE)}~${sum}`;
}

export interface Results {
  /** Where one recipe's run has its files. */
  folderOf(sweep: string, recipe: string): string;
  /** The same; made if it is missing. */
  runFolder(sweep: string, recipe: string): Promise<string>;
  reportFile(sweep: string): string;
  writeResult(result: RecipeResult): Promise<void>;
  readResult(sweep: string, recipe: string): Promise<RecipeResult | null>;
  writeReport(report: SweepReport): Promise<void>;
  /** Null when there is no such sweep, or it has not ended. */
  readReport(sweep: string): Promise<SweepReport | null>;
  /** Every ended sweep whose report can be read, newest first, and what is wrong with the other ones. */
  reports(): Promise<{ reports: SweepReport[]; unreadable: string[] }>;
  /** Every sweep's folder but those whose report cannot be read, which stay until somebody has looked. */
  kept(): Promise<KeptSweep[]>;
  /** Throws a sweep away: a reader sees all of it, or nothing. Takes the name of its folder. */
  discardSweep(folder: string): Promise<void>;
  /** Throws away what a run left beside its result, and leaves a word about it. Does nothing when that is done. */
  discardEvidence(folder: string, recipe: string, word: string): Promise<void>;
  /** Ends what a crash left of throwing away. */
  finishDiscarding(): Promise<void>;
  /** The recipes that sweeps did not reach, and since when (ISO 8601, UTC). Throws Fault RecordUnreadable. */
  unreached(): Promise<Map<string, string>>;
  writeUnreached(since: ReadonlyMap<string, string>): Promise<void>;
}

export function createResults(state: string): Results {
  const root = path.join(state, 'sweeps');
  const unreachedFile = path.join(state, 'unreached.json');
  const sweepFolder = (sweep: string): string => path.join(root, folderName(sweep));
  const recipeFolder = (sweep: string, recipe: string): string =>
    path.join(sweepFolder(sweep), checkedRecipe(recipe));
  const resultFile = (sweep: string, recipe: string): string =>
    path.join(recipeFolder(sweep, recipe), 'result.json');
  const reportFile = (sweep: string): string => path.join(sweepFolder(sweep), 'report.json');

  return {
    reportFile,
    folderOf: recipeFolder,
    async runFolder(sweep, recipe) {
      const folder = recipeFolder(sweep, recipe);
      await mkdir(folder, { recursive: true });
      return folder;
    },
    async writeResult(result) {
      // What cannot be read back must not be written.
      await writeJson(resultFile(result.sweep, result.recipe), resultSchema.parse(result));
    },
    async readResult(sweep, recipe) {
      return readJson(resultFile(sweep, recipe), resultSchema);
    },
    async writeReport(report) {
      await writeJson(reportFile(report.sweep), reportSchema.parse(report));
    },
    async readReport(sweep) {
      return readJson(reportFile(sweep), reportSchema);
    },
    async reports() {
      const reports: SweepReport[] = [];
      const unreadable: string[] = [];
      for (const { name } of await foldersIn(root)) {
        try {
          const report = await readJson(path.join(root, name, 'report.json'), reportSchema);
          if (report) reports.push(report);
        } catch (error) {
          unreadable.push(messageOf(error));
        }
      }
      return { reports: reports.sort((a, b) => (a.ended < b.ended ? 1 : -1)), unreadable };
    },
    async kept() {
      const kept: KeptSweep[] = [];
      for (const { name: folder } of await foldersIn(root)) {
        const read = readJson(path.join(root, folder, 'report.json'), reportSchema);
        const report = await read.catch(() => 'unreadable' as const);
        if (report === 'unreadable' || (report && folderName(report.sweep) !== folder)) continue;
        const recipes = (await foldersIn(path.join(root, folder))).flatMap(({ name }) =>
          isRecipeName(name) ? [name] : [],
        );
        const told = report?.recipes.filter(({ outcome }) => !SAYS_NOTHING.has(outcome.kind)) ?? [];
        kept.push({
          folder,
          endedMs: report ? Date.parse(report.ended) : await lastWritten(path.join(root, folder), recipes),
          recipes,
          told: told.map(({ recipe }) => recipe),
        });
      }
      return kept;
    },
    async discardSweep(folder) {
      const aside = path.join(root, `${DISCARDED}${randomBytes(8).toString('hex')}`);
      await rename(path.join(root, folder), aside);
      await rm(aside, { recursive: true, force: true });
    },
    async discardEvidence(folder, recipe, word) {
      const run = path.join(root, folder, checkedRecipe(recipe));
      const entries = await readdir(run);
      const evidence = entries.filter((name) => !STAYS.has(name));
      if (evidence.length === 0) return;
      await writeDurably(path.join(run, DISCARDED_EVIDENCE), `${word}\n`);
      for (const name of evidence) await rm(path.join(run, name), { recursive: true, force: true });
    },
    async finishDiscarding() {
      for (const name of await readdir(root).catch(noneIfMissing)) {
        if (name.startsWith(DISCARDED)) await rm(path.join(root, name), { recursive: true, force: true });
      }
    },
    async unreached() {
      const read = await readJson(unreachedFile, unreachedSchema);
      return new Map(Object.entries(read?.since ?? {}));
    },
    async writeUnreached(since) {
      await writeJson(unreachedFile, { schema: 1, since: Object.fromEntries(since) });
    },
  };
}

/** What is being thrown away stands under a name that no sweep's folder has. */
const DISCARDED = '.discarded-';
/** Outcomes of runs that tested nothing, or learned nothing. */
const SAYS_NOTHING = new Set(['ERROR', 'SKIP']);
const DISCARDED_EVIDENCE = 'evidence-removed.txt';
const STAYS = new Set(['result.json', DISCARDED_EVIDENCE]);

/** When a sweep without a report, or one of its runs, was last written to. */
async function lastWritten(folder: string, recipes: readonly string[]): Promise<number> {
  const folders = [folder, ...recipes.map((recipe) => path.join(folder, recipe))];
  const times = await Promise.all(folders.map(async (one) => (await stat(one)).mtimeMs));
  return Math.max(...times);
}

/** A stray file among them is no sweep's. */
async function foldersIn(root: string): Promise<Dirent[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(noneIfMissing);
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
}
