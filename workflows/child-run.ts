import { CancelledFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  sleep,
} from '@temporalio/workflow';
import { brief, type Outcome } from '../domain/outcome.ts';
import type { SweepSettings } from '../domain/run.ts';
import type { Console } from './console.ts';
import { reasonOf } from './input.ts';
import { recipeWorkflowId, type RecipeSweepInput, type RecipeSweepResult } from './protocol.ts';
import { runAttributes } from './publish.ts';
import { recipeSweepWorkflow } from './recipe-sweep.ts';
import { cleanupSteps } from './steps.ts';

/** A sweep's recipes, one at a time, each in a run of its own. */

const OLD_RUN_POLL = '2s';

export interface Sweep {
  id: string;
  /** The first run's ID: it stays when the sweep continues as new, and when it is reset. */
  runId: string;
  settings: SweepSettings;
  /** Milliseconds since the epoch. */
  startedMs: number;
  /** What earlier runs left and nobody could remove, by recipe. */
  left: Record<string, string>;
  /** What went wrong beside the recipes' outcomes: each is a line of the report. */
  problems: string[];
}

/** One recipe in a run of its own; whatever becomes of that run, the recipe has one outcome afterwards. */
export async function sweepRecipe(sweep: Sweep, operator: Console, recipe: string): Promise<Outcome> {
  const skipped = operator.skipped(recipe);
  if (skipped !== null) {
    const outcome: Outcome = { kind: 'SKIP', because: 'held', why: skipped };
    await noting(sweep, `${recipe}: its outcome was not recorded`, () => recordFor(sweep, [recipe], outcome));
    return outcome;
  }
  const sinceMs = Date.now();
  const scope = new CancellationScope({
    cancellable: true,
    timeout: Math.max(1, deadlineOf(sweep) - sinceMs),
  });
  operator.running(recipe, scope);
  try {
    const { outcome, leftovers, unrecorded } = await scope.run(() =>
      runRecipe(sweep, recipe, comingNext(operator)),
    );
    if (unrecorded !== null) noteProblem(sweep, `${recipe}: its outcome was not recorded: ${unrecorded}`);
    if (leftovers !== null) await CancellationScope.nonCancellable(() => reapAfter(sweep, recipe));
    return outcome;
  } catch (error) {
    const outcome = await CancellationScope.nonCancellable(() =>
      outcomeOfLostRun(sweep, recipe, error, sinceMs),
    );
    operator.ended(recipe, outcome);
    // The budget and an operator's abort cancel the run only; here the sweep itself was cancelled.
    if (CancellationScope.current().consideredCancelled) throw sweepCancelled();
    return outcome;
  }
}

export function sweepCancelled(): CancelledFailure {
  return new CancelledFailure('the sweep was cancelled');
}

/** Each child's input is in its sweep's history, so these are few. */
const MOST_LOOKED_AHEAD = 25;

function comingNext(operator: Console): string[] {
  return operator
    .waiting()
    .filter((recipe) => operator.skipped(recipe) === null)
    .slice(0, MOST_LOOKED_AHEAD);
}

async function runRecipe(
  { id, runId, ...sweep }: Sweep,
  recipe: string,
  next: string[],
): Promise<RecipeSweepResult> {
  const input: RecipeSweepInput = {
    recipe,
    sweep: { id, runId },
    settings: sweep.settings,
    deadlineMs: deadlineOf(sweep),
    left: sweep.left[recipe] ?? null,
    next,
  };
  const workflowId = recipeWorkflowId(id, recipe);
  const options = {
    workflowId,
    args: [input] as [RecipeSweepInput],
    typedSearchAttributes: runAttributes({ recipe, asked: { by: 'sweep', id, runId } }),
    // Cancelled, never terminated, when the sweep ends: a terminated run would not tear down.
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    staticSummary: recipe,
  };
  for (;;) {
    try {
      return await executeChild(recipeSweepWorkflow, options);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      // The sweep was reset while this run went on. Two must not work on one app, so the old one goes.
      await getExternalWorkflowHandle(workflowId)
        .cancel()
        .catch(() => undefined);
      await sleep(OLD_RUN_POLL);
    }
  }
}

/** A run that failed recorded why; one that was terminated could neither record nor tear down. */
async function outcomeOfLostRun(
  sweep: Sweep,
  recipe: string,
  error: unknown,
  sinceMs: number,
): Promise<Outcome> {
  const why = `its run ended without a result: ${reasonOf(error)}`;
  const lost: Outcome = { kind: 'ERROR', cause: 'infrastructure', why };
  const recorded = await noting(sweep, `${recipe}: its outcome was not recorded`, () =>
    recordFor(sweep, [recipe], lost, sinceMs),
  );
  const { outcome, given, leftovers } = recorded?.[0] ?? { outcome: lost, given: true };
  if (given || leftovers) await reapAfter(sweep, recipe);
  return outcome;
}

/** Removes what a run, or whatever else is named, left that could not do so itself. */
export async function reapAfter(sweep: Sweep, what: string): Promise<void> {
  const { reap } = cleanupSteps(sweep.settings, `what is left after ${what}`);
  const left = await noting(sweep, `after ${what}: what it left was not reaped`, () =>
    reap({ holder: holderOf(sweep) }),
  );
  if (!left) return;
  for (const one of left) noteProblem(sweep, `after ${what}: ${one.what}`);
  const remains = new Set(left.map((one) => one.recipe));
  sweep.left = Object.fromEntries(Object.entries(sweep.left).filter(([name]) => remains.has(name)));
}

/** Does what must not stop the sweep. A failure becomes a line of the report, and the answer is undefined. */
export async function noting<T>(sweep: Sweep, what: string, body: () => Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if (isCancellation(error)) throw error;
    noteProblem(sweep, `${what}: ${reasonOf(error)}`);
    return undefined;
  }
}

/** As many as anybody reads. */
const MOST_PROBLEMS = 100;

function noteProblem({ problems }: Sweep, problem: string): void {
  const line = brief(problem);
  if (problems.length < MOST_PROBLEMS && !problems.includes(line)) problems.push(line);
}

export async function recordFor(sweep: Sweep, recipes: string[], outcome: Outcome, sinceMs = Date.now()) {
  const { id, runId, settings } = sweep;
  const steps = cleanupSteps(settings, 'outcomes of recipes that did not run to their end');
  return steps.recordFor({ sweep: { id, runId }, recipes, outcome, sinceMs, atMs: Date.now() });
}

export function holderOf({ id, runId }: Pick<Sweep, 'id' | 'runId'>) {
  return { workflowId: id, runId, what: 'sweep' };
}

export function deadlineOf({ startedMs, settings }: Pick<Sweep, 'startedMs' | 'settings'>): number {
  return startedMs + settings.sweepMs;
}
