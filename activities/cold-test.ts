import { placeMarkers } from '../host/data/data-marker.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { coldApp, type TierStep } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import { askTier, deployAnswer, writeData, type DeployAnswer } from './tier.ts';
import { askUpgrade } from './upgrade.ts';
import type { World } from './world.ts';

export function coldTest(world: World) {
  return {
    /** Deploys a commit on the run's throw-away domain, from nothing, and has data written there. */
    async coldInstall(input: TierStep): Promise<DeployAnswer> {
      const { run, step } = input;
      return holdingHostFor(world, run, step, async (attempt) => {
        const { deployer, stacks } = attempt;
        const app = await coldApp(world, attempt, input);
        // Nothing that an earlier attempt left may help this one.
        await deployer.remove(app);
        passBoundary('cold-install.after-remove');
        return askTier(world, attempt, app, 'install', async () => {
          const result = deployAnswer(await deployer.deploy(app, 'deploy'));
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

    /** The tier upgrade, at the run's throw-away domain. */
    coldUpgrade: (input: TierStep): Promise<DeployAnswer> => askUpgrade(world, coldApp, input),
  };
}
