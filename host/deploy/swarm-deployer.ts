import { randomBytes } from 'node:crypto';
import type { App, ImageSeen } from '../../domain/app.ts';
import type { Expectation } from '../../domain/convergence.ts';
import { Fault } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import { parseRecipeRunId, stackName, warmDomain } from '../../domain/names.ts';
import { quotableLine } from '../../domain/printable.ts';
import type { Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import type { PresentImage } from '../engine/images.ts';
import { oomKills, refusePlatformTrouble } from '../engine/platform-trouble.ts';
import { createPulledImages } from '../engine/pulled-images.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import type { StackRemoval } from '../engine/stack-removal.ts';
import type { Swarm } from '../engine/swarm.ts';
import { watchEngine } from '../engine/watch-engine.ts';
import { keep, keepDeployment } from '../evidence/deploy-evidence.ts';
import type { Evidence } from '../evidence/evidence.ts';
import type { Pictures } from '../evidence/pictures.ts';
import { passBoundary } from '../machine/boundary.ts';
import type { ProcessRunner } from '../machine/process.ts';
import { timed, type Spend } from '../machine/stopwatch.ts';
import { withExposedEnv } from '../prepare/exposed-env.ts';
import type { PreparedRecipe } from '../prepare/prepare.ts';
import { createProber, questionFor, type Question } from '../probe/prober.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { labelled, writeCompose, type ObjectLabels } from '../recipe-format/render.ts';
import { hookEvidence, type AppScripts } from '../scripts/app-scripts.ts';
import { createPostCommands } from '../scripts/post-commands.ts';
import { ensureSecrets, type WrittenSecrets } from '../secrets/ensure.ts';
import { LONGEST_NAME, tooLongElsewhere } from '../secrets/needed.ts';
import { converge, type Outcome, type Watch } from './converge.ts';
import type { Deployer, Deployment, Occasion, Proof } from './deployer.ts';
import type { HandOver } from './hand-over.ts';
import { runInstallHook } from './install-hook.ts';
import { longestDeployment } from './longest-deployment.ts';
import type { PreparedRecipes } from './prepared-recipes.ts';
import { preparationsOf } from './preparations.ts';
import { Red } from './red.ts';
import { releaseImages } from './release-images.ts';
import { checkRoom, checkSurroundings } from './surroundings.ts';
import { refuseTakenPort } from './taken-ports.ts';

/** Deploys recipes on this host's swarm, whatever hands them to it, and judges what comes of it. */
export interface SwarmDeployerSettings extends EngineAccess {
  config: Pick<Config, 'zone' | 'state' | 'docker' | 'probe' | 'limits'>;
  commands: ProcessRunner;
  swarm: Swarm;
  removal: StackRemoval;
  recipes: PreparedRecipes;
  scripts: Pick<AppScripts, 'hook'>;
  pictures: Pictures;
  evidence: Pick<Evidence, 'fit'>;
  handOver: HandOver;
  /** Short texts on what is being waited for. */
  report: (what: string) => void;
  /** Notes what time is spent on. */
  spend: Spend;
  /** When the step that deploys is ended, milliseconds since the epoch; several deployments share what is left. */
  until: number;
}

export function createSwarmDeployer(settings: SwarmDeployerSettings): Deployer {
  const { config, commands, docker, signal, guard, report, spend, until } = settings;
  const { swarm, removal, recipes, scripts, pictures, evidence, handOver } = settings;
  const { zone } = config;
  const longestMs = (): number => longestDeployment(until);
  const access = { docker, signal, guard };
  const pulled = createPulledImages(config.state, () => new Date());
  const prober = createProber({ via: config.probe.via, swarm, signal });
  const untimed = createPostCommands({ commands, swarm, guard, report, fit: evidence.fit });
  const postCommands = timed(spend, 'scripts', untimed);
  const watcher = { swarm, prober, pictures, signal, report, longestMs };

  /** What a deployment begins with, before anything of it is made. */
  async function begin(
    app: App,
    occasion: Occasion,
  ): Promise<{
    recipe: PreparedRecipe;
    question: Question | null;
    images: Map<string, PresentImage>;
  }> {
    const recipe = await recipes.of(app);
    checkVersion(app, recipe);
    checkWarmNames(app, recipe, zone);
    await checkSurroundings({ docker, zone, removal }, app, recipe);
    // A live service that is put back, or comes up again, is not kept down for want of room.
    if (app.lifetime !== 'live' || occasion !== 'restart') await checkRoom(docker, config);
    const question = questionFor(app.settings.probe, recipe, config.probe.via);
    return {
      recipe,
      question,
      images: await spend('pulling', () => releaseImages({ ...access, config, pulled, report }, app, recipe)),
    };
  }

  async function bringUp(asked: App, occasion: Occasion, proof: Proof): Promise<Deployment> {
    const begun = await begin(asked, occasion);
    // A live service may be the very proxy that is asked; what leads to it is its own.
    if (begun.question !== null && asked.lifetime !== 'live') await prober.checkFree(asked, begun.question);
    passBoundary('deploy.after-images');
    const { secrets: written, env } = await runInstallHook(scripts, asked);
    passBoundary('deploy.after-install-hook');
    const isSet = Object.keys(env).length > 0;
    const app = isSet ? { ...asked, env: { ...asked.env, ...env } } : asked;
    // What the hook set may lead to other files, secrets and images.
    const { recipe, question, images } = isSet ? await begin(app, occasion) : begun;
    const post = occasion === 'restart' ? null : recipe.post(occasion);
    const objects = { [LABEL.zone]: zone, [LABEL.recipe]: app.recipe, [LABEL.lifetime]: app.lifetime };
    await makeSecrets(app, recipe, objects, written);
    passBoundary('deploy.after-secrets');
    const killedBefore = await oomKills();
    const deployment = newDeployment(app);
    const files = labelled(
      withExposedEnv(recipe.files, recipe.env, app),
      objects,
      { [LABEL.run]: app.run, [LABEL.deployment]: deployment },
      Object.fromEntries([...images].map(([service, { reference }]) => [service, reference])),
    );
    await handOver(app, await writeCompose(files, app.evidence), recipe.env);
    passBoundary('deploy.after-stack-deploy');
    const preparations = preparationsOf({ scripts, postCommands, longestMs }, app, post);
    const stableMs = proof === 'answers' && question !== null ? null : config.limits.stable;
    const expected = expectation(app, recipe, images, deployment, stableMs);
    const outcome = await watchedOutcome({ app, expected, question, preparations });
    passBoundary('deploy.after-converge');
    if (!outcome.ok) return failed(app, outcome, killedBefore);
    return { ok: true, images: imagesSeen(recipe, images), asked: question !== null };
  }

  async function makeSecrets(
    app: App,
    recipe: PreparedRecipe,
    objects: ObjectLabels,
    written: WrittenSecrets['values'],
  ): Promise<void> {
    const labels = { ...objects, [STACK_LABEL]: app.stack };
    const secrets = await ensureSecrets({ docker, guard, labels }, recipe.secrets, written);
    if (secrets.ok) return;
    if (written.size > 0) throw new Red(secrets.reason, hookEvidence(app, 'install'));
    throw new RecipeProblem('.env.sample', secrets.reason);
  }

  function expectation(
    app: App,
    recipe: PreparedRecipe,
    images: ReadonlyMap<string, PresentImage>,
    deployment: string,
    stableMs: number | null,
  ): Expectation {
    return {
      label: { name: LABEL.deployment, value: deployment },
      services: [...images].map(([name, { reference, id }]) => ({
        name,
        image: reference,
        imageId: id,
        oneShot: app.settings.oneShot.includes(name),
      })),
      stableMs,
      deadline: Date.now() + Math.min(recipe.timeoutMs ?? config.limits.deploy, longestMs()),
    };
  }

  /** What comes of it with an engine that stays up: whatever fails without one is not the app's doing. */
  async function watchedOutcome(watch: Watch): Promise<Outcome> {
    const engineWatch = await watchEngine({ docker, signal });
    try {
      const outcome = await spend('app', () => converge(watcher, watch));
      if (!outcome.ok) await engineWatch.check(`watching ${watch.app.stack}`);
      return outcome;
    } finally {
      engineWatch.close();
    }
  }

  /** The package failed, unless this host's own words for it say otherwise. */
  async function failed(
    app: App,
    { reason, seen, service, evidence: told }: Extract<Outcome, { ok: false }>,
    killedBefore: number | null,
  ): Promise<Deployment> {
    refuseTakenPort(app.stack, reason);
    refusePlatformTrouble(app.stack, seen, killedBefore !== (await oomKills()));
    const kept = { swarm, app, folder: app.evidence, since: null };
    const file = await keepDeployment(kept, seen, service);
    return { ok: false, reason: quotableLine(reason), evidence: told ?? file };
  }

  /** What the package itself is to blame for is an answer. */
  async function asAnswer<T>(
    app: App,
    body: () => Promise<T>,
  ): Promise<T | Extract<Deployment, { ok: false }>> {
    try {
      return await body();
    } catch (error) {
      if (error instanceof Red) return { ok: false, reason: error.message, evidence: error.file };
      if (!(error instanceof RecipeProblem)) throw error;
      const text = `${error.lines.join('\n')}\n`;
      const file = await keep(app.evidence, 'recipe-problem.txt', text);
      return { ok: false, reason: error.message, evidence: file };
    }
  }

  return {
    makeReady: (app) =>
      asAnswer(app, async () => {
        await begin(app, 'upgrade');
        return { ok: true };
      }),

    deploy: (app, occasion = 'deploy', proof = 'lasts') => asAnswer(app, () => bringUp(app, occasion, proof)),

    async undeploy(stack) {
      await removal.stop(stack);
    },

    async remove(stack) {
      await removal.stop(stack);
      await removal.discard(stack, ['secret', 'volume'], () => true);
      passBoundary('remove.after-volumes');
    },
  };
}

function checkVersion(app: App, recipe: PreparedRecipe): void {
  if (app.version === null || recipe.version === app.version) return;
  const label = `coop-cloud.${app.stack}.version`;
  throw new RecipeProblem(
    recipe.at('services', 'app', 'deploy', 'labels'),
    recipe.version === null
      ? `no label ${label}; the tag says ${app.version}`
      : `compose says version ${recipe.version}, the tag says ${app.version}`,
  );
}

/** A release that is green at a throw-away domain must not fail to be promoted for a name of ours that is longer. */
function checkWarmNames(app: App, recipe: PreparedRecipe, zone: string): void {
  // What another recipe needs beside it is promoted by no run but its own.
  if (parseRecipeRunId(app.run)?.recipe !== app.recipe) return;
  const long = tooLongElsewhere(recipe.secrets, app.stack, stackName(warmDomain(app.recipe, zone)));
  if (long === null) return;
  throw new Fault(
    'BadConfig',
    `at its warm domain the secret ${long} would be longer than docker's ${LONGEST_NAME} characters: give this host a shorter "zone"`,
  );
}

/** By this each deployment is told from every other one, also from one of the same release. */
function newDeployment({ run, version, commit }: App): string {
  return [run, version ?? 'untagged', commit, randomBytes(4).toString('hex')].join(' ');
}

function imagesSeen(
  { services }: PreparedRecipe,
  images: ReadonlyMap<string, PresentImage>,
): Record<string, ImageSeen> {
  const seen = services.flatMap(({ name, image }): [string, ImageSeen][] => {
    const present = images.get(name);
    return present ? [[name, { image, digest: present.digest }]] : [];
  });
  return Object.fromEntries(seen);
}
