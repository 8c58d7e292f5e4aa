import { workflowInfo } from '@temporalio/workflow';
import { inTurnByHand } from './by-hand.ts';
import { parseCanonicalInput } from './input.ts';
import type { CanonicalChange } from './protocol.ts';
import { cleanupSteps, UNREAD } from './steps.ts';

/**
 * What an operator does about a recipe's canonical by hand, in its turn on the host; answers what was done. Failed, with
 * the reason, if nothing was.
 */
export async function canonicalWorkflow(input: CanonicalChange): Promise<string> {
  const { recipe, change } = parseCanonicalInput(input);
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const holder = { workflowId, runId: firstExecutionRunId, what: `canonical ${change}` };
  const steps = cleanupSteps(UNREAD, `${change} the canonical of ${recipe}`);
  return inTurnByHand(holder, `canonical ${change} of ${recipe}`, async () => {
    const { domain } = await steps.canonicalToChange({ recipe, change, holder });
    if (change === 'rebuild') return steps.rebuildCanonical({ recipe, holder });
    if (change === 'drop-data') return steps.dropData({ recipe, holder });
    return steps.forgetCanonical({ recipe, holder, domain });
  });
}
