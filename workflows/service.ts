import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { parseServiceOrder, rootFailure } from './input.ts';
import type { ServiceOrderInput } from './protocol.ts';
import { cleanupSteps, UNREAD } from './steps.ts';
import { openTurn } from './turn.ts';

/**
 * What an operator says of a live service by hand, in its turn on the host; answers what was done. Failed, with the reason,
 * if nothing was.
 */
export async function serviceWorkflow(input: ServiceOrderInput): Promise<string> {
  const { service, order, by } = parseServiceOrder(input);
  const { workflowId: id, firstExecutionRunId: runId } = workflowInfo();
  const { orderService, giveBackHost } = cleanupSteps(UNREAD, `${order.order} ${service}`);
  const turn = openTurn({ asker: 'hand', what: `service ${order.order} of ${service}` });
  await turn.take();
  try {
    return await orderService({ run: { service, asked: { id, runId } }, order, by });
  } catch (error) {
    throw rootFailure(error);
  } finally {
    const holder = { workflowId: id, runId, what: 'reconcile' };
    try {
      await CancellationScope.nonCancellable(() => giveBackHost({ holder }));
    } finally {
      await turn.giveBack();
    }
  }
}
