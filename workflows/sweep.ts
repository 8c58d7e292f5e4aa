import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ErrorCause, Outcome } from '../domain/outcome.ts';
import type { SweepSettings } from '../domain/run.ts';
import {
  deadlineOf,
  holderOf,
  noting,
  reapAfter,
  recordFor,
  sweepCancelled,
  sweepRecipe,
  type Sweep,
} from './child-run.ts';
import { openConsole, type CarriedConsole, type Console } from './console.ts';
import { parseSweepInput, reasonOf, rootFailure, secondInput } from './input.ts';
import { SEARCH_ATTRIBUTES, type SweepInput, type SweepResult } from './protocol.ts';
import { cleanupSteps, hostSteps, openingSteps, UNREAD } from './steps.ts';
import { openTurn, type CarriedTurn, type Turn } from './turn.ts';

/** What one run of a long sweep hands to the next. */
interface Carried {
  settings: SweepSettings;
  startedMs: number;
  console: CarriedConsole;
  turn: CarriedTurn;
  left: Record<string, string>;
  problems: string[];
}

/**
 * One pass over the enrolled recipes, or those named in the input, one at a time. Completed with its report;
 * Completed as skipped while another sweep is under way, or aborted before its turn came; Failed at once on a wrong
 * input or an unready host.
 */
export async function sweepWorkflow(input?: SweepInput, carried?: Carried): Promise<SweepResult> {
  const wanted = parseSweepInput(input);
  const { workflowId: id, firstExecutionRunId: runId, continuedFromExecutionRunId } = workflowInfo();
  if (carried && continuedFromExecutionRunId === undefined) throw secondInput();
  const operator = openConsole(id, carried?.console ?? null);
  const turn = openTurn({ asker: 'sweep', what: 'sweep' }, carried?.turn ?? null);
  let sweep: Sweep;
  try {
    const opened = carried ?? (await open({ id, runId }, operator, turn, wanted));
    if (opened === null) return skipped(id, 'aborted by an operator');
    sweep = { id, runId, ...opened };
  } catch (error) {
    return skippedOrThrow(id, error);
  }

  let note: string | null = null;
  /** That it was cancelled, or what broke it off between two recipes. */
  let failed: TemporalFailure | null = null;
  try {
    for (let recipe = operator.next(); recipe !== null; recipe = operator.next()) {
      // A run that was past cancelling has ended by itself; the sweep goes no further.
      if (CancellationScope.current().consideredCancelled) throw sweepCancelled();
      await operator.mayGoOn(deadlineOf(sweep));
      // Once: then a recipe goes, whoever else waits.
      if (turn.wanted) {
        await giveWay(sweep, operator, turn);
        await operator.mayGoOn(deadlineOf(sweep));
      }
      note = reasonToStop(sweep, operator);
      if (note) break;
      operator.ended(recipe, await sweepRecipe(sweep, operator, recipe));
      if (workflowInfo().continueAsNewSuggested) return await goOnAfresh(input, sweep, operator, turn);
    }
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    failed = error;
    note = isCancellation(error) ? 'cancelled' : `${BROKEN_OFF}: ${reasonOf(error)}`;
  }
  try {
    const result = await CancellationScope.nonCancellable(async () => {
      // Where it cannot be had, the lock decides whether the report may be written.
      await turn.have().catch(() => undefined);
      return close(sweep, operator, note);
    });
    if (failed) throw failed;
    return result;
  } finally {
    await turn.giveBack();
  }
}

async function open(
  { id, runId }: Pick<Sweep, 'id' | 'runId'>,
  operator: Console,
  turn: Turn,
  wanted: string[] | null,
): Promise<Omit<Sweep, 'id' | 'runId'> | null> {
  const enrolled = await openingSteps('which recipes are enrolled').enrolled({ wanted });
  await operator.whileWaiting(() => turn.take());
  if (operator.aborting) {
    await turn.giveBack();
    return null;
  }
  const startedMs = Date.now();
  const { openSweep } = hostSteps('take the host, preflight, reap');
  try {
    const opening = await openSweep({
      recipes: enrolled,
      holder: holderOf({ id, runId }),
      all: wanted === null,
    });
    const { recipes, settings, left, problems } = opening;
    operator.begin(recipes);
    return { settings, startedMs, left, problems };
  } catch (error) {
    const { giveBackHost } = cleanupSteps(UNREAD, 'give the host back');
    try {
      await CancellationScope.nonCancellable(() => giveBackHost({ holder: holderOf({ id, runId }) }));
    } finally {
      await turn.giveBack();
    }
    throw error;
  }
}

