import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { stackName } from '../domain/names.ts';
import type { RunRef } from '../domain/run.ts';
import { passBoundary } from '../host/boundary.ts';
import type { App } from '../host/deployer.ts';
import type { Attempt } from './attempt.ts';
import type { Dependencies } from './index.ts';

/** A commit to deploy, and the release it is, if it is one. */
export interface Deployable {
  version: string | null;
  commit: string;
}

/** Where the checkouts for a stack live; removed with it. */
function checkoutsFolder(deps: Dependencies, stack: string): string {
  return path.join(deps.config.state, 'checkouts', stack);
}

export async function removeCheckouts(deps: Dependencies, stack: string): Promise<void> {
  await rm(checkoutsFolder(deps, stack), { recursive: true, force: true });
}

/**
 * The one preparation, for the cold test and for promote alike: a clean checkout made anew (one that
 * something wrote into is no test of a tag), the recipe's settings, and a folder for the step's evidence.
 */
export async function prepareApp(
  deps: Dependencies,
  attempt: Attempt,
  where: { run: RunRef; step: string; domain: string; lifetime: App['lifetime'] },
  { version, commit }: Deployable,
): Promise<App> {
  const { run, step, domain, lifetime } = where;
  const { env, probe } = await deps.recipes.one(run.recipe);
  const stack = stackName(domain);
  const evidence = path.join(
    await deps.results.runFolder(run.sweep.id, run.recipe),
    step.replaceAll(/[^a-z]+/g, '-'),
  );
  await mkdir(evidence, { recursive: true });
  const parent = checkoutsFolder(deps, stack);
  await mkdir(parent, { recursive: true });
  const checkout = path.join(parent, commit.slice(0, 12));
  await deps.mirrorsFor(attempt.run).checkout(run.recipe, commit, checkout);
  passBoundary('deploy.after-checkout');
  const label = run.workflow.id;
  return {
    recipe: run.recipe,
    version,
    commit,
    checkout,
    domain,
    stack,
    lifetime,
    run: label,
    env,
    probe,
    evidence,
  };
}
