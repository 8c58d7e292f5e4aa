import { z } from 'zod';
import { HIGHEST_LEVEL, type LintProblem } from '../../domain/level.ts';
import { TIERS, type Outcome } from '../../domain/outcome.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { TEST_MODES, type Tested } from '../../domain/recipe-test.ts';
import type { Asker } from '../../domain/run.ts';
import { SPENT_ON } from '../../domain/time-spent.ts';
import { exactly } from '../machine/exact-schema.ts';

/** A run's result as it is on disk; what cannot be read back is not written, and what older versions wrote is read. */

const tier = z.enum(TIERS);

export const outcomeSchema = exactly<Outcome>()(
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('PASS'), promoted: z.string().nullable() }),
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
      because: z.enum(['no-new-version', 'never-released', 'held', 'superseded']),
      why: z.string(),
    }),
    z.strictObject({
      kind: z.literal('ERROR'),
      cause: z.enum(['mirror-sync', 'infrastructure', 'tag-moved', 'cancelled', 'out-of-time']),
      why: z.string(),
    }),
  ]),
);

const ms = z.number().nonnegative().exactOptional();

const part = z.number().nonnegative();

const resultKeys = {
  recipe: z.string(),
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
  spentMs: z
    .record(z.enum([...SPENT_ON, 'own']), part)
    .nullable()
    .default(null),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
};

const lintProblem = exactly<LintProblem>()(
  z.strictObject({
    rule: z.string(),
    file: z.string(),
    line: z.int().positive().nullable(),
    what: z.string(),
  }),
);

const assessed = {
  level: z.int().min(0).max(HIGHEST_LEVEL).nullable(),
  lint: z.array(lintProblem).nullable(),
};

/** Who asked for a run. */
export const askerSchema = exactly<Asker>()(
  z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('sweep'), id: z.string() }),
    z.strictObject({ by: z.literal('test'), id: z.string() }),
  ]),
);

const revision = z.strictObject({ version: z.string().nullable(), commit: z.string() });

/** What a test tested. */
export const testedSchema = exactly<Tested>()(
  z.strictObject({
    mode: z.enum(TEST_MODES),
    wanted: z.enum(TEST_MODES),
    why: z.string().nullable(),
    pullRequest: z.int().positive().nullable(),
    head: revision,
    base: revision.nullable(),
  }),
);

const ofAnyRun = { workflow: z.strictObject({ id: z.string(), runId: z.string().nullable() }) };

/** Every run was a sweep's. */
const ofSweep = { sweep: z.string(), workflow: z.strictObject({ id: z.string(), runId: z.string() }) };

/**
 * Results of schema 1 knew of no level and no lint problems, the first of schema 2 of no leftovers and no notes; those
 * of schema 3 say who asked, and name the run whether or not it ever began; those of schema 4 say what a test tested, and but the first of
 * them where the time went.
 */
export const resultSchema = exactly<RecipeResult>()(
  z.discriminatedUnion('schema', [
    z.strictObject({
      schema: z.literal(4),
      asked: askerSchema,
      ...resultKeys,
      test: testedSchema.nullable(),
      ...assessed,
      ...ofAnyRun,
    }),
    z
      .strictObject({ schema: z.literal(3), asked: askerSchema, ...resultKeys, ...assessed, ...ofAnyRun })
      .transform((result) => ({ ...result, schema: 4 as const, test: null })),
    z
      .strictObject({ schema: z.literal(2), ...ofSweep, ...resultKeys, ...assessed })
      .transform(({ sweep, ...result }) => ({
        ...result,
        schema: 4 as const,
        test: null,
        asked: askedBy(sweep),
      })),
    z.strictObject({ schema: z.literal(1), ...ofSweep, ...resultKeys }).transform(({ sweep, ...result }) => ({
      ...result,
      schema: 4 as const,
      test: null,
      asked: askedBy(sweep),
      level: null,
      lint: null,
    })),
  ]),
);

function askedBy(sweep: string): Asker {
  return { by: 'sweep', id: sweep };
}
