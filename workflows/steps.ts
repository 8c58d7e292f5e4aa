import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import type { SweepSettings } from '../domain/run.ts';

/**
 * The steps as a workflow calls them: every time-out and retry policy of the system is on this page.
 * A cancelled step is waited for, so that teardown never runs beside it.
 */

/** Longer than a worker's restart; a step beats every three seconds. */
const HEARTBEAT_TIMEOUT = '20s';

function options(
  startToCloseTimeout: number | '1m' | '5m' | '10m' | '2h',
  attempts: number,
  summary: string,
): ActivityOptions {
  return {
    startToCloseTimeout,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 3, maximumInterval: '1m', maximumAttempts: attempts },
    summary,
  };
}

/** Limits of clean-ups that are done before, or without, any configuration was read. */
export const UNREAD: Pick<SweepSettings, 'attempts' | 'promoteMs'> = {
  attempts: 2,
  promoteMs: 2 * 60 * 60 * 1000,
};

/** Steps that take their limits from no configuration, since they run before it is read. */
export function openingSteps(
  summary: string,
): Pick<Activities, 'enrolled' | 'mirrorSync' | 'resolve' | 'acceptTag' | 'pullRequestHead'> {
  return proxyActivities<Activities>(options('10m', 4, summary));
}

/** The same of a plan: whoever reads that nothing was learned asks again. */
export function planSteps(summary: string): Pick<Activities, 'mirrorSync' | 'resolve' | 'leftOut'> {
  return proxyActivities<Activities>(options('10m', 2, summary));
}

/** Small questions to the Temporal server, which is asked until it answers. */
export function turnSteps(summary: string): Pick<Activities, 'askForTurn' | 'endedWorkflows' | 'lockHolder'> {
  return proxyActivities<Activities>(options('1m', 100, summary));
}

/** Long enough to reap many things that each do not go. */
export function hostSteps(summary: string): Pick<Activities, 'openSweep' | 'openTest' | 'openReconcile'> {
  return proxyActivities<Activities>(options('2h', 4, summary));
}

/** One attempt to be heard by the forge: whoever asks tries again, with what is to be said by then. */
export function answerSteps(summary: string): Pick<Activities, 'answer'> {
  return proxyActivities<Activities>(options('1m', 1, summary));
}

/** Every step of a recipe's run, within the limits of its sweep. */
export function recipeSteps(settings: SweepSettings, summary: string): RecipeSteps {
  const { attempts, tierMs, promoteMs } = settings;
  const { mirrorSync, bringHead } = proxyActivities<Activities>(options('10m', attempts, summary));
  // It only looks, and keeps the canonical's commit for git.
  const { resolve } = proxyActivities<Activities>(options('1m', attempts, summary));
  // The tiers, and what runs beside them.
  const { provide, coldInstall, coldUpgrade, coldBackup, coldRestore, coldCustom, lint } =
    proxyActivities<Activities>(options(tierMs, attempts, summary));
  const { promote } = proxyActivities<Activities>(options(promoteMs, attempts, summary));
  const { teardown, settle, quickUndeploy, record } = cleanupSteps(settings, summary);
  const tiers = { provide, coldInstall, coldUpgrade, coldBackup, coldRestore, coldCustom, lint };
  // The first of them may have to put the data back before it begins, as promote does.
  const { quickReattach } = proxyActivities<Activities>(options(promoteMs, attempts, summary));
  const { quickUpgrade, quickCustom, quickLint } = proxyActivities<Activities>(
    options(tierMs, attempts, summary),
  );
  const quick = { quickReattach, quickUpgrade, quickCustom, quickLint, quickUndeploy };
  return { mirrorSync, resolve, bringHead, ...tiers, ...quick, promote, teardown, settle, record };
}

export type RecipeSteps = Pick<
  Activities,
  | 'mirrorSync'
  | 'resolve'
  | 'bringHead'
  | 'provide'
  | 'coldInstall'
  | 'coldUpgrade'
  | 'coldBackup'
  | 'coldRestore'
  | 'coldCustom'
  | 'lint'
  | 'quickReattach'
  | 'quickUpgrade'
  | 'quickCustom'
  | 'quickLint'
  | 'quickUndeploy'
  | 'promote'
  | 'teardown'
  | 'settle'
  | 'record'
>;

/** For the recipe whose turn comes next: nothing waits for it, and it is given up at once. */
export function stepsAhead(
  { attempts, tierMs }: Pick<SweepSettings, 'attempts' | 'tierMs'>,
  summary: string,
): Pick<Activities, 'prefetch'> {
  return proxyActivities<Activities>({
    ...options(tierMs, attempts, summary),
    cancellationType: ActivityCancellationType.TRY_CANCEL,
  });
}

/** What a reconcile does with a service: as long as a promote, which does as much. */
export function serviceSteps(
  { attempts, promoteMs }: Pick<SweepSettings, 'attempts' | 'promoteMs'>,
  summary: string,
): Pick<Activities, 'observeService' | 'recoverService' | 'upgradeService'> {
  return proxyActivities<Activities>(options(promoteMs, attempts, summary));
}

/** What must happen whatever happened before: tried more often, since nobody else will do it this week. */
export function cleanupSteps(
  { attempts, promoteMs }: Pick<SweepSettings, 'attempts' | 'promoteMs'>,
  summary: string,
): Pick<
  Activities,
  | 'teardown'
  | 'settle'
  | 'quickUndeploy'
  | 'reap'
  | 'giveBackHost'
  | 'closeSweep'
  | 'record'
  | 'recordFor'
  | 'canonicalToChange'
  | 'forgetCanonical'
  | 'rebuildCanonical'
  | 'dropData'
  | 'rollBackService'
  | 'orderService'
  | 'tellService'
> {
  return proxyActivities<Activities>(options(promoteMs, attempts * 2, summary));
}
