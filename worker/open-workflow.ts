import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Holder } from '../host/lock/host-lock.ts';

/**
 * Whether this very workflow is open, whatever its present run: one that continued as new or was reset keeps
 * its first run's ID. A workflow that a new Temporal database does not know is not open. The host lock's
 * question.
 */
export async function isOpenWorkflow(
  client: Client,
  { workflowId, runId }: Pick<Holder, 'workflowId' | 'runId'>,
): Promise<boolean> {
  try {
    const { status, raw, runId: present } = await client.workflow.getHandle(workflowId).describe();
    const first = raw.workflowExecutionInfo?.firstRunId || present;
    return ['RUNNING', 'PAUSED'].includes(status.name) && first === runId;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
