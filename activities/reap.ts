import { log } from '@temporalio/activity';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Fault, type FaultType } from '../domain/fault.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import { removeBackups } from '../host/backups.ts';
import { passBoundary } from '../host/boundary.ts';
import type { Holder } from '../host/host-lock.ts';
import { holdingHost, inAttempt, type HostAttempt } from './attempt.ts';
import type { Dependencies } from './index.ts';

const UNUSABLE = new Set<FaultType>(['RecordUnreadable', 'SecretsLost']);

/**
 * Removes what crashed runs left, judged by our labels alone: cold stacks, warm apps that still run, data in
 * use when its run died. Only for who holds the host: then nothing of the kind can belong to a living run.
 */
export async function reapLeftovers(deps: Dependencies, attempt: HostAttempt, run: string): Promise<void> {
  const { deployer, warm, report } = attempt;
  const owned = await deployer.owned();
  const unsettled = new Set<string>();
  for (const { stack, recipe, lifetime, running } of owned) {
    if (lifetime === 'cold') {
      report(`reaping ${stack}`);
      log.info('reaping', { stack, recipe });
      await deployer.remove(stack);
      passBoundary('reap.after-remove');
    } else if (lifetime === 'warm') {
      if (running) unsettled.add(recipe);
    } else log.warn('left alone, since its lifetime is not known', { stack, recipe });
  }
  for (const recipe of await deps.canonicals.list()) {
    if (await deps.canonicals.isAttached(recipe)) unsettled.add(recipe);
  }
  for (const recipe of unsettled) {
    report(`settling ${recipe}`);
    try {
      await warm.settle(recipe);
      passBoundary('reap.after-settle');
    } catch (error) {
      // A canonical that cannot be read, or has lost its secrets, stops that recipe, not the others.
      if (!(error instanceof Fault && UNUSABLE.has(error.type))) throw error;
      await deployer.undeploy(stackName(warmDomain(recipe, deps.config.zone)));
      const alert = { kind: 'canonical-unreadable', recipe, message: error.message, run } as const;
      await deps.alerts.raise(alert, deps.now());
    }
  }
  await rm(path.join(deps.config.state, 'checkouts'), { recursive: true, force: true });
  await removeBackups(deps.config.state);
}

export function reap(deps: Dependencies) {
  return {
    /** Reaps by itself: when a worker starts, and after a run that was terminated. Throws HostBusy. */
    async reap({ holder }: { holder: Holder }): Promise<void> {
      return holdingHost(deps, [holder], 'reap', (attempt) =>
        reapLeftovers(deps, attempt, holder.workflowId),
      );
    },

    /** Gives the host back, if this holder has it. */
    async release({ holder }: { holder: Holder }): Promise<void> {
      return inAttempt(deps, () => deps.lock.release(holder));
    },
  };
}
