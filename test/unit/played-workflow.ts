import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ActivityFailure, CancelledFailure, RetryState } from '@temporalio/common';
import type { ActivityOptions } from '@temporalio/workflow';

/**
 * A workflow function of ours that is played in this process: what stands in for `@temporalio/workflow` asks its steps
 * of whoever plays it, and keeps what scopes and cancellation promise. Timers, children and updates are not played, and
 * what is waited for comes while it is played.
 */
export interface Play {
  workflowId: string;
  /** The first run's ID. */
  runId: string;
  /** Once set, steps that are asked for are refused, but for those that are to be done all the same. */
  cancelled: boolean;
  /** Does a step, at most so many times. Rejects with the failure of its last attempt. */
  step(name: string, attempts: number, input: unknown): Promise<unknown>;
  /** What handles its signals and queries, by their names. */
  handlers: Map<string, (input: unknown) => unknown>;
}

const playing = new AsyncLocalStorage<{ play: Play; shielded: boolean }>();

function current(): { play: Play; shielded: boolean } {
  const found = playing.getStore();
  if (!found) throw new Error('no workflow is played here');
  return found;
}

/** Plays a workflow to its end. */
export async function playWorkflow<T>(play: Play, workflow: () => Promise<T>): Promise<T> {
  return playing.run({ play, shielded: false }, workflow);
}

async function ask(name: string, { retry }: ActivityOptions, input: unknown): Promise<unknown> {
  const { play, shielded } = current();
  if (play.cancelled && !shielded) throw new CancelledFailure('the workflow was cancelled');
  try {
    // It travels as JSON.
    return await play.step(name, retry?.maximumAttempts ?? 1, JSON.parse(JSON.stringify(input)));
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    throw new ActivityFailure('', name, '', RetryState.MAXIMUM_ATTEMPTS_REACHED, '', cause);
  }
}

/** Without its time-out, before which the play is over; but nothing comes that is waited for by the clock. */
async function until(isSo: () => boolean, timeout?: string | number): Promise<boolean> {
  const { play, shielded } = current();
  if (typeof timeout === 'number') return isSo();
  while (!isSo()) {
    if (play.cancelled && !shielded) throw new CancelledFailure('the workflow was cancelled');
    await nextTurn();
  }
  return true;
}

const nothing = (): void => undefined;

/** What stands in for `@temporalio/workflow`. */
export function playedWorkflow(original: typeof import('@temporalio/workflow')) {
  return {
    ...original,
    workflowInfo: () => {
      const { workflowId, runId } = current().play;
      return { workflowId, firstExecutionRunId: runId };
    },
    proxyActivities: (options: ActivityOptions) =>
      new Proxy({}, { get: (_steps, name: string) => (input: unknown) => ask(name, options, input) }),
    CancellationScope: {
      nonCancellable: <T>(body: () => Promise<T>) =>
        playing.run({ play: current().play, shielded: true }, body),
    },
    setHandler: ({ name }: { name: string }, handler: (input: unknown) => unknown) =>
      void current().play.handlers.set(name, handler),
    condition: until,
    allHandlersFinished: () => true,
    getExternalWorkflowHandle: () => ({ signal: async () => undefined }),
    setCurrentDetails: nothing,
    upsertMemo: nothing,
    upsertSearchAttributes: nothing,
  };
}
