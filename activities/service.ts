import path from 'node:path';
import type { App } from '../domain/app.ts';
import { Fault } from '../domain/fault.ts';
import type { StackRef } from '../domain/lifetime.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { isSame, type Release } from '../domain/release.ts';
import type { NamedRun } from '../domain/run.ts';
import type { Deployment, Occasion } from '../host/deploy/deployer.ts';
import { STACK_LABEL } from '../host/engine/stack-label.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { LastGood } from '../host/store/services.ts';
import type { Tools } from '../host/tools.ts';
import { asItWas, prepareApp, removeCheckouts, type PreparedApp } from './app.ts';
import { holdingHost, type HostAttempt } from './attempt.ts';
import { runChecks } from './custom.ts';
import type { World } from './world.ts';

/** What every step about a live service has in common. */

/** One service of a reconcile. */
export interface ServiceRun {
  service: string;
  /** The reconcile's workflow: its ID and first run ID. */
  asked: { id: string; runId: string };
}

/** What came of going back to the last-good release. */
export type Undone =
  /** `why` it was gone back from, where the release was found unhealthy; null where it was merely not ended. */
  | { back: true; from: Release; to: Release | null; why: string | null; evidence: string | null }
  | { back: false; from: Release; to: Release | null; why: string; evidence: string };

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

export function releaseOf({ version, commit }: Release): Release {
  return { version, commit };
}

export async function openService(world: World, attempt: HostAttempt, run: ServiceRun): Promise<Opened> {
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

/** What its evidence and records are called by. */
export function runOf({ service, asked }: ServiceRun): NamedRun {
  return { recipe: service, asked };
}

/** A release of the service, ready to be deployed at its domain. */
export async function appOf(
  world: World,
  { run, attempt, lastGood }: Pick<Opened, 'run' | 'attempt' | 'lastGood'>,
  release: Release,
  step: string,
): Promise<PreparedApp> {
  const { service } = run;
  const domain = warmDomain(service, world.config.zone);
  const upgraded = lastGood !== null;
  const where = { recipe: service, step, domain, lifetime: 'live', dependencies: [], upgraded } as const;
  return prepareApp(world, attempt, { run: runOf(run), ...where }, releaseOf(release));
}

/** Deploys, judges, and has the service's own checks say that it is healthy. */
export async function deployAndCheck(
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

/** Deploys the last-good release as it was. Not ok, and nothing deployed, where a volume that it had is gone. */
export async function deployAsItWas(
  world: World,
  opened: Opened,
  lastGood: LastGood,
  step: string,
): Promise<Deployment> {
  const app = await asItWas(world, opened.attempt, runOf(opened.run), lastGood, step);
  const there = (await opened.tools.stacks.volumes(app.stack)).map(({ name }) => name);
  const gone = lastGood.volumes.filter((name) => !there.includes(name));
  if (gone.length === 0) return deployAndCheck(world, opened, app, 'restart');
  const reason = `what it had in ${gone.join(', ')} is gone, and without it ${app.recipe} would come up empty: put the volumes back`;
  return { ok: false, reason, evidence: app.evidence };
}

/** Of the volumes that a service has mounted those that are not labelled as its stack's: no snapshot would have them. */
export async function strayVolumes(
  { tools, ref }: Pick<Opened, 'tools' | 'ref'>,
  mounted: readonly string[],
): Promise<string | null> {
  const ours = (await tools.stacks.volumes(ref.stack)).map(({ name }) => name);
  const stray = mounted.filter((name) => !ours.includes(name));
  if (stray.length === 0) return null;
  return `its volumes ${stray.join(', ')} lack the label ${STACK_LABEL}=${ref.stack}, so that no snapshot would have them: make them anew with it, and copy what is in them`;
}

/**
 * Ends what was begun: of a change that came as far as its commit point what is left over goes; of any other the
 * last-good release is put back, with the data from before. Null when nothing was begun. Touches nothing where that failed
 * before: since then somebody may have mended it by hand.
 */
export async function goBack(world: World, opened: Opened): Promise<Undone | null> {
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
  const { stopped } = await services.orders(service);
  if (stopped !== null) {
    const was = lastGood && releaseOf(lastGood);
    return { back: false, from: to, to: was, why: stopped.why, evidence: stopped.evidence };
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
    if (!begun.fresh) {
      throw new Fault(
        'RecordUnreadable',
        `a change of ${service} to ${to.version} was begun, and the record of what it was before is gone: put back a good copy of last-good.json in ${path.dirname(services.snapshotsFolder(service))}`,
      );
    }
    await tools.deployer.remove(ref);
    await ended(world, opened, null);
    return back;
  }
  if (stateful) {
    const folder = services.snapshotsFolder(service);
    let manifest = null;
    if (snapshot !== null) {
      attempt.report(`verifying snapshot ${snapshot.id}`);
      manifest = await tools.snapshots.verify(folder, snapshot);
    }
    await tools.deployer.undeploy(ref);
    passBoundary('reconcile.after-undeploy');
    if (snapshot !== null && manifest !== null) {
      attempt.report(`restoring snapshot ${snapshot.id}`);
      await attempt.guard();
      await tools.data.putBack(folder, manifest, ref);
      passBoundary('reconcile.after-put-back');
    }
  }
  const deployed = await deployAsItWas(world, opened, lastGood, 'roll back');
  await attempt.guard();
  if (!deployed.ok) {
    const failed = `${lastGood.version}, which was healthy before ${to.version}, is not: ${deployed.reason}`;
    const { evidence } = deployed;
    await services.order(service, { stopped: { why: failed, evidence, ts: world.now().toISOString() } });
    passBoundary('reconcile.after-verdict');
    return { back: false, from: to, to: releaseOf(lastGood), why: failed, evidence };
  }
  await ended(world, opened, lastGood.commit);
  return back;
}

/** Nothing is to be undone any more: what only that was for goes. */
export async function ended(
  world: World,
  { run, attempt, ref, tools }: Opened,
  commit: string | null,
): Promise<void> {
  const { service } = run;
  const { services } = world;
  const begun = await services.underway(service);
  await attempt.guard();
  // That of the last upgrade stays, for an operator who wants to go back by hand.
  const last = begun?.snapshot ?? null;
  if (last !== null) await tools.snapshots.prune(services.snapshotsFolder(service), last.id);
  await world.mirrorsFor(attempt.commands).keepOnly(service, commit);
  await removeCheckouts(world, ref.stack);
  await services.end(service);
  passBoundary('reconcile.after-end');
}
