import type { Connection, ScheduleClient, WorkflowClient } from '@temporalio/client';
import { ScheduleNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import { NOBODY, type Turns } from '../domain/turn.ts';
import type { TemporalView } from '../metrics/temporal.ts';
import {
  hostWorkflowId,
  POLLING_WITHIN_MS,
  reconcileScheduleIdOf,
  scheduleIdOf,
  taskQueueOf,
  turnsQuery,
} from '../workflows/protocol.ts';

export interface ViewedServer {
  connection: Connection;
  namespace: string;
  workflows: WorkflowClient;
  schedules: ScheduleClient;
}

/** What the Temporal server knows of a host: its workers, its turns and its schedules. Rejects where it does not answer. */
export async function viewOf(server: ViewedServer, host: string): Promise<TemporalView> {
  const [workers, turns, sweep, reconcile] = await Promise.all([
    workersOf(server, host),
    turnsOf(server, host),
    scheduleOf(server, scheduleIdOf(host)),
    scheduleOf(server, reconcileScheduleIdOf(host)),
  ]);
  return { workers, turns, schedules: { sweep, reconcile } };
}

async function workersOf(
  { connection, namespace }: ViewedServer,
  host: string,
): Promise<TemporalView['workers']> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueueOf(host) },
    taskQueueType: 1, // workflow tasks
  });
  const seen = (pollers ?? []).map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000);
  const polling = seen.filter((ms) => Date.now() - ms < POLLING_WITHIN_MS).length;
  return { polling, lastPollMs: seen.length === 0 ? null : Math.max(...seen) };
}

/** Null where no worker answers: a query is asked of one. */
async function turnsOf({ workflows }: ViewedServer, host: string): Promise<Turns | null> {
  const granting = workflows.getHandle(hostWorkflowId(host));
  try {
    const { status } = await granting.describe();
    // One that was ended by somebody still answers, with what was so then.
    if (status.name !== 'RUNNING') return NOBODY;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return NOBODY;
    throw error;
  }
  return granting.query(turnsQuery).catch(() => null);
}

async function scheduleOf(
  { schedules }: ViewedServer,
  id: string,
): Promise<TemporalView['schedules']['sweep']> {
  try {
    const { state, info } = await schedules.getHandle(id).describe();
    const next = state.paused ? undefined : info.nextActionTimes[0];
    return { paused: state.paused, nextMs: next?.getTime() ?? null };
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}
