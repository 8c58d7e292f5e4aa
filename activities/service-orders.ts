import type { App } from '../domain/app.ts';
import { Fault } from '../domain/fault.ts';
import { warmDomain } from '../domain/names.ts';
import { runName } from '../domain/run.ts';
import type { ServiceOrder } from '../domain/service.ts';
import { compareVersions } from '../domain/version.ts';
import type { LastGood } from '../host/store/services.ts';
import { asItWas, removeCheckouts } from './app.ts';
import { runChecks } from './custom.ts';
import { syncMirror } from './mirror-sync.ts';
import {
  appOf,
  ended,
  PATIENCE_MS,
  runOf,
  strayVolumes,
  withService,
  type Opened,
  type ServiceRun,
} from './service.ts';
import type { World } from './world.ts';

export function serviceOrders(world: World) {
  return {
    /** Does what the operator says, and answers it in one sentence. Throws Fault BadInput where it cannot be meant. */
    async orderService({
      run,
      order,
      by,
    }: {
      run: ServiceRun;
      order: ServiceOrder;
      /** User and host. */
      by: string;
    }): Promise<string> {
      const { service } = run;
      const said = { by, ts: world.now().toISOString() };
      switch (order.order) {
        case 'adopt':
          return adopt(world, run);
        case 'approve':
          return approve(world, run, order.version, said);
        case 'hold':
          return withService(world, run, 'hold', async () => {
            await world.services.order(service, { hold: { reason: order.reason, ...said } });
            return `${service} is held: ${order.reason}; no reconcile touches it until: recipe-sweep service resume ${service}`;
          });
        case 'resume':
          return withService(world, run, 'resume', (opened) => resume(world, opened));
      }
    },
  };
}

/**
 * Ends a hold, and the stop after a rollback that failed: what was mended by hand stays as it is, and what was not is put
 * back by the next reconcile.
 */
async function resume(world: World, opened: Opened): Promise<string> {
  const { service } = opened.run;
  const { services } = world;
  const { hold, stopped } = await services.orders(service);
  if (hold === null && stopped === null) throw new Fault('BadInput', `${service} is not held`);
  const next = `recipe-sweep service reconcile ${service}`;
  let said = `${service} is looked after again, from its next reconcile on: ${next}`;
  if (stopped !== null && opened.lastGood !== null) {
    const { lastGood } = opened;
    const why = await whyNotAt(world, opened, lastGood);
    if (why === null) {
      await ended(world, opened, lastGood.commit);
      said = `${service} ${lastGood.version} is healthy, and looked after again`;
    } else {
      said = `${why}: the next reconcile puts ${service} back to ${lastGood.version}, with the data from before: ${next}`;
    }
  }
  await services.order(service, { hold: null, stopped: null });
  return said;
}

/** Why the service is not healthy at its last-good release; null when it is. */
async function whyNotAt(world: World, opened: Opened, lastGood: LastGood): Promise<string | null> {
  const found = await opened.tools.stacks.deployed(opened.ref.stack);
  if (found === null) return `nothing of ${lastGood.version} runs`;
  if (found.version !== lastGood.version) return `${found.version ?? 'what no label names'} runs`;
  const app = await asItWas(world, opened.attempt, runOf(opened.run), lastGood, 'resume');
  try {
    return await whyUnhealthy(world, opened, app);
  } finally {
    await removeCheckouts(world, app.stack);
  }
}

/** Why what runs is not healthy, and the file that has the rest where there is one; null when it is. */
async function whyUnhealthy(
  world: World,
  { tools, attempt }: Pick<Opened, 'tools' | 'attempt'>,
  app: App,
): Promise<string | null> {
  const what = `${app.recipe} ${app.version} is not healthy`;
  const serves = await tools.stacks.serves(app, PATIENCE_MS);
  if (!serves.ok) return `${what}: ${serves.reason}`;
  const checked = await runChecks(world, { scripts: tools.scripts, report: attempt.report }, app);
  return checked.result === 'fail' ? `${what}: ${checked.reason}; see ${checked.evidence}` : null;
}

/** Takes over what somebody deployed at the service's domain, touching nothing of it. */
async function adopt(world: World, run: ServiceRun): Promise<string> {
  const { service, asked } = run;
  return withService(world, run, 'adopt', async (opened) => {
    const { attempt, tools, ref, lastGood } = opened;
    const domain = warmDomain(service, world.config.zone);
    const found = await tools.stacks.deployed(ref.stack);
    if (found === null) {
      throw new Fault('BadInput', `nothing runs at ${domain}: there is no stack ${ref.stack} to adopt`);
    }
    const { version, images, volumes } = found;
    const stray = await strayVolumes(opened, volumes);
    if (stray !== null) throw new Fault('BadInput', stray);
    if (lastGood !== null && lastGood.version === version) {
      throw new Fault('BadInput', `${service} ${version} is looked after already`);
    }
    const { releases } = await syncMirror(world, attempt, service, null);
    const release = releases.find((one) => one.version === version);
    if (release === undefined) {
      const label = `coop-cloud.${ref.stack}.version`;
      const said =
        version === null ? `has no label ${label}` : `says ${label}=${version}, no release of ${service}`;
      throw new Fault('BadInput', `what runs as ${ref.stack} ${said}: deploy a release there first`);
    }
    const app = await appOf(world, { ...opened, lastGood: null }, release, 'adopt');
    try {
      const other = await tools.stacks.differences(app);
      if (other.length > 0) {
        throw new Fault(
          'BadInput',
          `what runs as ${ref.stack} is not what would be deployed: ${other.join('; ')}. Write what is to stay under "env" in recipes/${service}/recipe.yml`,
        );
      }
      const why = await whyUnhealthy(world, opened, app);
      if (why !== null) throw new Fault('BadInput', why);
      if (!(await world.mirrorsFor(attempt.commands).keep(service, release.commit)))
        throw new Fault(
          'MirrorSync',
          `the commit ${release.commit} of ${service} ${version} is not there to be kept`,
        );
      // What runs is right, says the operator: nothing is to be put back over it.
      await ended(world, opened, release.commit);
      await world.services.order(service, { approved: null, rolledBack: null, stopped: null });
      await attempt.guard();
      await world.services.commit({
        schema: 1,
        service,
        version: release.version,
        commit: release.commit,
        ts: world.now().toISOString(),
        run: runName(runOf(run)),
        domain,
        env: app.written,
        images,
        volumes,
      });
      await world.services.tell(service, {
        ts: world.now().toISOString(),
        run: asked.id,
        outcome: 'adopted',
        why: `${release.version} runs at ${domain}, deployed by somebody else`,
        version: release.version,
      });
      return `${service} ${version} at ${domain} is looked after from now on; nothing of it was touched`;
    } finally {
      await removeCheckouts(world, app.stack);
    }
  });
}

async function approve(
  world: World,
  run: ServiceRun,
  version: string,
  said: { by: string; ts: string },
): Promise<string> {
  const { service } = run;
  return withService(world, run, 'approve', async ({ attempt, lastGood }) => {
    const { releases } = await syncMirror(world, attempt, service, null);
    const latest = releases.at(-1)?.version ?? null;
    if (version !== latest) {
      const is = latest === null ? 'has no release' : `is at ${latest}`;
      throw new Fault('BadInput', `${service} ${is}: ${version} cannot be approved`);
    }
    if (lastGood !== null && compareVersions(lastGood.version, version) >= 0) {
      return `${service} is at ${lastGood.version} already`;
    }
    await world.services.order(service, { approved: { version, ...said } });
    return `${service} ${version} is approved`;
  });
}
