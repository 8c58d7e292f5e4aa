import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { secretVariables, withDependencies, type ProvidedDependency } from '../domain/dependency.ts';
import { coldDomain, stackName, warmDomain } from '../domain/names.ts';
import { KEYCLOAK } from '../domain/realm.ts';
import { isSame, type Revision } from '../domain/release.ts';
import { runName, type NamedRun, type RunRef } from '../domain/run.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { App } from '../domain/app.ts';
import { configuredAdmin } from '../host/config/keycloak-admin.ts';
import type { LastGood } from '../host/store/services.ts';
import { abraRecipe } from '../host/deploy/abra.ts';
import { resolvedImagesFile } from '../host/deploy/resolved-images.ts';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** Where the checkouts for a stack live; removed with it. */
function checkoutsFolder(world: World, stack: string): string {
  return path.join(world.config.state, 'checkouts', stack);
}

export async function removeCheckouts(world: World, stack: string): Promise<void> {
  await rm(checkoutsFolder(world, stack), { recursive: true, force: true });
}

/** What is deployed where, for which step. */
export interface Where {
  run: NamedRun;
  /** The run's own recipe, or one that it needs. */
  recipe: string;
  step: string;
  domain: string;
  lifetime: App['lifetime'];
  dependencies: readonly ProvidedDependency[];
  /** The release follows another one on the same data, so `upgrade_env` applies to one that is no canonical. */
  upgraded: boolean;
}

/** An app, and what its record is to keep of how it was made. */
export interface PreparedApp extends App {
  /** What was set over .env.sample, with `${DEP_…}` as it is written. */
  written: Record<string, string>;
}

/**
 * The one preparation, for the cold test and for promote alike: a clean checkout made anew (one that
 * something wrote into is no test of a tag), the recipe's settings, a folder for the step's evidence, and an
 * empty private one.
 */
export async function prepareApp(
  world: World,
  attempt: HostAttempt,
  where: Where,
  revision: Revision,
): Promise<PreparedApp> {
  const { run, recipe, step, domain, lifetime, dependencies, upgraded } = where;
  const { version, commit } = revision;
  const settings = await world.recipes.one(recipe);
  // A canonical runs as it was proven, wherever it is deployed; any other release in what recipe.yml says now.
  const canonical = await (recipe === run.recipe
    ? world.canonicals.read(recipe)
    : world.canonicals.readForOthers(recipe));
  const proven = canonical !== null && isSame(canonical, revision) ? canonical : null;
  const written = proven?.env ?? (upgraded ? { ...settings.env, ...settings.upgradeEnv } : settings.env);
  const stack = stackName(domain);
  const folder = await world.results.runFolder(runName(run));
  const stepFolder = step.replaceAll(/[^a-z0-9]+/g, '-');
  const evidence = path.join(folder, stepFolder);
  await mkdir(evidence, { recursive: true });
  const parent = checkoutsFolder(world, stack);
  await mkdir(parent, { recursive: true });
  const scratch = path.join(parent, 'scratch');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { mode: 0o700 });
  // The attempt's own: what an earlier one deployed may have its files mounted still.
  const checkout = path.join(parent, `${stepFolder}-${attempt.generation}`, commit.slice(0, 12));
  const repository = world.config.deployer === 'abra' ? abraRecipe({ checkout, recipe }) : null;
  await world.mirrorsFor(attempt.commands).checkout(recipe, commit, checkout, repository);
  passBoundary('deploy.after-checkout');
  const label = runName(run);
  return {
    recipe,
    version,
    commit,
    checkout,
    scratch,
    domain,
    stack,
    lifetime,
    run: label,
    env: withDependencies(written, dependencies),
    written,
    settings,
    dependencies,
    secrets: lifetime === 'live' ? await adminOf(world, recipe) : await secretsFor(world, dependencies),
    resolvedImages: resolvedImagesFile(folder),
    provenImages: proven?.images ?? null,
    evidence,
  };
}

/** The last-good release of a live service as it was deployed, whoever needs it. */
export async function asItWas(
  world: World,
  attempt: HostAttempt,
  run: NamedRun,
  { service: recipe, version, commit, domain, env, images }: LastGood,
  step: string,
): Promise<PreparedApp> {
  const where = { run, recipe, step, domain, lifetime: 'live', dependencies: [], upgraded: false } as const;
  const app = await prepareApp(world, attempt, where, { version, commit });
  return { ...app, env, written: env, provenImages: images };
}

/** The secrets of the realms that were made for the run. */
async function secretsFor(
  world: Pick<World, 'realmKey'>,
  dependencies: readonly ProvidedDependency[],
): Promise<App['secrets']> {
  const secrets: Record<string, string> = {};
  for (const { recipe, realm } of dependencies) {
    if (realm === undefined) continue;
    Object.assign(secrets, secretVariables(recipe, await world.realmKey.secretsOf(realm)));
  }
  return secrets;
}

/** What the checks of the live Keycloak log in with where the configuration says as whom; else they know themselves. */
async function adminOf({ config }: Pick<World, 'config'>, service: string): Promise<App['secrets']> {
  const admin = service === KEYCLOAK ? await configuredAdmin(config) : null;
  return admin === null ? {} : { KEYCLOAK_ADMIN_USER: admin.user, KEYCLOAK_ADMIN_PASSWORD: admin.password };
}

/** A tier to ask of the run's deployment. */
export interface TierStep {
  run: RunRef;
  /** The step's name in the protocol; its evidence folder is called by it. */
  step: string;
  deploy: Revision;
  dependencies: readonly ProvidedDependency[];
  /** As in {@link Where}. */
  upgraded: boolean;
}

/** Where a test's deployment is, as the world and its run say. */
export type AppOf = (world: World, attempt: HostAttempt, input: TierStep) => Promise<PreparedApp>;

/** The app at the run's throw-away domain. */
export const coldApp: AppOf = (world, attempt, { deploy, ...input }) => {
  const { recipe, workflow } = input.run;
  const domain = coldDomain(recipe, world.config.zone, workflow.runId);
  return prepareApp(world, attempt, { ...input, recipe, domain, lifetime: 'cold' }, deploy);
};

/** The app at the domain of its recipe's canonical. */
export const warmApp: AppOf = (world, attempt, { deploy, ...input }) => {
  const { recipe } = input.run;
  const domain = warmDomain(recipe, world.config.zone);
  return prepareApp(world, attempt, { ...input, recipe, domain, lifetime: 'warm' }, deploy);
};
