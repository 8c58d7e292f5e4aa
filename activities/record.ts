import { log } from '@temporalio/activity';
import { Fault } from '../domain/fault.ts';
import { recipeRunId, runShortName } from '../domain/names.ts';
import type { Outcome } from '../domain/outcome.ts';
import { givenResult, type RecipeResult } from '../domain/report.ts';
import { runName, type RunRef } from '../domain/run.ts';
import { timeSpent, type Span, type TimeSpent } from '../domain/time-spent.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import { holdingHost, inAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** What a run knows of itself when it ends; the times are milliseconds since the epoch. */
export interface RunEnd extends Omit<RecipeResult, 'schema' | 'spentMs' | 'started' | 'ended' | 'workflow'> {
  workflow: RunRef['workflow'];
  startedMs: number;
  endedMs: number;
  /** When it waited for its turn; null of one that did not, and missing from what older versions told. */
  waited?: Pick<Span, 'fromMs' | 'toMs'> | null;
}

/** An outcome that a sweep gives, for want of a run that did. */
export interface GivenOutcome {
  sweep: { id: string; runId: string };
  recipes: string[];
  outcome: Outcome;
  /** What was recorded before this (by an earlier run of a sweep that was reset) does not count. */
  sinceMs: number;
  atMs: number;
}

export interface Recorded {
  outcome: Outcome;
  /**
   * Whether it is the one that was given, or read from the canonical's record, and not the run's own: now, or by an
   * attempt before this one.
   */
  given: boolean;
  /** What the run itself said it left. */
  leftovers: string | null;
}

