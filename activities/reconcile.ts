import type { AlertKind } from '../domain/alert.ts';
import type { App } from '../domain/app.ts';
import { planBackup } from '../domain/backup-plan.ts';
import { Fault } from '../domain/fault.ts';
import { runShortName, warmDomain } from '../domain/names.ts';
import { isSame, type Release } from '../domain/release.ts';
import { runName, type SweepSettings } from '../domain/run.ts';
import {
  decideOnService,
  servicesAmong,
  type ServiceDecision,
  type ServiceOutcome,
  type ServiceSeen,
} from '../domain/service.ts';
import { compareVersions } from '../domain/version.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { LastGood } from '../host/store/services.ts';
import type { Tools } from '../host/tools.ts';
import { asItWas, removeCheckouts } from './app.ts';
import { runChecks } from './custom.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import { holdingHost, inAttempt } from './attempt.ts';
import { syncMirror } from './mirror-sync.ts';
import { refuseForeignWorker, refuseWithoutTools, settingsOf } from './preflight.ts';
import { reapLeftovers } from './reap.ts';
import {
  appOf,
  deployAndCheck,
  deployAsItWas,
  ended,
  goBack,
  PATIENCE_MS,
  releaseOf,
  runOf,
  strayVolumes,
  withService,
  type Opened,
  type ServiceRun,
  type Undone,
} from './service.ts';
import type { World } from './world.ts';

/** What was found of a service, and what is to be done about it. */
export interface ServiceObserved {
  decision: ServiceDecision;
  lastGood: Release | null;
  /** What was undone first, since an earlier reconcile had begun it and not ended it; null when nothing was. */
  undone: Undone | null;
}

/** What came of taking a service to a release. */
export type ServiceUpgraded =
  | { healthy: true }
  /** `begun`: something of the service was changed, and is to be undone. */
  | { healthy: false; begun: boolean; why: string; evidence: string };

export function reconcile(world: World) {
  return {
    /**
     * Takes the host, and reaps what crashes left. Answers the services among those wanted, all of them where none is
     * named, a proxy before those behind it. Throws HostBusy, or BadInput for what is no live service.
     */
    async openReconcile({
      services: wanted,
      holder,
    }: {
      services: string[] | null;
      holder: Holder;
    }): Promise<{ services: string[]; settings: SweepSettings }> {
      return holdingHost(world, [holder], 'preflight', async (attempt) => {
        // What a sweep must have first, such as room, is asked for where it is needed: to bring back what is down is not held
        // up by it.
        await refuseForeignWorker(world);
        const all = servicesAmong(await world.recipes.all(), await world.services.list());
        const wrong = (wanted ?? []).filter((name) => !all.includes(name));
        if (wrong.length > 0) {
          const known = all.length === 0 ? 'none' : all.join(', ');
          throw new Fault('BadInput', `no live service: ${wrong.join(', ')}; those are: ${known}`);
        }
        await reapLeftovers(world, attempt, holder.workflowId);
        const services = all.filter((name) => wanted === null || wanted.includes(name));
        return { services, settings: settingsOf(world) };
      });
    },

    /**
     * Ends what an earlier reconcile began, looks at what runs, brings the mirror to upstream, and decides. Throws Fault
     * BadInput for a recipe that is no live service.
     */
    async observeService(run: ServiceRun): Promise<ServiceObserved> {
      return withService(world, run, 'observe', async (opened) => {
        const undone = await goBack(world, opened);
        const { service } = run;
        const { attempt } = opened;
        // Also of a service that was just found, in what was undone.
        const lastGood = await world.services.lastGood(service);
        const { approved, hold, rolledBack, stopped } = await world.services.orders(service);
        const known = {
          seen: await look(world, { ...opened, lastGood }),
          lastGood,
          approved: approved?.version ?? null,
          rolledBack: rolledBack?.version ?? null,
          hold: hold?.reason ?? opened.settings.hold,
          stopped: stopped?.why ?? null,
        };
        let decision = decideOnService({ ...known, releases: [], notes: new Map() });
        // What is down comes up again as it was, whether or not upstream can be reached.
        if (decision.decision !== 'recover') {
          const { releases } = await syncMirror(world, attempt, service, null);
          const passed = releases.filter(
            ({ version }) => lastGood !== null && compareVersions(version, lastGood.version) > 0,
          );
          attempt.report(`reading the notes of ${passed.length} releases`);
          const notes = await world.mirrorsFor(attempt.commands).releaseNotes(service, passed);
          decision = decideOnService({ ...known, releases, notes });
        }
        if (decision.decision === 'upgrade' || decision.decision === 'install') {
          await refuseWithoutTools(world, service);
        }
        return { decision, lastGood: lastGood && releaseOf(lastGood), undone };
      });
    },

    /** Deploys the last-good release again, as it was. */
    async recoverService(run: ServiceRun): Promise<ServiceUpgraded> {
      return withService(world, run, 'recover', async (opened) => {
        const good = required(opened.lastGood, run.service);
        const deployed = await deployAsItWas(world, opened, good, 'recover');
        await removeCheckouts(world, opened.ref.stack);
        return deployed.ok
          ? { healthy: true }
          : { healthy: false, begun: false, why: deployed.reason, evidence: deployed.evidence };
      });
    },

    /**
     * Takes the service to a release: with data, undeploys it, takes a snapshot and deploys the release over the data;
     * else deploys it in place. Healthy, it is the last-good one from then on. What is known to fail before anything of
     * the service is changed is answered so.
     */
    async upgradeService({ run, to }: { run: ServiceRun; to: Release }): Promise<ServiceUpgraded> {
      return withService(world, run, `upgrade to ${to.version}`, async (opened) =>
        upgrade(world, opened, to),
      );
    },

    /**
     * Puts on record what was done about a service, and tells who must know. Answers the version that is healthy there,
     * null where none is known to be.
     */
    async tellService({
      run,
      outcome,
      why,
      evidence,
      notes,
      down,
    }: {
      run: ServiceRun;
      outcome: ServiceOutcome;
      why: string;
      evidence: string | null;
      notes: string | null;
      /** It is not healthy, as far as anybody knows. */
      down: boolean;
    }): Promise<string | null> {
      const { service, asked } = run;
      return inAttempt(world, async () => {
        const good = (await world.services.lastGood(service))?.version ?? null;
        const version = UNHEALTHY.has(outcome) ? null : good;
        const ts = world.now().toISOString();
        await world.services.tell(service, { ts, run: asked.id, outcome, why, version });
        const subject = { is: 'recipe', name: service } as const;
        const kind = down ? 'service-down' : (ALERTS[outcome] ?? null);
        if (kind !== null) {
          const message = notes === null ? why : `${why}\n\n${notes}`;
          await raiseAlert(world, { kind, subject, message, evidence, run: asked.id });
        }
        // What an error left nobody knows, but that it is not healthy where it says so.
        if ((outcome === 'error' && !down) || outcome === 'held') return version;
        const { rolledBack } = await world.services.orders(service);
        // What was rolled back is to be seen to while the service is at the one before, whoever could tell of it then.
        if (rolledBack !== null && good !== null && compareVersions(rolledBack.version, good) > 0) {
          const message = `${rolledBack.version} is unhealthy: ${rolledBack.why}; ${good} is there as before`;
          const about = { subject, message, evidence: rolledBack.evidence, run: asked.id };
          await raiseAlert(world, { kind: 'service-rolled-back', ...about });
        } else await endAlert(world, 'service-rolled-back', subject);
        for (const other of OF_OUTCOMES) {
          if (other !== kind) await endAlert(world, other, subject);
        }
        return version;
      });
    },

    /** Puts the service back to its last-good release, data and all, where a change of it was begun. */
    async rollBackService(run: ServiceRun): Promise<Undone | null> {
      return withService(world, run, 'roll back', async (opened) => goBack(world, opened));
    },
  };
}

