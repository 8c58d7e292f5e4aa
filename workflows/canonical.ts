import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { parseCanonicalInput, rootFailure } from './input.ts';
import type { CanonicalChange } from './protocol.ts';
import { cleanupSteps, UNREAD } from './steps.ts';
import { openTurn } from './turn.ts';

/**
 * What an operator does about a recipe's canonical by hand, in its turn on the host; answers what was done. Failed, with
 * the reason, if nothing was.
 */
export async function canonicalWorkflow(input: CanonicalChange): Promise<string> {
  const { recipe, change } = parseCanonicalInput(input);
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const holder = { workflowId, runId: firstExecutionRunId, what: `canonical ${change}` };
  const steps = cleanupSteps(UNREAD, `${change} the canonical of ${recipe}`);
  const turn = openTurn({ asker: 'hand', what: `canonical ${change} of ${recipe}` });
  await turn.take();
  try {
    const { domain } = await steps.canonicalToChange({ recipe, change, holder });
    if (change === 'rebuild') return await steps.rebuildCanonical({ recipe, holder });
    if (change === 'drop-data') return await steps.dropData({ recipe, holder });
    return await steps.forgetCanonical({ recipe, holder, domain });
  } catch (error) {
    throw rootFailure(error);
  } finally {
    try {
      await CancellationScope.nonCancellable(() => steps.giveBackHost({ holder }));
    } finally {
      await turn.giveBack();
    }
  }
}
