import { Fault } from '../domain/fault.ts';
import { warmDomain } from '../domain/names.ts';
import { runName } from '../domain/run.ts';
import type { ServiceOrder } from '../domain/service.ts';
import { compareVersions } from '../domain/version.ts';
import { removeCheckouts } from './app.ts';
import { runChecks } from './custom.ts';
import { syncMirror } from './mirror-sync.ts';
import { appOf, PATIENCE_MS, withService, type ServiceRun } from './service.ts';
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
          return withService(world, run, 'resume', async () => {
            const { hold, stopped } = await world.services.orders(service);
            if (hold === null && stopped === null) throw new Fault('BadInput', `${service} is not held`);
            await world.services.order(service, { hold: null, stopped: null });
            return `${service} is looked after again, from its next reconcile on: recipe-sweep service reconcile ${service}`;
          });
      }
    },
  };
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
    const { version, images } = found;
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
    const app = await appOf(world, { ...opened, lastGood: null }, release, 'adopt', null);
    try {
      const other = await tools.stacks.differences(app);
      if (other.length > 0) {
        throw new Fault(
          'BadInput',
          `what runs as ${ref.stack} is not what would be deployed: ${other.join('; ')}. Write what is to stay under "env" in recipes/${service}/recipe.yml`,
        );
      }
      const serves = await tools.stacks.serves(app, PATIENCE_MS);
      if (!serves.ok) throw new Fault('BadInput', `${service} ${version} is not healthy: ${serves.reason}`);
      const checked = await runChecks(world, { scripts: tools.scripts, report: attempt.report }, app);
      if (checked.result === 'fail') {
        throw new Fault(
          'BadInput',
          `${service} ${version} is not healthy: ${checked.reason}; see ${checked.evidence}`,
        );
      }
      if (!(await world.mirrorsFor(attempt.commands).keep(service, release.commit)))
        throw new Fault(
          'MirrorSync',
          `the commit ${release.commit} of ${service} ${version} is not there to be kept`,
        );
      await attempt.guard();
      await world.services.commit({
        schema: 1,
        service,
        version: release.version,
        commit: release.commit,
        ts: world.now().toISOString(),
        run: runName({ recipe: service, asked }),
        domain,
        env: app.written,
        images,
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
      throw new Fault('BadInput', `${service} is at ${lastGood.version} already`);
    }
    await world.services.order(service, { approved: { version, ...said } });
    return `${service} ${version} is approved`;
  });
}