/** Which alert tells of an outcome. */
const ALERTS: Partial<Record<ServiceOutcome, AlertKind>> = {
  'held-major': 'service-held',
  'held-manual-migration': 'service-held',
  'rollback-failed': 'service-down',
  error: 'service-not-reconciled',
  'not-adopted': 'service-not-adopted',
};
const OF_OUTCOMES = new Set<AlertKind>([...Object.values(ALERTS), 'service-down']);

/** Where nothing is known to be healthy. */
const UNHEALTHY = new Set<ServiceOutcome>(['rollback-failed', 'not-deployed', 'not-adopted', 'error']);

function required(lastGood: LastGood | null, service: string): LastGood {
  if (lastGood !== null) return lastGood;
  throw new Fault('BadInput', `${service} was never healthy under our eyes: there is nothing to go back to`);
}

/** What is there at the service's domain. */
async function look(world: World, opened: Opened): Promise<ServiceSeen> {
  const { tools, lastGood, ref } = opened;
  const found = await tools.stacks.deployed(ref.stack);
  if (found === null) return { is: 'nothing' };
  const { version } = found;
  // Of what nobody looks after, and of what another deployed, it says nothing whether it serves.
  if (lastGood === null || version !== lastGood.version) return { is: 'up', version };
  const app = await asItWas(world, opened.attempt, runOf(opened.run), lastGood, 'observe');
  try {
    const serves = await tools.stacks.serves(app, PATIENCE_MS);
    if (!serves.ok) return { is: 'down', version };
    // A check may fail of a moment; what fails twice is not well.
    for (let times = 0; times < 2; times++) {
      const checked = await runChecks(world, { scripts: tools.scripts, report: opened.attempt.report }, app);
      if (checked.result !== 'fail') return { is: 'up', version };
    }
    return { is: 'down', version };
  } finally {
    await removeCheckouts(world, app.stack);
  }
}

