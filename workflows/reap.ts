import { ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import { ActivityFailure } from '@temporalio/common';
import { cleanupSteps, UNREAD } from './steps.ts';

/** Started by every worker that starts: removes what crashed runs left, unless a run is at work. */
export async function reapWorkflow(): Promise<string> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const holder = { workflowId, runId: firstExecutionRunId, what: 'reap' };
  const { reap, giveBackHost } = cleanupSteps(UNREAD, 'what crashed runs left');
  try {
    const left = await reap({ holder });
    if (left.length > 0) return `could not be removed: ${left.map(({ what }) => what).join('; ')}`;
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    if (isCancellation(error) || !(cause instanceof ApplicationFailure) || cause.type !== 'HostBusy')
      throw error;
    return cause.message;
  } finally {
    await giveBackHost({ holder });
  }
  return 'nothing of a crashed run remains';
}
