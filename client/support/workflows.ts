import type { WorkflowExecutionInfo } from '@temporalio/client';
import { taskQueueOf } from '../../workflows/protocol.ts';
import type { TemporalServer } from '../connect.ts';
import { explain } from '../temporal-failure.ts';
import type { Bundle } from './bundle.ts';

const WORKFLOWS = 200;
/** Each is a question of its own to the server. */
const LOOKED_AT = 30;
const QUESTION_MS = 10_000;

/**
 * The host's latest workflows as the Temporal server lists them: of those that are open what they wait for, of those that
 * failed why. Their histories, which hold what steps were told and answered, are not asked for.
 */
export async function addWorkflows(bundle: Bundle, server: TemporalServer, host: string): Promise<void> {
  const { client, connection } = server;
  const asked = async <T>(question: () => Promise<T>): Promise<T> =>
    connection.withDeadline(Date.now() + QUESTION_MS, question);
  const listed: WorkflowExecutionInfo[] = [];
  await asked(async () => {
    for await (const one of client.workflow.list({ query: `TaskQueue = '${taskQueueOf(host)}'` })) {
      listed.push(one);
      if (listed.length === WORKFLOWS) break;
    }
  });
  let looks = LOOKED_AT;
  const workflows = [];
  for (const one of listed) {
    const { workflowId, type, status, startTime, closeTime } = one;
    const isLookedAt = status.name !== 'COMPLETED' && looks-- > 0;
    workflows.push({
      workflowId,
      type,
      status: status.name,
      started: startTime.toISOString(),
      closed: closeTime?.toISOString() ?? null,
      ...(isLookedAt ? await asked(() => lookAt(server, one)) : {}),
    });
  }
  bundle.addJson('workflows.json', workflows);
}

async function lookAt({ client }: TemporalServer, { workflowId, runId, status }: WorkflowExecutionInfo) {
  const handle = client.workflow.getHandle(workflowId, runId);
  if (status.name !== 'RUNNING') {
    // It has closed, so its end is there.
    return { why: await handle.result().then(() => null, explain) };
  }
  const { raw } = await handle.describe();
  return {
    waitsFor: (raw.pendingActivities ?? []).map(({ activityType, attempt, lastFailure }) => ({
      activity: activityType?.name ?? null,
      attempt: attempt ?? null,
      lastFailure: lastFailure?.message ?? null,
    })),
  };
}
