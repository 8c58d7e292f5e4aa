import { Fault } from '../domain/fault.ts';
import { coldDomain, stackName } from '../domain/names.ts';
import { quotableLine } from '../domain/printable.ts';
import type { RunRef, SweepSettings } from '../domain/run.ts';
import type { UpgradeQuestion } from '../domain/upgrade-base.ts';
import { parseVersion } from '../domain/version.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import { RecipeProblem } from '../host/recipe-format/problem.ts';
import { readRecipe } from '../host/recipe-format/read.ts';
import { versionLabel } from '../host/recipe-format/version-label.ts';
import { coldApp, removeCheckouts } from './app.ts';
import { holdersOf, holdingHost, inAttempt, type HostAttempt } from './attempt.ts';
import { mirrorIn } from './mirror-on-forge.ts';
import { refuseForeignWorker, refuseUnready, settingsOf } from './preflight.ts';
import { leftByRecipe, reapLeftovers } from './reap.ts';
import type { World } from './world.ts';

/** The commit that is tested, by the version that its own label says; or why it has none that can be read. */
export type Head = ({ version: string } | { version: null; reason: string; evidence: string }) &
  Pick<UpgradeQuestion, 'main'>;

export function recipeTest(world: World) {
  return {
    /**
     * Looks at a pull request of the recipe's mirror, and answers its head's commit. Throws Fault BadInput where there is
     * none of that number, or no forge that could be asked.
     */
    async pullRequestHead({
      recipe,
      pullRequest,
    }: {
      recipe: string;
      pullRequest: number;
    }): Promise<{ commit: string }> {
      return inAttempt(world, async ({ signal, report }) => {
        const { forge: configured } = world.config;
        if (configured === undefined) {
          throw new Fault(
            'BadInput',
            `pull request ${pullRequest} of ${recipe} cannot be asked for: set "forge" (url and tokenFile) in the configuration, or name a commit`,
          );
        }
        const mirror = await mirrorIn(world, signal, recipe);
        if (mirror === null) {
          throw new Fault(
            'BadInput',
            `the mirror of ${recipe} has no pull requests: "mirrors" is not on the forge ${configured.url}`,
          );
        }
        const { forge, repository } = mirror;
        report(`asking the forge for pull request ${pullRequest}`);
        const found = await forge.pullRequest(repository, pullRequest);
        if (found === null) {
          throw new Fault(
            'BadInput',
            `${repository.owner}/${repository.name} has no pull request ${pullRequest} on ${configured.url}`,
          );
        }
        return { commit: found.head.commit };
      });
    },

    /**
     * Takes the host for a test, checks what it must have, and reaps what crashes left. Throws HostBusy or Preflight;
     * whoever called it gives the host back then.
     */
    async openTest({
      recipe,
      holder,
    }: {
      recipe: string;
      holder: Holder;
    }): Promise<{ settings: SweepSettings; left: string | null }> {
      return holdingHost(world, [holder], 'preflight', async (attempt) => {
        await refuseForeignWorker(world);
        await refuseUnready(world);
        const found = await reapLeftovers(world, attempt, holder.workflowId);
        const left = leftByRecipe(found.filter(({ kind }) => kind === 'not-reaped')).get(recipe) ?? null;
        return { settings: settingsOf(world), left };
      });
    },

    /**
     * Has the commit here, and reads which version it is, and which one main is at. What is wrong with its files is an
     * answer. Throws Fault BadInput where the mirror has no such commit (any more).
     */
    async bringHead({
      run,
      commit,
      pullRequest,
      main,
    }: {
      run: RunRef;
      commit: string;
      pullRequest: number | null;
      /** Main's tip. */
      main: string;
    }): Promise<Head> {
      return holdingHost(world, holdersOf(run), `${run.asked.id}: head`, async (attempt) => {
        const { recipe, workflow } = run;
        const mirrors = world.mirrorsFor(attempt.commands);
        try {
          if (commit !== main && !(await mirrors.bringCommit(recipe, { commit, pullRequest }))) {
            const of = pullRequest === null ? '' : ` of pull request ${pullRequest}`;
            throw new Fault(
              'BadInput',
              `the mirror has no commit ${commit}${of}: it was pushed over since, or never was there`,
            );
          }
          const containsHead = commit === main || (await mirrors.onMain(recipe, commit));
          const head = await versionAt(attempt, run, commit);
          const atMain = containsHead ? null : (await versionAt(attempt, run, main)).version;
          return { ...head, main: { commit: main, version: atMain, containsHead } };
        } finally {
          await removeCheckouts(world, stackName(coldDomain(recipe, world.config.zone, workflow.runId)));
        }
      });
    },
  };

  async function versionAt(
    attempt: HostAttempt,
    run: RunRef,
    commit: string,
  ): Promise<{ version: string } | { version: null; reason: string; evidence: string }> {
    const deploy = { version: null, commit };
    const app = await coldApp(world, attempt, {
      run,
      step: 'head',
      deploy,
      dependencies: [],
      upgraded: false,
    });
    const wrong = async (reason: string): Promise<{ version: null; reason: string; evidence: string }> => ({
      version: null,
      reason,
      evidence: await keep(app.evidence, `version-${commit}.txt`, `${commit}: ${reason}\n`),
    });
    try {
      const { files } = await readRecipe(app);
      const version = versionLabel(files, app.stack);
      if (version === null)
        return await wrong('no label coop-cloud.${STACK_NAME}.version on its service app');
      if (parseVersion(version) !== null) return { version };
      return await wrong(
        `its label coop-cloud.\${STACK_NAME}.version says ${quotableLine(JSON.stringify(version))}, which is no x.y.z+app`,
      );
    } catch (error) {
      if (!(error instanceof RecipeProblem)) throw error;
      return wrong(quotableLine(error.message));
    }
  }
}
