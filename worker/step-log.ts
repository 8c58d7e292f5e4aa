import { ApplicationFailure, CancelledFailure, type Context } from '@temporalio/activity';
import type { ActivityInterceptors } from '@temporalio/worker';
import type { Activities } from '../activities/index.ts';
import { isRecipeName } from '../domain/names.ts';
import { quotable } from '../domain/printable.ts';
import { errorInWords } from './log.ts';

/**
 * What steps are called in the log: as `status` calls them, and the host's lock. Null for small questions to the Temporal
 * server, asked again and again, of which only a failure is told.
 */
const STEPS: Record<keyof Activities, string | null> = {
  enrolled: 'enrolled',
  leftOut: 'left out',
  openSweep: 'preflight',
  closeSweep: 'report',
  mirrorSync: 'mirror-sync',
  resolve: 'resolve',
  provide: 'cold-test: dependencies',
  coldInstall: 'cold-test: install',
  coldUpgrade: 'cold-test: upgrade',
  coldBackup: 'cold-test: backup',
  coldRestore: 'cold-test: restore',
  coldCustom: 'cold-test: custom',
  lint: 'cold-test: lint',
  quickReattach: 'quick-lane: reattach',
  quickUpgrade: 'quick-lane: upgrade',
  quickCustom: 'quick-lane: custom',
  quickLint: 'quick-lane: lint',
  quickUndeploy: 'quick-lane: undeploy',
  prefetch: 'prefetch',
  promote: 'promote',
  settle: 'settle',
  teardown: 'teardown',
  record: 'record',
  recordFor: 'record for others',
  reap: 'reap',
  giveBackHost: 'give back the host',
  canonicalToChange: 'look at the canonical',
  forgetCanonical: 'forget the canonical',
  rebuildCanonical: 'rebuild the canonical',
  dropData: 'drop the data',
  openReconcile: 'preflight',
  observeService: 'reconcile: observe',
  recoverService: 'reconcile: recover',
  upgradeService: 'reconcile: upgrade',
  rollBackService: 'reconcile: roll back',
  orderService: 'reconcile: order',
  tellService: 'reconcile: record',
  acceptTag: 'accept the tag',
  pullRequestHead: 'target',
  openTest: 'preflight',
  bringHead: 'head',
  answer: 'answer',
  askForTurn: null,
  endedWorkflows: null,
  lockHolder: null,
};

/**
 * Has each attempt of a step log its beginning and its end: its outcome (`done`, `red`, `failed` or `cancelled`), how long
 * it took in `ms`, and why. Of what it was told the recipe's name and the step's are logged, and nothing else.
 */
export function logsSteps({ info, log, cancellationSignal }: Context): ActivityInterceptors {
  const named = STEPS[info.activityType as keyof Activities];
  const quiet = named === null;
  let about: Record<string, string> = { step: named ?? info.activityType };
  return {
    inbound: {
      async execute(input, next) {
        about = { ...about, ...toldOf(input.args[0]) };
        const begun = performance.now();
        const took = (): number => Math.round(performance.now() - begun);
        if (!quiet) log.info('step begins');
        try {
          const answer = await next(input);
          if (!quiet) log.info('step ends', { ...outcomeOf(answer), ms: took() });
          return answer;
        } catch (error) {
          if (cancellationSignal.aborted && error instanceof CancelledFailure) {
            log.info('step ends', { outcome: 'cancelled', ms: took() });
          } else {
            const retryable = !(error instanceof ApplicationFailure && error.nonRetryable);
            log.warn('step ends', { outcome: 'failed', retryable, ms: took(), ...errorInWords(error) });
          }
          throw error;
        }
      },
    },
    outbound: {
      getLogAttributes: (attributes, next) => next({ ...attributes, ...about }),
    },
  };
}

/** The recipe and the step that an attempt was told to see to, where its input names them. */
function toldOf(input: unknown): { recipe?: string; step?: string } {
  const { recipe, step, run } = (input ?? {}) as { recipe?: unknown; step?: unknown; run?: unknown };
  const named = recipe ?? (run as { recipe?: unknown } | null | undefined)?.recipe;
  return {
    ...(typeof named === 'string' && isRecipeName(named) ? { recipe: named } : {}),
    ...(typeof step === 'string' ? { step } : {}),
  };
}

/** A step that answers that something is broken has done its work: that is red, and no failure. */
function outcomeOf(answer: unknown): { outcome: 'done' | 'red'; why?: string } {
  const { result, reason, promoted, why } = (answer ?? {}) as Record<string, unknown>;
  if (result === 'fail') return { outcome: 'red', why: quotable(String(reason)) };
  if (promoted === false) return { outcome: 'red', why: quotable(String(why)) };
  return { outcome: 'done' };
}
