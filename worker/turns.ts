import type { Client } from '@temporalio/client';
import type { TurnRequest } from '../domain/turn.ts';
import { askSignal, hostWorkflowId, HOST_WORKFLOW, taskQueueOf } from '../workflows/protocol.ts';
import { isOpenWorkflow } from './open-workflow.ts';

/** A host's turns, as its steps reach them: over the Temporal server. */
export function createTurns(client: Client, host: string) {
  const workflowId = hostWorkflowId(host);
  return {
    /** Asks for the host, and starts the workflow that grants it where none runs. Answers that workflow's ID. */
    async ask(request: TurnRequest): Promise<string> {
      await client.workflow.signalWithStart(HOST_WORKFLOW, {
        workflowId,
        taskQueue: taskQueueOf(host),
        signal: askSignal,
        signalArgs: [request],
        staticSummary: `whose turn it is on ${host}`,
      });
      return workflowId;
    },
    async isOpen({ id, runId }: TurnRequest['workflow']): Promise<boolean> {
      return isOpenWorkflow(client, { workflowId: id, runId });
    },
  };
}
