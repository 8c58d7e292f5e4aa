import { workflowInfo } from '@temporalio/workflow';
import { inTurnByHand } from './by-hand.ts';
import { parseServiceOrder } from './input.ts';
import type { ServiceOrderInput } from './protocol.ts';
import { cleanupSteps, UNREAD } from './steps.ts';

/**
 * What an operator says of a live service by hand, in its turn on the host; answers what was done. Failed, with the reason,
 * if nothing was.
 */
export async function serviceWorkflow(input: ServiceOrderInput): Promise<string> {
  const { service, order, by } = parseServiceOrder(input);
  const { workflowId: id, firstExecutionRunId: runId } = workflowInfo();
  const { orderService } = cleanupSteps(UNREAD, `${order.order} ${service}`);
  const holder = { workflowId: id, runId, what: 'reconcile' };
  return inTurnByHand(holder, `service ${order.order} of ${service}`, () =>
    orderService({ run: { service, asked: { id, runId } }, order, by }),
  );
}
