import { QueryNotRegisteredError } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { progressQuery, stepQuery, type StepProgress, type SweepProgress } from '../workflows/protocol.ts';
import type { TemporalServer } from './connect.ts';
import { pollingWorkers } from '../worker/pollers.ts';
import { explain, isUnanswered, isUnreachable } from './temporal-failure.ts';
import type { SweepView, TestView } from './render/progress.ts';

const ANSWER_TIMEOUT_MS = 3_000;
const POLL_MS = 500;

/** Asks a sweep, and the recipes it runs, how far they are. Never throws: what fails becomes the note. */
export async function lookAtSweep(
  server: TemporalServer,
  sweep: string,
  signal: AbortSignal,
  last?: SweepView,
): Promise<SweepView> {
  let progress: SweepProgress;
  try {
    progress = await ask(server, signal, () => server.client.workflow.getHandle(sweep).query(progressQuery));
  } catch (error) {
    const note = await whyNoAnswer(server, sweep, error);
    return { sweep, progress: last?.progress ?? null, steps: last?.steps ?? new Map(), note };
  }
  const steps = new Map<string, StepProgress>();
  for (const { recipe, state, workflowId } of progress.recipes) {
    if (state !== 'running' || workflowId === null) continue;
    const step = await ask(server, signal, () =>
      server.client.workflow.getHandle(workflowId).query(stepQuery),
    ).catch(
      // It has only just been started, or has just ended; the next look tells.
      () => last?.steps.get(recipe),
    );
    if (step) steps.set(recipe, step);
  }
  return { sweep, progress, steps, note: null };
}

/** Asks a test at which step it is. Never throws: what fails becomes the note. */
export async function lookAtTest(
  server: TemporalServer,
  test: string,
  signal: AbortSignal,
  last?: TestView,
): Promise<TestView> {
  try {
    const step = await ask(server, signal, () => server.client.workflow.getHandle(test).query(stepQuery));
    return { test, step, note: null };
  } catch (error) {
    return { test, step: last?.step ?? null, note: await whyNoAnswer(server, test, error) };
  }
}

/** Looks again and again until the signal. */
export async function watch<View>(
  look: (last?: View) => Promise<View>,
  onView: (view: View) => void,
  signal: AbortSignal,
): Promise<void> {
  let view: View | undefined;
  while (!signal.aborted) {
    view = await look(view);
    if (signal.aborted) return;
    onView(view);
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * One question to the server, with a deadline, and given up at once on the signal: what is under way when the
 * connection is closed, the SDK would ask again on the closed connection.
 */
export async function ask<T>(
  { connection }: Pick<TemporalServer, 'connection'>,
  signal: AbortSignal,
  question: () => Promise<T>,
): Promise<T> {
  // One of its own for each question, since the SDK never takes its listeners off.
  const given = new AbortController();
  const giveUp = (): void => given.abort();
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await connection.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      connection.withAbortSignal(given.signal, question),
    );
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

async function whyNoAnswer(
  server: TemporalServer,
  workflowId: string,
  error: unknown,
): Promise<string | null> {
  // It ended before it began, over its input say; its result tells why.
  if (error instanceof QueryNotRegisteredError) return null;
  if (isUnreachable(error)) return 'the Temporal server does not answer; trying again';
  if (!isUnanswered(error)) return `${workflowId} does not answer: ${explain(error)}`;
  try {
    const { taskQueue } = await server.client.workflow.getHandle(workflowId).describe();
    if ((await pollingWorkers(server, taskQueue)).length === 0) {
      return `waiting for a worker on task queue ${taskQueue}; start one: recipe-sweep worker`;
    }
  } catch {
    // The server itself has become silent since; the next look says so.
  }
  return 'the worker does not answer; trying again';
}
