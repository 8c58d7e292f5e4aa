import { CancellationScope, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import { levelOf, type LintProblem } from '../domain/level.ts';
import type { Outcome, TierResult } from '../domain/outcome.ts';
import type { Tested } from '../domain/recipe-test.ts';
import type { Release } from '../domain/release.ts';
import type { RunRef, SweepSettings } from '../domain/run.ts';
import { factsOf, type ToldRun } from '../domain/run-facts.ts';
import { recipePage } from '../domain/site-url.ts';
import { detailsOf } from './details.ts';
import { reasonOf } from './input.ts';
import { stepQuery, type RecipeSweepInput, type Step } from './protocol.ts';
import { recipeSteps, type RecipeSteps } from './steps.ts';

/** A recipe's run while it goes on. */
export interface Run {
  ref: RunRef;
  /** What its steps are given of time and attempts. */
  settings: SweepSettings;
  startedMs: number;
  /** The step it is at; the query `step` answers it. */
  step: Step;
  /** The step that broke, or was cancelled, first; what ran after it only cleaned up. */
  brokeAt: Step | null;
  release: Release | null;
  /** What is tested, where it is no release's run. */
  test: Tested | null;
  tiers: TierResult[];
  /** Null until it was looked at. */
  lint: LintProblem[] | null;
  /** What is left of it, or of a run before it, that nobody could remove: facts beside the outcome. */
  leftovers: string[];
  /** When it waited for its turn, in milliseconds since the epoch; null where it did not, or does still. */
  waited: { fromMs: number; toMs: number } | null;
  /** What was seen beside it, for the result. */
  notes: string[];
  /** Why its outcome is not on disk; null unless writing it failed. */
  unrecorded: string | null;
  /** Says that it is at a step, which asks nothing of the host. */
  enter(step: Step): void;
  /** Asks a step of the host, having said so; the summary stands beside it in the Temporal UI. */
  ask<T>(step: Step, summary: string, body: (steps: RecipeSteps) => Promise<T>): Promise<T>;
  /**
   * Like ask, whether or not the run is cancelled, for what must not cost what is known by then: of a failure the
   * reason goes to `failed`, and the answer is undefined.
   */
  afterwards<T>(
    step: Step,
    summary: string,
    body: (steps: RecipeSteps) => Promise<T>,
    failed: (why: string) => void,
  ): Promise<T | undefined>;
}

export function openRun(
  {
    recipe,
    asked,
    settings,
    left,
  }: Pick<RunRef, 'recipe' | 'asked'> & Pick<RecipeSweepInput, 'settings' | 'left'>,
  /** Told of each step that it comes to. */
  onStep: () => void = () => undefined,
): Run {
  // The first run's ID: it stays when the run is reset, and names derive from it.
  const { workflowId, firstExecutionRunId: runId } = workflowInfo();
  let sinceMs = Date.now();
  const run: Run = {
    ref: { recipe, asked, workflow: { id: workflowId, runId } },
    settings,
    startedMs: sinceMs,
    step: 'mirror-sync',
    brokeAt: null,
    release: null,
    test: null,
    tiers: [],
    lint: null,
    leftovers: left ? [left] : [],
    waited: null,
    notes: [],
    unrecorded: null,
    enter(step) {
      run.step = step;
      sinceMs = Date.now();
      showDetails(run, null);
      onStep();
    },
    async ask(step, summary, body) {
      run.enter(step);
      try {
        return await body(recipeSteps(run.settings, summary));
      } catch (error) {
        run.brokeAt ??= step;
        throw error;
      }
    },
    async afterwards(step, summary, body, failed) {
      run.enter(step);
      try {
        return await CancellationScope.nonCancellable(() => body(recipeSteps(run.settings, summary)));
      } catch (error) {
        failed(reasonOf(error));
        return undefined;
      }
    },
  };
  setHandler(stepQuery, () => ({ step: run.step, sinceMs }), { description: 'the step this run is at' });
  return run;
}

/** To read on the run's own page: the step it is at, or how it ended, and all that is known by then. */
export function showDetails(run: Run, outcome: Outcome | null): void {
  const { site } = run.settings;
  setCurrentDetails(
    [
      ...(outcome === null ? [`## ${run.step}`] : []),
      ...detailsOf(factsOf(toldRun(run, outcome))),
      ...(site === undefined ? [] : [`More: ${recipePage(site, run.ref.recipe)}`]),
    ].join('\n\n'),
  );
}

/** How far a run that ended so has proven what it tested; null where that tested nothing, or broke. */
export function levelReached({ tiers, lint }: Pick<Run, 'tiers' | 'lint'>, { kind }: Outcome): number | null {
  return kind === 'SKIP' || kind === 'ERROR' ? null : levelOf(tiers, lint);
}

/** What can be told of it by now; the outcome is null while it goes on. */
function toldRun(run: Run, outcome: Outcome | null): ToldRun {
  const { ref, release, test, tiers, lint, notes, unrecorded } = run;
  return {
    asked: ref.asked,
    outcome,
    level: outcome === null ? null : levelReached(run, outcome),
    leftovers: leftoversOf(run),
    spentMs: null,
    ...{ release, test, tiers, lint, notes, unrecorded },
  };
}

/** What is left of it as one text; null when nothing is. */
export function leftoversOf({ leftovers }: Pick<Run, 'leftovers'>): string | null {
  return leftovers.length === 0 ? null : leftovers.join('; ');
}
