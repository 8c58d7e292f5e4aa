import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { ServiceObserved } from '../activities/reconcile.ts';
import type { ServiceRun, Undone } from '../activities/service.ts';
import { quotableMarkdown } from '../domain/printable.ts';
import type { Release } from '../domain/release.ts';
import type { SweepSettings } from '../domain/run.ts';
import { inTurnByHand } from './by-hand.ts';
import { parseReconcileInput, reasonOf } from './input.ts';
import {
  approveUpdate,
  SEARCH_ATTRIBUTES,
  servicesQuery,
  type ReconciledService,
  type ReconcileInput,
  type ReconcileResult,
} from './protocol.ts';
import { cleanupSteps, hostSteps, serviceSteps } from './steps.ts';

/** So long from its beginning what a reconcile holds can be approved here; the next day's holds it again. */
const APPROVABLE_MS = 23 * 60 * 60 * 1000;

/**
 * Takes each live service, or those named, to its latest release, one at a time. Then, where one is held back, waits for
 * an operator to approve it, and lets go of the host meanwhile. Failed at once on a wrong input.
 */
export async function reconcileWorkflow(input?: ReconcileInput): Promise<ReconcileResult> {
  const wanted = parseReconcileInput(input);
  const until = Date.now() + APPROVABLE_MS;
  const { workflowId: id, firstExecutionRunId: runId } = workflowInfo();
  const result: ReconcileResult = { reconcile: id, state: 'waiting for its turn', services: [] };
  const approved = new Set<string>();
  setHandler(servicesQuery, () => result, { description: 'each service, and what was done about it' });
  setHandler(
    approveUpdate,
    async ({ service }) => {
      approved.add(service);
      return `${service} is taken there as soon as this host is free`;
    },
    {
      description:
        'let the version through that this reconcile holds: {"service": "keycloak", "version": "<x.y.z+app>"}',
      validator: ({ service, version }) => {
        const held = result.services.find((one) => one.service === service)?.held ?? null;
        if (held === null) throw refused(`${service} holds nothing back here`);
        if (held !== version) throw refused(`${service} holds ${held} back, not ${version}`);
      },
    },
  );

  await inTurn({ id, runId }, wanted, result, () => null);
  const held = (): boolean => result.services.some((one) => one.held !== null);
  for (;;) {
    result.state = held() ? 'waiting for an approval' : 'done';
    const leftMs = until - Date.now();
    if (!held() || leftMs <= 0 || !(await condition(() => approved.size > 0, leftMs))) break;
    const services = [...approved];
    approved.clear();
    const versions = new Map(result.services.map((one) => [one.service, one.held]));
    await inTurn({ id, runId }, services, result, (service) => versions.get(service) ?? null);
  }
  result.state = 'done';
  await condition(allHandlersFinished);
  return result;
}

function refused(why: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'BadInput', message: why, nonRetryable: true });
}

/** Reconciles services in a turn of its own on the host. */
async function inTurn(
  asked: ServiceRun['asked'],
  wanted: string[] | null,
  result: ReconcileResult,
  approvedOf: (service: string) => string | null,
): Promise<void> {
  const holder = { workflowId: asked.id, runId: asked.runId, what: 'reconcile' };
  result.state = 'waiting for its turn';
  await inTurnByHand(holder, 'reconcile', async () => {
    result.state = 'reconciling';
    const { openReconcile } = hostSteps('take the host, reap');
    const { services, settings } = await openReconcile({ services: wanted, holder });
    for (const service of services) {
      const done = await reconcileService({ service, asked }, settings, approvedOf(service));
      result.services = [...result.services.filter((one) => one.service !== service), done];
      show(result);
    }
  });
}

/** One service, and its one outcome, on record. */
async function reconcileService(
  run: ServiceRun,
  settings: SweepSettings,
  approved: string | null,
): Promise<ReconciledService> {
  const { service } = run;
  const { orderService, tellService } = cleanupSteps(settings, `${service}: record`);
  let done: Told;
  let cancelled: unknown = null;
  try {
    if (approved !== null) {
      const by = 'an update of the reconcile';
      await orderService({ run, order: { order: 'approve', version: approved }, by });
    }
    done = await act(run, settings);
  } catch (error) {
    if (isCancellation(error)) cancelled = error;
    done = told('error', isCancellation(error) ? 'cancelled' : reasonOf(error));
  }
  const version = await CancellationScope.nonCancellable(() => tellService({ run, ...done }));
  if (cancelled !== null) throw cancelled;
  return { service, outcome: done.outcome, why: done.why, version, held: done.held };
}

/** What is said of a service. */
type Told = Pick<ReconciledService, 'outcome' | 'why' | 'held'> & {
  evidence: string | null;
  /** The notes that hold it, whole. */
  notes: string | null;
  /** It is not healthy, as far as anybody knows. */
  down: boolean;
};

