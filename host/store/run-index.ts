import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../domain/fault.ts';
import { HIGHEST_LEVEL } from '../../domain/level.ts';
import { TIERS } from '../../domain/outcome.ts';
import { checkedRecipe, isRecipeName, parseRecipeRunId } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { indexedRun, type IndexedRun } from '../../domain/run-history.ts';
import { runName } from '../../domain/run.ts';
import { appendDurably, noneIfMissing, textIfThere, tryJson, writeDurably } from '../machine/durable-file.ts';
import { exactly } from '../machine/exact-schema.ts';
import { RESULT_FILE, runFolderName } from './places.ts';
import { askerSchema, outcomeSchema } from './result-schema.ts';

const lineKeys = {
  run: z.string().refine((id) => parseRecipeRunId(id) !== null, "not a recipe's run"),
  asked: askerSchema,
  outcome: outcomeSchema,
  version: z.string().nullable(),
  level: z.int().min(0).max(HIGHEST_LEVEL).nullable(),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  result: z.string(),
};

const tier = z.strictObject({
  tier: z.enum(TIERS),
  result: z.enum(['pass', 'fail', 'skipped', 'not reached']),
  ms: z.number().nonnegative().nullable(),
});

/** A line of a recipe's index. Those of schema 1 say nothing of tiers. */
export const indexedRunSchema = exactly<IndexedRun>()(
  z.discriminatedUnion('schema', [
    z.strictObject({ schema: z.literal(2), ...lineKeys, tiers: z.array(tier).nullable() }),
    z
      .strictObject({ schema: z.literal(1), ...lineKeys })
      .transform((line): IndexedRun => ({ ...line, schema: 2, tiers: null })),
  ]),
);

/**
 * What runs each recipe has had, in one small file per recipe, `<state>/index/<recipe>.jsonl`, so that nobody reads
 * all results to know the last. It is only ever what the results say: one that is lost or damaged is written anew
 * from them when a sweep opens (host/store/kept.ts), and stops nothing until then.
 */
export interface RunIndex {
  /** Adds the run's line; of several lines of one run the last counts. */
  add(result: RecipeResult): Promise<void>;
  /** The recipe's runs, newest first; and what of the file cannot be read, null when all can. */
  of(recipe: string): Promise<{ runs: IndexedRun[]; problem: string | null }>;
  /** Replaces the recipe's lines in one step. */
  rewrite(recipe: string, runs: readonly IndexedRun[]): Promise<void>;
  /** Recipes that have an index, by name. */
  recipes(): Promise<string[]>;
}

export function createRunIndex(state: string): RunIndex {
  const root = path.join(state, 'index');
  const fileOf = (recipe: string): string => path.join(root, `${checkedRecipe(recipe)}${ENDING}`);
  return {
    async add(result) {
      const file = fileOf(result.recipe);
      const torn = /[^\n]$/.test(await textIfThere(file));
      await appendDurably(file, `${torn ? '\n' : ''}${JSON.stringify(lineOf(result))}`);
    },
    async of(recipe) {
      const file = fileOf(recipe);
      const remedy = 'the next sweep that opens writes it anew from the results';
      let text: string;
      try {
        text = await textIfThere(file);
      } catch (error) {
        return { runs: [], problem: `${file}: ${messageOf(error)}; ${remedy}` };
      }
      const lines = text.split('\n').filter((line) => line !== '');
      const read = lines.flatMap((line) => indexedRunSchema.safeParse(tryJson(line)).data ?? []);
      const bad = lines.length - read.length;
      const problem = bad === 0 ? null : `${file}: ${bad} of its lines cannot be read; ${remedy}`;
      const byRun = new Map(read.map((one) => [one.run, one]));
      return { runs: [...byRun.values()].sort((a, b) => (a.ended < b.ended ? 1 : -1)), problem };
    },
    async rewrite(recipe, runs) {
      if (runs.length === 0) {
        await rm(fileOf(recipe), { force: true });
        return;
      }
      const oldestFirst = [...runs].sort((a, b) => (a.ended < b.ended ? -1 : 1));
      await writeDurably(fileOf(recipe), oldestFirst.map((one) => `${JSON.stringify(one)}\n`).join(''));
    },
    async recipes() {
      const names = await readdir(root).catch(noneIfMissing);
      return names
        .filter((name) => name.endsWith(ENDING))
        .map((name) => name.slice(0, -ENDING.length))
        .filter(isRecipeName)
        .sort();
    },
  };
}

const ENDING = '.jsonl';

/** The line of a run's result. */
export function lineOf(result: RecipeResult): IndexedRun {
  const file = path.join('runs', runFolderName(runName(result)), RESULT_FILE);
  return indexedRun(result, file);
}
