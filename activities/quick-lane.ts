import type { App } from '../domain/app.ts';
import { Fault } from '../domain/fault.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import { isSame, nameOf } from '../domain/release.ts';
import { runName, type RunRef } from '../domain/run.ts';
import { placeMarkers } from '../host/data/data-marker.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { removeCheckouts, warmApp, type AppOf, type TierStep } from './app.ts';
import { holdingHostFor, type HostAttempt } from './attempt.ts';
import { askCustom } from './custom.ts';
import { lintFiles, type Linted } from './lint.ts';
import { reattach } from './reattach.ts';
import { askTier, deployAnswer, writeData, type DeployAnswer, type TierAnswer } from './tier.ts';
import { askUpgrade } from './upgrade.ts';
import type { World } from './world.ts';

/**
 * A test over the canonical's own data, at its warm domain. The record and the snapshot stay as they are. From before
 * the data is touched until it is put back `attached.json` says that it is in use, so that whoever comes next (another
 * attempt, settle, the reaper, a promote) first puts it back to what the record says, however this ends.
 */
export function quickLane(world: World) {
  return {
    /**
     * Starts the canonical again on its own data, and has data written there. That it stays up was seen when it was
     * promoted: here it must answer. Throws Fault Canonical where it does not run as it was proven: that says nothing of
     * what is tested.
     */
    async quickReattach(input: TierStep): Promise<DeployAnswer> {
      const { run, step, deploy } = input;
      const { recipe } = run;
      return holdingHostFor(world, run, step, async (attempt) => {
        const { warm, stacks } = attempt;
        const record = await world.canonicals.read(recipe);
        if (record === null || record.snapshot === null || !isSame(record, deploy)) {
          throw new Fault(
            'BadInput',
            `the canonical of ${recipe} is ${nameOf(deploy)} with its data no more: ${saidOf(record)}; start a new run of ${recipe}`,
          );
        }
        const app = await appOfOwnData(world, attempt, input);
        await warm.attach(recipe, runName(run));
        passBoundary('quick-lane.after-attach');
        const answer = await askTier(world, attempt, app, 'install', async () => {
          const deployed = deployAnswer(await reattach(attempt, app, record, 'answers'));
          passBoundary('quick-lane.after-reattach');
          if (deployed.result === 'fail') return deployed;
          await placeMarkers(await stacks.volumes(app.stack), run.workflow.runId);
          const failed = await writeData(attempt, app, 'install');
          passBoundary('quick-lane.after-data');
          return failed ?? deployed;
        });
        if (answer.result === 'pass') return answer;
        throw new Fault(
          'Canonical',
          `nothing is learned where the canonical ${record.version} is not well itself: ${answer.reason}; see ${answer.evidence}, or test it cold`,
        );
      });
    },

    /** The tier upgrade, over the canonical's data. */
    quickUpgrade: (input: TierStep): Promise<DeployAnswer> => askUpgrade(world, appOfOwnData, input),

    /** The tier custom, at the warm domain. */
    quickCustom: (input: TierStep): Promise<TierAnswer> => askCustom(world, warmApp, input),

    /** Holds the head's files against the rules of good recipes, as they are at the warm domain. */
    quickLint: (input: TierStep): Promise<Linted> => lintFiles(world, warmApp, input),

    /** Stops what was tested and keeps its volumes, which go on being marked as in use: the head may have changed them. */
    async quickUndeploy({ run }: { run: RunRef }): Promise<void> {
      return holdingHostFor(world, run, 'quick-lane: undeploy', async (attempt) => {
        const stack = stackName(warmDomain(run.recipe, world.config.zone));
        await attempt.deployer.undeploy({ stack, lifetime: 'warm' });
        passBoundary('quick-lane.after-undeploy');
        await removeCheckouts(world, stack);
      });
    },
  };
}

/** What the canonical is instead of what it was. */
function saidOf(record: CanonicalRecord | null): string {
  if (record === null) return 'there is none';
  return record.dropped === null ? `it is ${record.version}` : `its data was dropped on ${record.dropped}`;
}

/** The app at the warm domain, whose data can be put back whatever it does to it. */
const appOfOwnData: AppOf = async (world, attempt, input) => {
  const app = await warmApp(world, attempt, input);
  await refuseElsewhere(attempt, app);
  return app;
};

/** What is kept elsewhere than on this host is in no snapshot, so nobody could put it back. */
async function refuseElsewhere({ stacks }: Pick<HostAttempt, 'stacks'>, app: App): Promise<void> {
  const elsewhere = await stacks.keptElsewhere(app);
  if (elsewhere.length === 0) return;
  throw new Fault(
    'BadInput',
    `no snapshot can put back what ${app.recipe} ${nameOf(app)} keeps elsewhere than on this host, so the quick lane is not for it: ${elsewhere.join(', ')}; test it cold`,
  );
}
