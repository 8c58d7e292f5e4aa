import { planBackup, type LabelledService } from '../domain/backup-plan.ts';
import { quotableLine } from '../domain/printable.ts';
import { missingMarkers, nothingLeft, placeMarkers, someFiles } from '../host/data/data-marker.ts';
import type { Volume } from '../host/engine/volumes.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { AppOf, TierStep } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import {
  askTier,
  checkData,
  deployAnswer,
  refuseUnlessRunning,
  type DeployAnswer,
  type TierFailure,
} from './tier.ts';
import type { World } from './world.ts';

/**
 * The tier upgrade, wherever the run's deployment is: takes it to the release in place. The data that was there must be
 * there afterwards.
 */
export async function askUpgrade(world: World, appOf: AppOf, input: TierStep): Promise<DeployAnswer> {
  const { run, step } = input;
  return holdingHostFor(world, run, step, async (attempt) => {
    const { deployer, stacks } = attempt;
    const app = await appOf(world, attempt, input);
    await refuseUnlessRunning(attempt, app, 'upgrade');
    return askTier(world, attempt, app, 'upgrade', async () => {
      const before = await stacks.volumes(app.stack);
      const checks = app.settings.hooks['check-data'] !== undefined;
      const held = await someFiles(checks ? [] : before);
      const result = deployAnswer(await deployer.deploy(app, 'upgrade'));
      passBoundary('upgrade.after-deploy');
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
      passBoundary('upgrade.after-markers');
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
