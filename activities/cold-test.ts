import { Fault } from '../domain/fault.ts';
import { passBoundary } from '../host/boundary.ts';
import type { Deployment, ImageSeen } from '../host/deployer.ts';
import { coldApp, type ColdStep } from './app.ts';
import { holdersOf, holdingHost } from './attempt.ts';
import type { Dependencies } from './index.ts';

export type ColdResult =
  | { result: 'pass'; images: Record<string, ImageSeen> }
  | { result: 'fail'; reason: string; evidence: string };

export function coldTest(deps: Dependencies) {
  return {
    /** Deploys a commit on the run's throw-away domain, from nothing. */
    async coldInstall(input: ColdStep): Promise<ColdResult> {
      const { run, step } = input;
      return holdingHost(deps, holdersOf(run), `${run.workflow.id}: ${step}`, async (attempt) => {
        const app = await coldApp(deps, attempt, input);
        // Nothing that an earlier attempt left may help this one.
        await attempt.deployer.remove(app.stack);
        passBoundary('cold-install.after-remove');
        const result = asResult(await attempt.deployer.deploy(app));
        passBoundary('cold-install.after-deploy');
        return result;
      });
    },

    /** Takes the run's deployment to the release in place; its volumes must be the same afterwards. */
    async coldUpgrade(input: ColdStep): Promise<ColdResult> {
      const { run, step } = input;
      return holdingHost(
        deps,
        holdersOf(run),
        `${run.workflow.id}: ${step}`,
        async ({ deployer, ...attempt }) => {
          const app = await coldApp(deps, attempt, input);
          const runs = (await deployer.owned()).some((one) => one.stack === app.stack && one.running);
          if (!runs) {
            throw new Fault(
              'BadInput',
              `nothing of ${run.recipe} runs at ${app.domain}, so there is nothing to upgrade (the run was reset past its install, or somebody removed the stack): sweep ${run.recipe} again`,
            );
          }
          const before = await deployer.volumes(app.stack);
          const result = asResult(await deployer.deploy(app));
          passBoundary('cold-upgrade.after-deploy');
          if (result.result === 'fail') return result;
          const after = new Set((await deployer.volumes(app.stack)).map(({ name }) => name));
          const lost = before.map(({ name }) => name).filter((name) => !after.has(name));
          if (lost.length === 0) return result;
          return {
            result: 'fail',
            reason: `the upgrade lost volumes: ${lost.join(', ')}`,
            evidence: app.evidence,
          };
        },
      );
    },
  };
}

function asResult(deployment: Deployment): ColdResult {
  return deployment.ok
    ? { result: 'pass', images: deployment.images }
    : { result: 'fail', reason: deployment.reason, evidence: deployment.evidence };
}
