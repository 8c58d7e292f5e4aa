import type { App } from '../domain/app.ts';
import { planBackup } from '../domain/backup-plan.ts';
import { Fault } from '../domain/fault.ts';
import type { StackRef } from '../domain/lifetime.ts';
import { runShortName, stackName, warmDomain } from '../domain/names.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { isSame, type Release } from '../domain/release.ts';
import { runName } from '../domain/run.ts';
import { decideOnService, type ServiceDecision, type ServiceSeen } from '../domain/service.ts';
import { compareVersions } from '../domain/version.ts';
import type { Deployment, Occasion } from '../host/deploy/deployer.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { LastGood } from '../host/store/services.ts';
import type { Tools } from '../host/tools.ts';
import { prepareApp, removeCheckouts, type PreparedApp } from './app.ts';
import { holdingHost, type HostAttempt } from './attempt.ts';
import { runChecks } from './custom.ts';
import { syncMirror } from './mirror-sync.ts';
import type { World } from './world.ts';

/** One service of a reconcile. */
export interface ServiceRun {
  service: string;
  /** The reconcile's workflow: its ID and first run ID. */
  asked: { id: string; runId: string };
}

/** What was found of a service, and what is to be done about it. */
export interface ServiceObserved {
  decision: ServiceDecision;
  lastGood: Release | null;
  /** What was undone first, since an earlier reconcile had begun it and not ended it; null when nothing was. */
  undone: Undone | null;
}

/** What came of going back to the last-good release. */
export type Undone =
  /** `why` it was gone back from, where the release was found unhealthy; null where it was merely not ended. */
  | { back: true; from: Release; to: Release | null; why: string | null; evidence: string | null }
  | { back: false; from: Release; to: Release | null; why: string; evidence: string };

/** What came of taking a service to a release. */
export type ServiceUpgraded =
  | { healthy: true }
  /** `begun`: something of the service was changed, and is to be undone. */
  | { healthy: false; begun: boolean; why: string; evidence: string };

/** How long a service that does not answer is asked again, in milliseconds: one that restarts is not down. */
export const PATIENCE_MS = 60_000;

/** A service as one attempt of its reconcile has it. */
export interface Opened {
  run: ServiceRun;
  attempt: HostAttempt;
  settings: RecipeSettings;
  lastGood: LastGood | null;
  ref: StackRef;
  /** Those that may change it. */
  tools: Tools;
}

/** Runs a step of a service's reconcile, or of an order for it, with the tools that may change the service. */
export async function withService<T>(
  world: World,
  run: ServiceRun,
  step: string,
  body: (opened: Opened) => Promise<T>,
): Promise<T> {
  const { service, asked } = run;
  const holder = { workflowId: asked.id, runId: asked.runId, what: 'reconcile' };
  return holdingHost(world, [holder], `${service}: ${step}`, async (attempt) =>
    body(await openService(world, attempt, run)),
  );
}