export function record(world: World) {
  async function write(result: RecipeResult): Promise<void> {
    passBoundary('record.before');
    await world.results.write(result);
    passBoundary('record.after');
    try {
      await world.index.add(result);
    } catch (error) {
      // It says nothing that the result does not, and is mended when the next sweep opens.
      log.warn('not in the index', { run: runName(result), error });
    }
    const { asked, outcome, recipe, leftovers } = result;
    const run = runName(result);
    const about = { subject: { is: 'recipe', name: recipe }, run } as const;
    const file = world.results.fileOf(run);
    if (leftovers !== null) {
      const alert = { kind: 'left-behind', message: leftovers, evidence: file, ...about } as const;
      await raiseAlert(world, alert);
    }
    if (outcome.kind === 'GREEN-BUT-PROMOTE-FAILED') {
      const message = `${outcome.version}: ${outcome.why}`;
      const alert = {
        kind: 'promote-failed',
        message,
        evidence: outcome.evidence ?? file,
        ...about,
      } as const;
      await raiseAlert(world, alert);
    }
    // A test says nothing of what sweeps promote.
    if (asked.by === 'sweep' && nothingToPromote(outcome))
      await endAlert(world, 'promote-failed', about.subject);
  }

  /** The run's outcome, where the record on disk does not know better what became of its promotion. */
  async function asRecorded(end: RunEnd): Promise<Outcome> {
    const { recipe, asked, outcome, release } = end;
    // A red release was not promoted, nor is what a test tests; PASS was read from the record just now.
    if (asked.by === 'test' || outcome.kind === 'FAIL' || outcome.kind === 'PASS') return outcome;
    let record: CanonicalRecord | null;
    try {
      record = await world.canonicals.read(recipe);
    } catch (error) {
      if (!(error instanceof Fault) || error.type !== 'RecordUnreadable') throw error;
      return outcome.kind === 'GREEN-BUT-PROMOTE-FAILED'
        ? { ...outcome, canonical: null, why: `${outcome.why}; now ${error.message}` }
        : outcome;
    }
    if (outcome.kind === 'GREEN-BUT-PROMOTE-FAILED') {
      const canonical = record?.version ?? null;
      return canonical === outcome.version
        ? { kind: 'PASS', promoted: canonical }
        : { ...outcome, canonical };
    }
    // A run that was reset after it had promoted finds nothing new, or breaks.
    const isOfThis = release === null || release.version === record?.version;
    return record && isOfThis && isPromotionOf(record, end)
      ? { kind: 'PASS', promoted: record.version }
      : outcome;
  }

  /** Null where it cannot be told. */
  async function spentIn(end: RunEnd): Promise<TimeSpent | null> {
    const kept = await readable(world.times.read(runName(end)));
    const waited: Span[] = end.waited ? [{ on: 'turn', ...end.waited }] : [];
    return kept && timeSpent([...kept, ...waited], end);
  }

  /** What the recipe's run of this sweep, which began no earlier than then, put on record; null if nothing. */
  async function promotionOf({ sweep, sinceMs }: GivenOutcome, recipe: string): Promise<Outcome | null> {
    const canonical = await readable(world.canonicals.read(recipe));
    const isItsOwn = canonical?.run === recipeRunId(sweep.id, recipe) && Date.parse(canonical.ts) >= sinceMs;
    return isItsOwn ? { kind: 'PASS', promoted: canonical.version } : null;
  }

  return {
    /**
     * Writes result.json: the one outcome of the run, which it answers. PASS is read from the record on disk. What a
     * later end of the run wrote stays.
     */
    async record(end: RunEnd): Promise<Outcome> {
      return inAttempt(world, async () => {
        const found = await readable(world.results.read(runName(end)));
        // Of a worker that stood still: the run has ended since, once more.
        if (found && Date.parse(found.ended) > end.endedMs) return found.outcome;
        const outcome = await asRecorded(end);
        await write(resultOf(end, outcome, await spentIn(end)));
        return outcome;
      });
    },

    /**
     * Gives an outcome to recipes whose run never started or ended without a word of its own. One that did
     * record its outcome keeps it; one whose promotion is on disk is PASS, although nobody is left to say so.
     * Answers what is on disk now, in the order asked.
     */
    async recordFor(asked: GivenOutcome): Promise<Recorded[]> {
      const { sweep, recipes, sinceMs, atMs } = asked;
      const holder = { workflowId: sweep.id, runId: sweep.runId, what: 'sweep' };
      const step = `${sweep.id}: outcomes of runs that are gone`;
      // What such a run left at work could still write the record while it is read here.
      return holdingHost(world, [holder], step, async () => {
        const recorded: Recorded[] = [];
        for (const recipe of recipes) {
          const found = await readable(world.results.read(recipeRunId(sweep.id, recipe)));
          const existing = found && Date.parse(found.started) >= sinceMs ? found : null;
          const outcome = existing?.outcome ?? (await promotionOf(asked, recipe)) ?? asked.outcome;
          if (existing === null) {
            const at = new Date(atMs).toISOString();
            await write(givenResult(sweep.id, recipe, outcome, { started: at, ended: at }));
          }
          const given = existing === null || existing.workflow.runId === null;
          recorded.push({ outcome, given, leftovers: existing?.leftovers ?? null });
        }
        return recorded;
      });
    },
  };
}

/** Whether no release waits for its promotion: the last one has it, or there is none any more. */
function nothingToPromote(outcome: Outcome): boolean {
  return outcome.kind === 'PASS' || (outcome.kind === 'SKIP' && outcome.because !== 'held');
}

/** What a run knows of itself, as it is kept. */
function resultOf(end: RunEnd, outcome: Outcome, spentMs: TimeSpent | null): RecipeResult {
  const { startedMs, endedMs, waited: _, asked, ...rest } = end;
  const [started, ended] = [startedMs, endedMs].map((ms) => new Date(ms).toISOString()) as [string, string];
  return { schema: 4, ...rest, asked: { by: asked.by, id: asked.id }, outcome, spentMs, started, ended };
}

/** Whether this very run wrote the record: names of snapshots derive from who took them. */
function isPromotionOf({ run, snapshot }: CanonicalRecord, by: RunEnd): boolean {
  return (
    run === runName(by) && snapshot?.id.startsWith(`${runShortName(by.recipe, by.workflow.runId)}-`) === true
  );
}

/** What was read; null, as if it were not there, when it cannot be: it then says nothing. */
async function readable<T>(reading: Promise<T | null>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Fault && error.type === 'RecordUnreadable') return null;
    throw error;
  }
}
