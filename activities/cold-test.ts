import { planBackup, type LabelledService } from '../domain/backup-plan.ts';
import { quotableLine } from '../domain/printable.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { missingMarkers, nothingLeft, placeMarkers, someFiles } from '../host/data/data-marker.ts';
import type { Deployment } from '../host/deploy/deployer.ts';
import type { Volume } from '../host/engine/volumes.ts';
import type { ImageSeen } from '../domain/app.ts';
import { runName } from '../domain/run.ts';
import { coldApp, type ColdStep } from './app.ts';
import { holdersOf, holdingHost } from './attempt.ts';
import type { World } from './world.ts';
import { askTier, checkData, refuseUnlessRunning, writeData, type TierFailure } from './tier.ts';

export type ColdResult = { result: 'pass'; images: Record<string, ImageSeen>; note?: string } | TierFailure;

const NOT_ASKED = 'nobody was asked whether it serves: no label says where, and recipe.yml has no probe';

export function coldTest(world: World) {
  return {
    /** Deploys a commit on the run's throw-away domain, from nothing, and has data written there. */
    async coldInstall(input: ColdStep): Promise<ColdResult> {
      const { run, step } = input;
      return holdingHost(world, holdersOf(run), `${runName(run)}: ${step}`, async (attempt) => {
        const { deployer, stacks } = attempt;
        const app = await coldApp(world, attempt, input);
        // Nothing that an earlier attempt left may help this one.
        await deployer.remove(app);
        passBoundary('cold-install.after-remove');
        return askTier(world, attempt, app, 'install', async () => {
          const result = asResult(await deployer.deploy(app, 'deploy'));
          passBoundary('cold-install.after-deploy');
          if (result.result === 'fail') return result;
          await placeMarkers(await stacks.volumes(app.stack), run.workflow.runId);
          passBoundary('cold-install.after-markers');
          const failed = await writeData(attempt, app, 'install');
          passBoundary('cold-install.after-data');
          return failed ?? result;
        });
      });
    },

    /** Takes the run's deployment to the release in place; the data that was there must be there afterwards. */
    async coldUpgrade(input: ColdStep): Promise<ColdResult> {
      const { run, step } = input;
      return holdingHost(world, holdersOf(run), `${runName(run)}: ${step}`, async (attempt) => {
        const { deployer, stacks } = attempt;
        const app = await coldApp(world, attempt, input);
        await refuseUnlessRunning(attempt, app, 'upgrade');
        return askTier(world, attempt, app, 'upgrade', async () => {
          const before = await stacks.volumes(app.stack);
          const checks = app.settings.hooks['check-data'] !== undefined;
          const held = await someFiles(checks ? [] : before);
          const result = asResult(await deployer.deploy(app, 'upgrade'));
          passBoundary('cold-upgrade.after-deploy');
          if (result.result === 'fail') return result;
          const after = await stacks.volumes(app.stack);
          const lost = before.filter(({ name }) => !after.some((volume) => volume.name === name));
          const fail = (reason: string): TierFailure => ({
            result: 'fail',
            reason,
            evidence: app.evidence,
          });
          if (lost.length > 0) {
            return fail(`the upgrade lost volumes: ${lost.map(({ name }) => name).join(', ')}`);
          }
          const { ofRelease, older } = await stacks.services(app);
          const kept = lasting(app.stack, ofRelease, before);
          const unmarked = await missingMarkers(kept, run.workflow.runId);
          // The release may have brought volumes of its own.
          await placeMarkers(after, run.workflow.runId);
          passBoundary('cold-upgrade.after-markers');
          const found = await checkData(attempt, app, 'upgrade');
          if (found?.result === 'fail') return found;
          // An image that fills its volume anew takes our mark with it, which is no loss of the app's.
          const emptied = found === null ? await nothingLeft(held, unmarked) : [];
          if (emptied.length > 0) {
            return fail(`the upgrade lost what was written in the volumes before: ${emptied.join(', ')}`);
          }
          const notes = [
            ...(result.note === undefined ? [] : [result.note]),
            ...older.map(
              (name) => `${name}, which it no longer has, still runs, as it does where it is upgraded`,
            ),
            ...(unmarked.length > 0 ? [`it removed a file of ours from ${unmarked.join(', ')}`] : []),
          ];
          return notes.length === 0 ? result : { ...result, note: quotableLine(notes.join('; ')) };
        });
      });
    },
  };
}

/** Volumes that are more than a cache, which is what a recipe says by leaving one out of its backup. */
function lasting(
  stack: string,
  services: readonly LabelledService[],
  volumes: readonly Volume[],
): readonly Volume[] {
  const asked = planBackup(stack, services, volumes);
  if (asked.is !== 'planned') return volumes;
  const leftOut = new Set(asked.plan.leftOut.map(({ name }) => name));
  return volumes.filter(({ name }) => !leftOut.has(name));
}

function asResult(deployment: Deployment): ColdResult {
  return deployment.ok
    ? {
        result: 'pass',
        images: deployment.images,
        ...(deployment.asked ? {} : { note: NOT_ASKED }),
      }
    : { result: 'fail', reason: deployment.reason, evidence: deployment.evidence };
}