export function reconcile(world: World) {
  return {
    /**
     * Ends what an earlier reconcile began, brings the mirror to upstream, looks at what runs, and decides. Throws Fault
     * BadInput for a recipe that is no live service.
     */
    async observeService(run: ServiceRun): Promise<ServiceObserved> {
      return withService(world, run, 'observe', async (opened) => {
        const undone = await goBack(world, opened);
        const { service } = run;
        const { attempt } = opened;
        const { releases } = await syncMirror(world, attempt, service, null);
        // Also of a service that was just found, in what was undone.
        const lastGood = await world.services.lastGood(service);
        const passed = releases.filter(
          ({ version }) => lastGood !== null && compareVersions(version, lastGood.version) > 0,
        );
        attempt.report(`reading the notes of ${passed.length} releases`);
        const notes = await world.mirrorsFor(attempt.commands).releaseNotes(service, passed);
        const { approved, hold, rolledBack, stopped } = await world.services.orders(service);
        const decision = decideOnService({
          seen: await look(world, { ...opened, lastGood }),
          lastGood,
          releases,
          notes,
          approved: approved?.version ?? null,
          rolledBack: rolledBack?.version ?? null,
          hold: hold?.reason ?? opened.settings.hold,
          stopped: stopped?.why ?? null,
        });
        return { decision, lastGood: lastGood && releaseOf(lastGood), undone };
      });
    },

    /** Deploys the last-good release again, as it was. */
    async recoverService(run: ServiceRun): Promise<ServiceUpgraded> {
      return withService(world, run, 'recover', async (opened) => {
        const good = required(opened.lastGood, run.service);
        const app = await appOf(world, opened, good, 'recover', good);
        const deployed = await deployAndCheck(world, opened, app, 'restart');
        await removeCheckouts(world, app.stack);
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
      return withService(world, run, `upgrade to ${to.version}`, async (opened) => upgrade(world, opened, to));
    },

    /** Puts the service back to its last-good release, data and all, where a change of it was begun. */
    async rollBackService(run: ServiceRun): Promise<Undone | null> {
      return withService(world, run, 'roll back', async (opened) => goBack(world, opened));
    },
  };
}

function releaseOf({ version, commit }: Release): Release {
  return { version, commit };
}

async function openService(world: World, attempt: HostAttempt, run: ServiceRun): Promise<Opened> {
  const { service } = run;
  const settings = await world.recipes.one(service);
  if (!settings.live) {
    throw new Fault('BadInput', `${service} is no live service: its recipe.yml does not say "live: true"`);
  }
  const lastGood = await world.services.lastGood(service);
  const stack = stackName(warmDomain(service, world.config.zone));
  const tools = attempt.reconciling({ stack, adopted: lastGood !== null });
  return { run, attempt, settings, lastGood, ref: { stack, lifetime: 'live' }, tools };
}

function required(lastGood: LastGood | null, service: string): LastGood {
  if (lastGood !== null) return lastGood;
  throw new Fault('BadInput', `${service} was never healthy under our eyes: there is nothing to go back to`);
}

/** A release of the service, ready to be deployed at its domain; as it was where it ran before. */
export async function appOf(
  world: World,
  { run, attempt, lastGood }: Pick<Opened, 'run' | 'attempt' | 'lastGood'>,
  release: Release,
  step: string,
  as: LastGood | null,
): Promise<PreparedApp> {
  const { service, asked } = run;
  const app = await prepareApp(
    world,
    attempt,
    {
      run: { recipe: service, asked },
      recipe: service,
      step,
      domain: warmDomain(service, world.config.zone),
      lifetime: 'live',
      dependencies: [],
      upgraded: lastGood !== null,
    },
    releaseOf(release),
  );
  return as === null ? app : { ...app, env: as.env, written: as.env, provenImages: as.images };
}

/** Deploys, judges, and has the service's own checks say that it is healthy. */
async function deployAndCheck(
  world: World,
  { tools, attempt }: Pick<Opened, 'tools' | 'attempt'>,
  app: App,
  occasion: Occasion,
): Promise<Deployment> {
  const deployed = await tools.deployer.deploy(app, occasion);
  passBoundary('reconcile.after-deploy');
  if (!deployed.ok) return deployed;
  const checked = await runChecks(world, { scripts: tools.scripts, report: attempt.report }, app);
  passBoundary('reconcile.after-gate');
  if (checked.result !== 'fail') return deployed;
  return { ok: false, reason: checked.reason, evidence: checked.evidence };
}

/** What is there at the service's domain. */
async function look(world: World, opened: Opened): Promise<ServiceSeen> {
  const { tools, lastGood, ref } = opened;
  const found = await tools.stacks.deployed(ref.stack);
  if (found === null) return { is: 'nothing' };
  const { version } = found;
  // Of what nobody looks after, and of what another deployed, it says nothing whether it serves.
  if (lastGood === null || version !== lastGood.version) return { is: 'up', version };
  const app = await appOf(world, opened, lastGood, 'observe', lastGood);
  try {
    const serves = await tools.stacks.serves(app, PATIENCE_MS);
    return { is: serves.ok ? 'up' : 'down', version };
  } finally {
    await removeCheckouts(world, app.stack);
  }
}

async function upgrade(world: World, opened: Opened, to: Release): Promise<ServiceUpgraded> {
  const { run, attempt, settings, lastGood, ref, tools } = opened;
  const { service, asked } = run;
  const { services, config } = world;
  const mirrors = world.mirrorsFor(attempt.commands);
  if (lastGood !== null && isSame(lastGood, to) && lastGood.run === runName({ recipe: service, asked })) {
    // An earlier attempt came as far as its commit point.
    await ended(world, opened, to.commit);
    return { healthy: true };
  }
  // An earlier attempt may have got anywhere before it.
  await goBack(world, opened);

  const app = await appOf(world, opened, to, `upgrade to ${to.version}`, null);
  const refuse = (why: string, evidence = app.evidence): ServiceUpgraded => ({
    healthy: false,
    begun: false,
    why,
    evidence,
  });
  const ready = await tools.deployer.makeReady(app);
  if (!ready.ok) return refuse(ready.reason, ready.evidence);
  const stateful = settings.stateful ?? (await keepsData(tools, app));
  const folder = services.snapshotsFolder(service);
  if (stateful && lastGood !== null) {
    const elsewhere = await tools.stacks.keptElsewhere(app);
    if (elsewhere.length > 0)
      return refuse(`a snapshot cannot hold what is kept elsewhere than on this host: ${elsewhere.join(', ')}`);
    const tight = await tools.data.noRoom(folder, ref.stack);
    if (tight !== null) throw new Fault('Disk', tight);
  }
  if (!(await mirrors.keep(service, to.commit))) return refuse(`its commit ${to.commit} is not there to be kept`);

  const begun = {
    ts: world.now().toISOString(),
    run: asked.id,
    to: releaseOf(to),
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
    const ts = world.now().toISOString();
    await services.order(service, { rolledBack: { version: to.version, why, evidence, ts } });
    await services.begin(service, { ...begun, snapshot, unhealthy: { why, evidence } });
    passBoundary('reconcile.after-verdict');
    return { healthy: false, begun: true, why, evidence };
  }
  await services.commit({
    schema: 1,
    service,
    ...releaseOf(to),
    ts: world.now().toISOString(),
    run: runName({ recipe: service, asked }),
    domain: warmDomain(service, config.zone),
    env: app.written,
    images: deployed.images,
  });
  await ended(world, opened, to.commit);
  return { healthy: true };
}

/** Whether a backup of it would hold anything. */
async function keepsData(tools: Tools, app: App): Promise<boolean> {
  const volumes = await tools.stacks.volumes(app.stack);
  const { ofRelease } = await tools.stacks.services(app);
  return planBackup(app.stack, ofRelease, volumes).is !== 'not asked';
}

/**
 * Ends what was begun: of a change that came as far as its commit point what is left over goes; of any other the
 * last-good release is put back, with the data from before. Null when nothing was begun.
 */
async function goBack(world: World, opened: Opened): Promise<Undone | null> {
  const { run, attempt, lastGood, ref, tools } = opened;
  const { service } = run;
  const { services } = world;
  const begun = await services.underway(service);
  if (begun === null) return null;
  const { to, snapshot, stateful, unhealthy } = begun;
  if (lastGood !== null && isSame(lastGood, to)) {
    await ended(world, opened, lastGood.commit);
    return null;
  }
  attempt.report(`going back from ${to.version}`);
  const why = unhealthy?.why ?? null;
  const back: Undone = {
    back: true,
    from: to,
    to: lastGood && releaseOf(lastGood),
    why,
    evidence: unhealthy?.evidence ?? null,
  };
  if (lastGood === null) {
    // Nothing was there before, so nothing is to be there now.
    await tools.deployer.remove(ref);
    await ended(world, opened, null);
    return back;
  }
  if (stateful) {
    await tools.deployer.undeploy(ref);
    passBoundary('reconcile.after-undeploy');
    if (snapshot !== null) {
      const folder = services.snapshotsFolder(service);
      attempt.report(`verifying snapshot ${snapshot.id}`);
      const manifest = await tools.snapshots.verify(folder, snapshot);
      attempt.report(`restoring snapshot ${snapshot.id}`);
      await attempt.guard();
      await tools.data.putBack(folder, manifest, ref);
      passBoundary('reconcile.after-put-back');
    }
  }
  const app = await appOf(world, opened, lastGood, 'roll back', lastGood);
  const deployed = await deployAndCheck(world, opened, app, 'restart');
  await attempt.guard();
  if (!deployed.ok) {
    const failed = `${lastGood.version}, which was healthy before ${to.version}, is not: ${deployed.reason}`;
    await services.order(service, { stopped: { why: failed, ts: world.now().toISOString() } });
    return { back: false, from: to, to: releaseOf(lastGood), why: failed, evidence: deployed.evidence };
  }
  await ended(world, opened, lastGood.commit);
  return back;
}

/** Nothing is to be undone any more: what only that was for goes. */
async function ended(world: World, { run, attempt, ref, tools }: Opened, commit: string | null): Promise<void> {
  const { service } = run;
  const { services } = world;
  const begun = await services.underway(service);
  await attempt.guard();
  // That of the last upgrade stays, for an operator who wants to go back by hand.
  await tools.snapshots.prune(services.snapshotsFolder(service), begun?.snapshot?.id ?? null);
  await services.end(service);
  passBoundary('reconcile.after-end');
  await world.mirrorsFor(attempt.commands).keepOnly(service, commit);
  await removeCheckouts(world, ref.stack);
}
