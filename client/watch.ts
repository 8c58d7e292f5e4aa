import { QueryNotRegisteredError } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  progressQuery,
  stepQuery,
  TASK_QUEUE,
  type StepProgress,
  type SweepProgress,
} from '../workflows/protocol.ts';
import { pollingWorkers, type TemporalServer } from './connect.ts';
import { explain, isUnanswered, isUnreachable } from './failure.ts';
import type { SweepView } from './render/progress.ts';

const QUERY_TIMEOUT_MS = 3_000;
const POLL_MS = 500;

/** Asks a sweep, and the recipes it runs, how far they are. Never throws: what fails becomes the note. */
export async function lookAtSweep(
  server: TemporalServer,
  sweep: string,
  last?: SweepView,
): Promise<SweepView> {
  let progress: SweepProgress;
  try {
    progress = await query(server, () => server.client.workflow.getHandle(sweep).query(progressQuery));
  } catch (error) {
    const note = await whyNoAnswer(server, error);
    return { sweep, progress: last?.progress ?? null, steps: last?.steps ?? new Map(), note };
  }
  const steps = new Map<string, StepProgress>();
  for (const { recipe, state, workflowId } of progress.recipes) {
    if (state !== 'running' || workflowId === null) continue;
    const step = await query(server, () =>
      server.client.workflow.getHandle(workflowId).query(stepQuery),
    ).catch(
      // It has only just been started, or has just ended; the next look tells.
      () => last?.steps.get(recipe),
    );
    if (step) steps.set(recipe, step);
  }
  return { sweep, progress, steps, note: null };
}

/** Looks again and again until the signal. */
export async function watchSweep(
  server: TemporalServer,
  sweep: string,
  onView: (view: SweepView) => void,
  signal: AbortSignal,
): Promise<void> {
  let view: SweepView | undefined;
  while (!signal.aborted) {
    view = await lookAtSweep(server, sweep, view);
    if (signal.aborted) return;
    onView(view);
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function query<T>({ connection }: TemporalServer, ask: () => Promise<T>): Promise<T> {
  return connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, ask);
}

async function whyNoAnswer(server: TemporalServer, error: unknown): Promise<string | null> {
  // It ended before it began, over its input say; its result tells why.
  if (error instanceof QueryNotRegisteredError) return null;
  if (isUnreachable(error)) return 'the Temporal server does not answer; trying again';
  if (!isUnanswered(error)) return `the sweep does not answer: ${explain(error)}`;
  const workers = await pollingWorkers(server).catch(() => []);
  if (workers.length === 0) {
    return `waiting for a worker on task queue ${TASK_QUEUE}; start one: recipe-sweep worker`;
  }
  return 'the worker does not answer; trying again';
}
