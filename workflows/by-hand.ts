import { CancellationScope } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import { rootFailure } from './input.ts';
import { cleanupSteps, UNREAD } from './steps.ts';
import { openTurn } from './turn.ts';

type Holder = Parameters<Activities['giveBackHost']>[0]['holder'];

/**
 * Does what somebody asked for in its turn on the host, whose steps hold the host as `holder`; host and turn are given
 * back whatever happens. Fails with the reason why it was not done.
 */
export async function inTurnByHand<T>(holder: Holder, what: string, body: () => Promise<T>): Promise<T> {
  const turn = openTurn({ asker: 'hand', what });
  await turn.take();
  try {
    return await body();
  } catch (error) {
    throw rootFailure(error);
  } finally {
    const { giveBackHost } = cleanupSteps(UNREAD, 'give the host back');
    try {
      await CancellationScope.nonCancellable(() => giveBackHost({ holder }));
    } finally {
      await turn.giveBack();
    }
  }
}