function told(outcome: ReconciledService['outcome'], why: string, more: Partial<Told> = {}): Told {
  return { outcome, why, held: null, evidence: null, notes: null, down: false, ...more };
}

async function act(run: ServiceRun, settings: SweepSettings): Promise<Told> {
  const { service } = run;
  const steps = serviceSteps(settings, service);
  let observed = await steps.observeService(run);
  const failed = undoing(observed.undone);
  if (failed?.outcome === 'rollback-failed') return failed;
  let recovered: string | null = null;
  if (observed.decision.decision === 'recover') {
    const { reason, to } = observed.decision;
    const again = await steps.recoverService(run);
    if (!again.healthy) {
      return told('error', `${reason}, and is not healthy when it is deployed again: ${again.why}`, {
        evidence: again.evidence,
        down: true,
      });
    }
    recovered = `${reason}; ${to.version} was deployed again`;
    try {
      observed = await steps.observeService(run);
    } catch (error) {
      if (isCancellation(error)) throw error;
      return told('recovered', `${recovered}; what is newer nobody knows: ${reasonOf(error)}`);
    }
  }
  const done = await decided(run, settings, observed);
  // What happened tells more than that nothing is left to be done.
  if (done.outcome !== 'noop') return done;
  if (failed !== null) return failed;
  return recovered === null ? done : told('recovered', recovered);
}

/** What a rollback that an earlier attempt owed comes to; null when there was none, or it was of no unhealthy release. */
function undoing(undone: Undone | null): Told | null {
  if (undone === null) return null;
  const { from, to, evidence } = undone;
  if (!undone.back) return told('rollback-failed', undone.why, { evidence, down: true });
  if (undone.why === null) return null;
  return told('rolled-back', rolledBack(from, to, undone.why), { evidence });
}

function rolledBack(from: Release, to: Release | null, why: string): string {
  return `${from.version} is unhealthy: ${why}; ${to?.version ?? 'nothing'} is there as before`;
}

async function decided(
  run: ServiceRun,
  settings: SweepSettings,
  { decision, lastGood }: ServiceObserved,
): Promise<Told> {
  const { reason } = decision;
  switch (decision.decision) {
    case 'noop':
      return told('noop', reason);
    case 'leave':
      return told(decision.because, reason);
    case 'hold-major':
      return told('held-major', reason, { held: decision.release.version, notes: decision.notes });
    case 'hold-manual-migration':
      return told('held-manual-migration', reason, { held: decision.release.version, notes: decision.notes });
    case 'recover':
      return told('error', `${reason}, although it was deployed again just now`, { down: true });
    case 'install':
    case 'upgrade':
      return upgrade(run, settings, decision.to, lastGood, reason);
  }
}

async function upgrade(
  run: ServiceRun,
  settings: SweepSettings,
  to: Release,
  lastGood: Release | null,
  reason: string,
): Promise<Told> {
  const { upgradeService } = serviceSteps(settings, `${run.service}: ${reason}`);
  const { rollBackService } = cleanupSteps(settings, `${run.service}: back from ${to.version}`);
  /** Null where nothing unhealthy was undone. What breaks off the next reconcile tries again; until then nobody knows what runs. */
  const back = async (): Promise<Told | null> => {
    try {
      return undoing(await CancellationScope.nonCancellable(() => rollBackService(run)));
    } catch (error) {
      const why = `${to.version} is to be undone, and that broke off: ${reasonOf(error)}`;
      return told('error', why, { down: true });
    }
  };
  try {
    const done = await upgradeService({ run, to });
    if (done.healthy) return told('upgraded', reason);
    const { why, evidence } = done;
    if (done.begun) return (await back()) ?? told('rolled-back', rolledBack(to, lastGood, why), { evidence });
    const untouched = `${to.version} cannot be deployed: ${why}; nothing was touched`;
    return told('rolled-back', untouched, { evidence });
  } catch (error) {
    // Nothing is known of what broke off, and what it began is undone.
    const failed = await back();
    if (failed !== null) return failed;
    throw error;
  }
}

function show({ services }: ReconcileResult): void {
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.ServiceOutcome, value: [...new Set(services.map(({ outcome }) => outcome))] },
  ]);
  setCurrentDetails(
    services
      .map(({ service, outcome, why, held }) =>
        [
          `## ${quotableMarkdown(service)}: ${outcome}`,
          quotableMarkdown(why),
          ...(held === null
            ? []
            : [`Waits for the update \`approve\` with \`${held}\`, until the next reconcile.`]),
        ].join('\n\n'),
      )
      .join('\n\n'),
  );
}
