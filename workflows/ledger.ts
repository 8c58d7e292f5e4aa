import { parseTagAcceptance, rootFailure } from './input.ts';
import type { TagAcceptance } from './protocol.ts';
import { openingSteps } from './steps.ts';

/** An operator's word on a release's tag that moved; answers what was recorded. Failed, with the reason, if nothing was. */
export async function ledgerWorkflow(input: TagAcceptance): Promise<string> {
  const asked = parseTagAcceptance(input);
  const { acceptTag } = openingSteps(`accept ${asked.tag} of ${asked.recipe}`);
  try {
    return await acceptTag({ ...asked, atMs: Date.now() });
  } catch (error) {
    throw rootFailure(error);
  }
}
