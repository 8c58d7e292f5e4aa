import type { ProvidedDependency } from '../domain/dependency.ts';
import { runShortName, warmDomain } from '../domain/names.ts';
import { promoteGate } from '../domain/promote-gate.ts';
import { isSame, type Release } from '../domain/release.ts';
import { runName, type RunRef } from '../domain/run.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { changedImages, type ImageSeen } from '../domain/app.ts';
import { prepareApp } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import { refuseWithoutLive } from './live-dependency.ts';
import { reattach } from './reattach.ts';
import type { World } from './world.ts';

export interface PromoteInput {
  run: RunRef;
  release: Release;
  /** The images that the cold test ran the release on, by service. */
  tested: Record<string, ImageSeen>;
  dependencies: readonly ProvidedDependency[];
}

/** With a note where it was not quite what a promotion is. */
export type PromoteResult =
  { promoted: true; note?: string } | { promoted: false; why: string; evidence: string | null };

/**
 * Installs the tested release at the warm domain as an operator would: over the canonical's data when there
 * is a canonical with data, else from nothing. Then undeploys, takes a snapshot and writes the record, which is the
 * only commit point. Whatever happens before it leaves the old record true; whoever comes next (a second
 * attempt, settle, the reaper) first puts the data back to what the record says.
 */
export function promote(world: World) {
  return {
    async promote({ run, release, tested, dependencies }: PromoteInput): Promise<PromoteResult> {
      return holdingHostFor(world, run, 'promote', async (attempt) => {
        const { warm, deployer, stacks, guard, report } = attempt;
        const { recipe } = run;
        const since = world.now();
        const domain = warmDomain(recipe, world.config.zone);
        const resultFolder = await world.results.runFolder(runName(run));
        const refuse = (why: string, evidence = resultFolder): PromoteResult => ({
          promoted: false,
          why,
          evidence,
        });

        const before = await world.canonicals.read(recipe);
        const mirrors = world.mirrorsFor(attempt.commands);
        if (before && isPromotionOf(before, run, release)) {
          // Not as its own alone: something else may have used the data since, where the run was reset.
          await warm.settle(recipe);
          await mirrors.keepOnly(recipe, release.commit);
          return { promoted: true };
        }
        const gate = async (): Promise<ReturnType<typeof promoteGate>> => {
          const { exception, hold } = await world.recipes.one(recipe);
          const canonical = (await world.canonicals.read(recipe))?.version ?? null;
          const listed = (await world.ledger.read(recipe)).get(release.version)?.commit ?? null;
          return promoteGate({ release, exception, hold, canonical, listed });
        };
        const first = await gate();
        if (!first.open) return refuse(first.why);

        const where = { run, recipe, step: 'promote', domain, lifetime: 'warm', dependencies } as const;
        // Of a canonical without data there is nothing to upgrade: as if there were none.
        const base = before?.snapshot ? before : null;
        const app = await prepareApp(world, attempt, { ...where, upgraded: base !== null }, release);
        const elsewhere = await stacks.keptElsewhere(app);
        if (elsewhere.length > 0) {
          return refuse(
            `a snapshot cannot hold what is kept elsewhere than on this host, so it would be no proof of it: ${elsewhere.join(', ')}`,
          );
        }
        await warm.attach(recipe, runName(run));
        passBoundary('promote.after-attach');
        if (base) {
          const step = 'promote-reattach';
          report(`${step} at ${domain}`);
          const proven = await prepareApp(world, attempt, { ...where, step, upgraded: false }, base);
          const reattached = await reattach(attempt, proven, base, 'lasts');
          if (!reattached.ok) {
            await refuseWithoutLive(world, attempt, proven, since, reattached);
            return refuse(reattached.reason, reattached.evidence);
          }
          passBoundary('promote.after-reattach');
        }
        report(`promote at ${domain}`);
        const installed = await deployer.deploy(app, base ? 'upgrade' : 'deploy');
        if (!installed.ok) {
          await refuseWithoutLive(world, attempt, app, since, installed);
          const how = base ? `upgrading the canonical's data from ${base.version}` : 'a fresh install';
          return refuse(`${how} at ${domain}: ${installed.reason}`, installed.evidence);
        }
        passBoundary('promote.after-upgrade');
        const changed = changedImages(tested, installed.images);
        if (changed) return refuse(`what was tested is not what was installed: ${changed}`);
        report('undeploying, keeping volumes');
        await deployer.undeploy(app);
        passBoundary('promote.after-undeploy');
        // Of its own, also when the run was reset: never another attempt's snapshot.
        const { bytes: volumes, tight } = await warm.roomFor(recipe);
        if (tight !== null) return refuse(tight);
        const id = `${runShortName(recipe, run.workflow.runId)}-${attempt.generation}`;
        report(`taking snapshot ${id}`);
        const snapshot = await warm.snapshot(recipe, id);
        passBoundary('promote.after-snapshot');
        const digests = new Set(Object.values(installed.images).map(({ digest }) => digest));
        const disk = { volumes, images: await stacks.imageBytes(digests) };
        // An hour may have gone by, and an operator may have had a reason.
        const last = await gate();
        if (!last.open) return refuse(last.why);
        const record: CanonicalRecord = {
          schema: 4,
          recipe,
          version: release.version,
          commit: release.commit,
          status: 'proven',
          ts: world.now().toISOString(),
          run: runName(run),
          images: installed.images,
          domain,
          env: app.written,
          snapshot,
          dropped: null,
          droppedBy: null,
          disk,
        };
        // Upstream may withdraw it; a canonical without its commit could not be deployed any more.
        if (!(await mirrors.keep(recipe, release.commit)))
          return refuse(`its commit ${release.commit} is not there to be kept`);
        await guard();
        passBoundary('promote.before-record');
        await world.canonicals.write(record);
        await warm.committed(record);
        await mirrors.keepOnly(recipe, release.commit);
        if (before === null || before.dropped === null) return { promoted: true };
        const note = `promoted by a fresh install, which proves no upgrade of data: that of ${before.version} was dropped on ${before.dropped.slice(0, 10)}`;
        return { promoted: true, note };
      });
    },
  };
}

/** Whether the record was written by an earlier attempt of this very promotion. */
function isPromotionOf(record: CanonicalRecord, run: RunRef, release: Release): boolean {
  return record.run === runName(run) && isSame(record, release);
}
