import { Fault } from '../domain/fault.ts';
import type { LintProblem } from '../domain/level.ts';
import { recipeRunId } from '../domain/names.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { RecipeResult } from '../domain/report.ts';
import { passBoundary } from '../host/boundary.ts';
import { holdingHost, inAttempt } from './attempt.ts';
import type { Dependencies } from './index.ts';

/** What a run knows of itself when it ends; the times are milliseconds since the epoch. */
export interface RunEnd extends Omit<RecipeResult, 'schema' | 'level' | 'lint' | 'started' | 'ended'> {
  /** Absent, like `lint`, from what an older workflow knows. */
  level?: number | null;
  lint?: LintProblem[] | null;
  startedMs: number;
  endedMs: number;
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

export function record(deps: Dependencies) {
  async function write({ startedMs, endedMs, level = null, lint = null, ...rest }: RunEnd): Promise<void> {
    const [started, ended] = [startedMs, endedMs].map((ms) => new Date(ms).toISOString()) as [string, string];
    passBoundary('record.before');
    await deps.results.writeResult({ schema: 2, ...rest, level, lint, started, ended });
    passBoundary('record.after');
    const { outcome } = rest;
    if (outcome.kind !== 'GREEN-BUT-PROMOTE-FAILED') return;
    const message = `${outcome.version}: ${outcome.why}`;
    await deps.alerts.raise(
      { kind: 'promote-failed', recipe: rest.recipe, message, run: rest.workflow.id },
      deps.now(),
    );
  }

  /** What the recipe's run of this sweep, which began no earlier than then, put on record; null if nothing. */
  async function promotionOf({ sweep, sinceMs }: GivenOutcome, recipe: string): Promise<Outcome | null> {
    try {
      const canonical = await deps.canonicals.read(recipe);
      const isItsOwn =
        canonical?.run === recipeRunId(sweep.id, recipe) && Date.parse(canonical.ts) >= sinceMs;
      return isItsOwn ? { kind: 'PASS', promoted: canonical.version } : null;
    } catch (error) {
      if (error instanceof Fault && error.type === 'RecordUnreadable') return null;
      throw error;
    }
  }

  return {
    /** Writes result.json: the one outcome of the run. */
    async record(end: RunEnd): Promise<void> {
      return inAttempt(deps, async () => write(end));
    },

    /**
     * Gives an outcome to recipes whose run never started or ended without a word of its own. One that did
     * record its outcome keeps it; one whose promotion is on disk is PASS, although nobody is left to say so.
     * Answers what is on disk now, in the order asked.
     */
    async recordFor(given: GivenOutcome): Promise<{ outcome: Outcome; given: boolean }[]> {
      const { sweep, recipes, sinceMs, atMs } = given;
      const holder = { workflowId: sweep.id, runId: sweep.runId, what: 'sweep' };
      const step = `${sweep.id}: outcomes of runs that are gone`;
      // What such a run left at work could still write the record while it is read here.
      return holdingHost(deps, [holder], step, async () => {
        const recorded = [];
        for (const recipe of recipes) {
          const found = await deps.results.readResult(sweep.id, recipe);
          const existing = found && Date.parse(found.started) >= sinceMs ? found : null;
          const outcome = existing?.outcome ?? (await promotionOf(given, recipe)) ?? given.outcome;
          if (existing === null) {
            const common = { release: null, tiers: [], startedMs: atMs, endedMs: atMs };
            await write({
              recipe,
              sweep: sweep.id,
              outcome,
              ...common,
              workflow: { id: sweep.id, runId: sweep.runId },
            });
          }
          recorded.push({ outcome, given: existing === null });
        }
        return recorded;
      });
    },
  };
}