/** Between two recipes others go first; nothing of the sweep is on the host then. Its budget goes on. */
async function giveWay(sweep: Sweep, operator: Console, turn: Turn): Promise<void> {
  const { giveBackHost } = cleanupSteps(sweep.settings, 'give way between two recipes');
  await giveBackHost({ holder: holderOf(sweep) });
  await operator.whileWaiting(() => turn.pass());
  // Whoever went may have been terminated, and what it had deployed would stand beside the next recipe.
  if (patched('reap-after-giving-way')) await reapAfter(sweep, 'giving way');
}

const OUT_OF_TIME = 'out of time';
const BROKEN_OFF = 'broken off';

function reasonToStop(sweep: Sweep, operator: Console): string | null {
  if (operator.aborting) return 'aborted by an operator';
  if (Date.now() < deadlineOf(sweep)) return null;
  const { pausedMs } = operator;
  return pausedMs === null
    ? OUT_OF_TIME
    : `${OUT_OF_TIME}: paused by an operator since ${new Date(pausedMs).toISOString()}`;
}

/** Names what was not reached, writes the report and gives the host back. */
async function close(sweep: Sweep, operator: Console, note: string | null): Promise<SweepResult> {
  const recipes = operator.all();
  const waiting = operator.waiting();
  if (waiting.length > 0) {
    let cause: ErrorCause = 'cancelled';
    if (note?.startsWith(OUT_OF_TIME)) cause = 'out-of-time';
    if (note?.startsWith(BROKEN_OFF)) cause = 'infrastructure';
    const outcome: Outcome = { kind: 'ERROR', cause, why: `not reached: the sweep was ${note}` };
    await noting(sweep, 'outcomes of recipes that were not reached were not recorded', () =>
      recordFor(sweep, waiting, outcome),
    );
    for (const recipe of waiting) operator.ended(recipe, outcome);
  }
  operator.reporting();
  const { closeSweep } = cleanupSteps(sweep.settings, 'write the report, give the host back');
  const { startedMs, problems } = sweep;
  const outcomes = operator.outcomes();
  const closing = await closeSweep({
    holder: holderOf(sweep),
    recipes,
    outcomes,
    unreached: waiting,
    startedMs,
    note,
    problems,
  });
  upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.SweepVerdict, value: closing.verdict }]);
  operator.done(closing);
  await condition(allHandlersFinished);
  return { sweep: sweep.id, note, ...closing };
}

async function goOnAfresh(
  input: SweepInput | undefined,
  sweep: Sweep,
  operator: Console,
  turn: Turn,
): Promise<never> {
  await condition(allHandlersFinished);
  const { settings, startedMs, left, problems } = sweep;
  const carried: Carried = {
    settings,
    startedMs,
    left,
    problems,
    console: operator.carry(),
    turn: turn.carry(),
  };
  return continueAsNew<typeof sweepWorkflow>(input, carried);
}

/** Another run has the host: that is no failure of this sweep, and the answer says whose run it is. */
function skippedOrThrow(sweep: string, error: unknown): SweepResult {
  const root = rootFailure(error);
  if (!(root instanceof ApplicationFailure)) throw error;
  // One clear message instead of an activity failure around it.
  if (root.type !== 'HostBusy') throw root;
  return skipped(sweep, root.message);
}

function skipped(sweep: string, note: string): SweepResult {
  upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.SweepVerdict, value: 'skipped' }]);
  return { sweep, verdict: 'skipped', note, report: null, recipes: [], problems: [], environment: null };
}