async function upgrade(world: World, opened: Opened, to: Release): Promise<ServiceUpgraded> {
  const { run, attempt, settings, lastGood, ref, tools } = opened;
  const { service, asked } = run;
  const { services, config } = world;
  const mirrors = world.mirrorsFor(attempt.commands);
  if (lastGood !== null && isSame(lastGood, to) && lastGood.run === runName(runOf(run))) {
    // An earlier attempt came as far as its commit point.
    await reached(world, opened, to);
    return { healthy: true };
  }
  // An earlier attempt may have got anywhere before it.
  const undone = await goBack(world, opened);
  if (undone?.back === false)
    return { healthy: false, begun: true, why: undone.why, evidence: undone.evidence };

  const app = await appOf(world, opened, to, `upgrade to ${to.version}`);
  /** An approval has had its try. */
  const notAgain = (why: string, evidence: string): Promise<void> => {
    const ts = world.now().toISOString();
    return services.order(service, {
      approved: null,
      rolledBack: { version: to.version, why, evidence, ts },
    });
  };
  const refuse = async (why: string, evidence = app.evidence): Promise<ServiceUpgraded> => {
    await notAgain(why, evidence);
    await removeCheckouts(world, app.stack);
    return { healthy: false, begun: false, why, evidence };
  };
  const ready = await tools.deployer.makeReady(app);
  if (!ready.ok) return refuse(ready.reason, ready.evidence);
  const stateful = settings.stateful ?? (await keepsData(tools, app));
  const folder = services.snapshotsFolder(service);
  const found = await tools.stacks.deployed(ref.stack);
  const stray = await strayVolumes(opened, found?.volumes ?? []);
  if (stray !== null) throw new Fault('BadInput', stray);
  if (lastGood === null) {
    const kept = [
      ...(await tools.stacks.volumes(ref.stack)).map(({ name }) => name),
      ...(await tools.stacks.secrets(ref.stack)),
    ];
    if (kept.length > 0) {
      throw new Fault(
        'BadInput',
        `of an earlier ${service} there are ${kept.join(', ')}: deploy it by hand, and have it adopted; or remove them`,
      );
    }
  }
  if (stateful && lastGood !== null) {
    const elsewhere = await tools.stacks.keptElsewhere(app);
    if (elsewhere.length > 0)
      return refuse(
        `a snapshot cannot hold what is kept elsewhere than on this host: ${elsewhere.join(', ')}`,
      );
    const { tight } = await tools.data.roomFor(folder, ref.stack);
    if (tight !== null) throw new Fault('Disk', tight);
  }
  if (!(await mirrors.keep(service, to.commit)))
    return refuse(`its commit ${to.commit} is not there to be kept`);

  const begun = {
    ts: world.now().toISOString(),
    run: asked.id,
    to: releaseOf(to),
    fresh: lastGood === null,
    stateful,
    snapshot: null,
    unhealthy: null,
  };
  await attempt.guard();
  await services.begin(service, begun);
  passBoundary('reconcile.after-begin');
  let snapshot = null;
  if (stateful && lastGood !== null) {
    attempt.report('undeploying, keeping volumes');
    await tools.deployer.undeploy(ref);
    passBoundary('reconcile.after-undeploy');
    const id = `${runShortName(service, asked.runId)}-${attempt.generation}`;
    attempt.report(`taking snapshot ${id}`);
    snapshot = await tools.data.snapshot(folder, id, service, ref.stack);
    await attempt.guard();
    await services.begin(service, { ...begun, snapshot });
    passBoundary('reconcile.after-snapshot');
  }
  attempt.report(`deploying ${to.version}`);
  const deployed = await deployAndCheck(world, opened, app, lastGood === null ? 'deploy' : 'upgrade');
  await attempt.guard();
  if (!deployed.ok) {
    const { reason: why, evidence } = deployed;
    // First what is not tried again: whoever comes next must know it, also when this dies over the rollback.
    await notAgain(why, evidence);
    await services.begin(service, { ...begun, snapshot, unhealthy: { why, evidence } });
    passBoundary('reconcile.after-verdict');
    return { healthy: false, begun: true, why, evidence };
  }
  await services.commit({
    schema: 1,
    service,
    ...releaseOf(to),
    ts: world.now().toISOString(),
    run: runName(runOf(run)),
    domain: warmDomain(service, config.zone),
    env: app.written,
    images: deployed.images,
    volumes: (await tools.stacks.deployed(ref.stack))?.volumes ?? [],
  });
  await reached(world, opened, to);
  return { healthy: true };
}

/** What was said of the versions on the way there has been done, or is past. */
async function reached(world: World, opened: Opened, to: Release): Promise<void> {
  await world.services.order(opened.run.service, { approved: null, rolledBack: null });
  await ended(world, opened, to.commit);
}

/** Whether a backup of it would hold anything. */
async function keepsData(tools: Tools, app: App): Promise<boolean> {
  const volumes = await tools.stacks.volumes(app.stack);
  const { ofRelease } = await tools.stacks.services(app);
  return planBackup(app.stack, ofRelease, volumes).is !== 'not asked';
}
