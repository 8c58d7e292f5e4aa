import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import {
  inFlight,
  judge,
  lastFailure,
  runningTasks,
  type Expectation,
  type Observation,
} from '../../domain/convergence.ts';
import { Fault } from '../../domain/fault.ts';
import { parseRecipeRunId, stackName, warmDomain } from '../../domain/names.ts';
import { quotableLine } from '../../domain/printable.ts';
import { ANY_ANSWER } from '../../domain/recipe-settings.ts';
import { createAppEnvironment } from './app-environment.ts';
import { createAppScripts, hookEvidence, type ScriptResult } from '../scripts/app-scripts.ts';
import { COMMAND_MARK } from '../machine/processes.ts';
import { passBoundary } from '../machine/boundary.ts';
import { watchClock } from '../machine/clock.ts';
import { declaredEnvironment, dockerFolder, type Config } from '../config/config.ts';
import { engine, engineOrNull, saysDaemonUnwell, saysDiskFull } from '../engine/daemon.ts';
import { fitToKeep, keep, keepAll, keepDeployment, SCREENSHOT } from '../evidence/deploy-evidence.ts';
import type { Deployer, Deployment, Occasion, OwnedStack } from './deployer.ts';
import { volumesOf } from '../engine/volumes.ts';
import { watchEngine as watchTheEngine, type EngineWatch } from '../engine/watch-engine.ts';
import type { App, ImageSeen } from '../../domain/app.ts';
import { freeBytes, gigabytes } from '../machine/headroom.ts';
import { ensureImage, ensureSame, type EnsuredImage, type PresentImage } from '../engine/images.ts';
import { oomKills, refuseKilledCommand, refusePlatformTrouble } from '../engine/platform-trouble.ts';
import { createPostCommands } from '../scripts/post-commands.ts';
import { createProber, questionFor, type Question } from '../probe/prober.ts';
import { CommandFailed, type Command, type ProcessRunner } from '../machine/process.ts';
import { prepareRecipe, type PreparedRecipe } from '../prepare/prepare.ts';
import { withExposedEnv } from '../prepare/exposed-env.ts';
import { routesOf } from '../recipe-format/neighbours.ts';
import { LONGEST_NAME, tooLongElsewhere } from '../secrets/needed.ts';
import { PROXY_NETWORK } from '../recipe-format/networks.ts';
import type { Post } from '../recipe-format/post-commands.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { labelled, writeCompose } from '../recipe-format/render.ts';
import { LABEL } from '../../domain/labels.ts';
import { createPulledImages, removeUnneededImages } from '../engine/pulled-images.ts';
import { addResolved, readResolved } from './resolved-images.ts';
import { takeScreenshot } from '../evidence/screenshot.ts';
import { ensureSecrets, readWrittenSecrets, type WrittenSecrets } from '../secrets/ensure.ts';
import { createStackRemoval } from '../engine/stack-removal.ts';
import { runningContainer } from '../engine/containers.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import { openSwarm, type Swarm } from '../engine/swarm.ts';
import type { Labelled } from '../engine/things.ts';
import { checkPortsFree, refuseTakenPort } from './taken-ports.ts';

/**
 * Deploys recipes on this host's swarm with `docker stack deploy`, which is what abra does underneath, and
 * judges what comes of it.
 */
export interface SwarmDeployerSettings {
  config: Pick<Config, 'zone' | 'state' | 'docker' | 'probe' | 'limits'>;
  run: ProcessRunner;
  docker: Dockerode;
  /** Ends every wait. */
  signal: AbortSignal;
  /** Awaited before every change on the engine; throws when this attempt no longer holds the host. */
  guard: () => Promise<void>;
  /** Marks the commands of this attempt in containers; the runner marks those on this host. */
  mark: string;
  /** Short texts on what is being waited for. */
  report: (what: string) => void;
  /** When the step that deploys is ended, milliseconds since the epoch; several deployments share what is left. */
  until?: number;
}

/** The client only hands specs over; it does not wait for tasks. */
const STACK_DEPLOY_MS = 120_000;
const STACK_DEPLOY_ATTEMPTS = 3;
const SHARE_OF_TIER = 0.8;
const POLL_MS = 1_000;
/** The longest that the swarm takes to learn that a container has ended. */
export const SWARM_LAG_MS = 2_000;
/** A task that runs for so long is at rest. */
const REST_MS = 2_000;
const PROBE_TIMEOUT_MS = 10_000;
const PING_MS = 10_000;
const PROBE_LEAST_MS = 500;
/** A clock that is kept right by NTP moves by less, while a deployment is watched. */
const CLOCK_TOLERANCE_MS = 1_000;
const PROBE_PAUSES_MS = [100, 200, 400, 1_000];

/** The declared environment's names, whatever their values. */
const CLIENT_VARIABLES = new Set([
  ...Object.keys(declaredEnvironment({ path: '', state: '', docker: { socket: '', pull: 'missing' } })),
  COMMAND_MARK,
]);

/**
 * The client's arguments. Compose files are named relative to the folder it is run in. As with abra, a service that a
 * release no longer has is not removed.
 */
export function stackDeploy(stack: string, files: readonly string[]): string[] {
  return [
    'stack',
    'deploy',
    '--resolve-image',
    'never',
    ...files.flatMap((file) => ['--compose-file', file]),
    '--',
    stack,
  ];
}

/** A red deployment, before its evidence is written. */
class Red extends Error {
  readonly file: string;

  constructor(reason: string, file: string) {
    super(quotableLine(reason));
    this.name = 'Red';
    this.file = file;
  }
}

export function createSwarmDeployer(settings: SwarmDeployerSettings): Deployer {
  const { config, run, docker, signal, guard, mark, report } = settings;
  const { zone } = config;
  const swarm = openSwarm({ docker, signal, guard, mark });
  const removal = createStackRemoval({ swarm, zone, report });
  const prober = createProber({ via: config.probe.via, swarm, signal });
  const environment = createAppEnvironment({ config, swarm, servicesOf });
  const fit = (stack: string, text: string): Promise<string> => fitToKeep(swarm, stack, text);
  const watchEngine = (): Promise<EngineWatch> => watchTheEngine({ docker, signal });
  const until = settings.until ?? Date.now() + config.limits.tier;
  const scripts = createAppScripts({
    run,
    environment,
    fit,
    watchEngine,
    guard,
    report,
    until,
  });
  const postCommands = createPostCommands({ run, swarm, guard, report, fit });
  const pulled = createPulledImages(config.state, () => new Date());
  const prepared = new WeakMap<App, Promise<PreparedRecipe>>();
  /** Of the latest deployment, by evidence folder. */
  const pictures = new Map<string, Promise<string | null>>();

  /** Read once: an app's checkout stays what it is. */
  function prepare(app: App): Promise<PreparedRecipe> {
    const read = prepared.get(app) ?? prepareRecipe(app, { clientVariables: CLIENT_VARIABLES });
    prepared.set(app, read);
    return read;
  }

  /** None of a release whose files are wrong: its deployment says what is wrong with them. */
  async function servicesOf(app: App): Promise<PreparedRecipe['services']> {
    return (await prepareOrNull(app))?.services ?? [];
  }

  async function prepareOrNull(app: App): Promise<PreparedRecipe | null> {
    try {
      return await prepare(app);
    } catch (error) {
      if (error instanceof RecipeProblem) return null;
      throw error;
    }
  }

  async function bringUp(app: App, occasion: Occasion): Promise<Deployment> {
    const recipe = await prepare(app);
    const post = occasion === 'restart' ? null : recipe.post(occasion);
    checkVersion(app, recipe);
    checkWarmNames(app, recipe);
    await checkSurroundings(app, recipe);
    await checkRoom();
    const question = questionFor(app.settings.probe, recipe, config.probe.via);
    const images = await presentImages(app, recipe);
    if (question !== null) await prober.checkFree(app, question);
    passBoundary('deploy.after-images');
    const written = await install(app);
    passBoundary('deploy.after-install-hook');
    const objects = { [LABEL.zone]: zone, [LABEL.recipe]: app.recipe, [LABEL.lifetime]: app.lifetime };
    const secrets = await ensureSecrets(
      { docker, guard, labels: { ...objects, [STACK_LABEL]: app.stack } },
      recipe.secrets,
      written,
    );
    if (!secrets.ok && written.size > 0) throw new Red(secrets.reason, hookEvidence(app, 'install'));
    if (!secrets.ok) throw new RecipeProblem('.env.sample', secrets.reason);

    passBoundary('deploy.after-secrets');
    const killedBefore = await oomKills();
    const deployment = [app.run, app.version ?? 'untagged', app.commit, randomBytes(4).toString('hex')].join(
      ' ',
    );
    const files = labelled(
      withExposedEnv(recipe.files, recipe.env, app),
      objects,
      { [LABEL.run]: app.run, [LABEL.deployment]: deployment },
      Object.fromEntries([...images].map(([service, { reference }]) => [service, reference])),
    );
    await handOver(app, await writeCompose(files, app.evidence));
    passBoundary('deploy.after-stack-deploy');
    const expected: Expectation = {
      label: { name: LABEL.deployment, value: deployment },
      services: [...images].map(([name, { reference, id }]) => ({
        name,
        image: reference,
        imageId: id,
        oneShot: app.settings.oneShot.includes(name),
      })),
      stableMs: config.limits.stable,
      deadline: Date.now() + Math.min(recipe.timeoutMs ?? config.limits.deploy, longestDeployment()),
    };
    const engineWatch = await watchEngine();
    let outcome;
    try {
      outcome = await converge(app, expected, question, post);
      if (!outcome.ok) await engineWatch.check(`watching ${app.stack}`);
    } finally {
      engineWatch.close();
    }
    passBoundary('deploy.after-converge');
    if (!outcome.ok) {
      refuseTakenPort(app.stack, outcome.reason);
      refusePlatformTrouble(app.stack, outcome.seen, killedBefore !== (await oomKills()));
      const file = await keepDeployment(
        { swarm, stack: app.stack, folder: app.evidence, since: null },
        outcome.seen,
        outcome.service,
      );
      return { ok: false, reason: quotableLine(outcome.reason), evidence: outcome.evidence ?? file };
    }
    const seen = recipe.services.flatMap(({ name, image }): [string, ImageSeen][] => {
      const present = images.get(name);
      return present ? [[name, { image, digest: present.digest }]] : [];
    });
    return { ok: true, images: Object.fromEntries(seen), asked: question !== null };
  }

  /** Runs the recipe's hook install. Answers the secrets that it brings, which are on no disk any more then. */
  async function install(app: App): Promise<WrittenSecrets['values']> {
    if (app.settings.hooks.install === undefined) return new Map();
    await mkdir(app.scratch, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(path.join(app.scratch, 'secrets-'));
    try {
      const done = await scripts.hook(app, 'install', {
        environment: { SECRETS_DIR: folder },
        secrets: async () => [...(await readWrittenSecrets(folder)).values.values()].map(String),
      });
      if (done?.result === 'fail') throw new Red(done.reason, done.evidence);
      const { values, problem } = await readWrittenSecrets(folder);
      if (problem !== null) throw new Red(`hook install: ${problem}`, hookEvidence(app, 'install'));
      return values;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** A recipe sets its own time, but not so much that the step ends before it can be judged. */
  function longestDeployment(): number {
    return Math.floor((until - Date.now()) * SHARE_OF_TIER);
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
  function checkWarmNames(app: App, recipe: PreparedRecipe): void {
    // What another recipe needs beside it is promoted by no run but its own.
    if (parseRecipeRunId(app.run)?.recipe !== app.recipe) return;
    const long = tooLongElsewhere(recipe.secrets, app.stack, stackName(warmDomain(app.recipe, zone)));
    if (long === null) return;
    throw new Fault(
      'BadConfig',
      `at its warm domain the secret ${long} would be longer than docker's ${LONGEST_NAME} characters: give this host a shorter "zone"`,
    );
  }

  /** Nothing of others stands where the stack goes, and what it expects of the host is there. */
  async function checkSurroundings(app: App, recipe: PreparedRecipe): Promise<void> {
    await removal.ours(app.stack);
    const { Volumes: volumes } = await engine('listing volumes', () => docker.listVolumes());
    const foreign = volumes.find(
      ({ Name, Labels }) =>
        recipe.volumes.includes(Name) &&
        ((Labels as Labels)?.[LABEL.zone] !== zone || (Labels as Labels)?.[STACK_LABEL] !== app.stack),
    );
    if (foreign) {
      throw new Fault(
        'NotOurs',
        `volume ${foreign.Name}, which ${app.stack} would mount, lacks its labels (${LABEL.zone}=${zone}): it is not ours`,
      );
    }
    const networks = await engine('listing networks', () => docker.listNetworks());
    const missing = recipe.externalNetworks.find((name) => !networks.some(({ Name }) => Name === name));
    if (missing === PROXY_NETWORK) {
      throw new Fault(
        'Preflight',
        `the network ${PROXY_NETWORK} is missing on this swarm: docker network create --driver overlay ${PROXY_NETWORK}`,
      );
    }
    if (missing !== undefined) {
      throw new RecipeProblem(recipe.at('networks'), `the external network ${missing} does not exist`);
    }
    await checkRoutes(app, recipe);
    await checkPortsFree(docker, app.stack, recipe.ports);
  }

  /** Disks that fill up during a deployment would make red what is no fault of the package. */
  async function checkRoom(): Promise<void> {
    const { DockerRootDir } = (await engine('looking for its folder', () => docker.info())) as {
      DockerRootDir: string;
    };
    const folders = [
      [DockerRootDir, "the engine's folder"],
      [config.state, 'where evidence is written'],
    ] as const;
    for (const [folder, what] of folders) {
      const free = await freeBytes(folder);
      if (free === null || free >= config.limits.headroom) continue;
      throw new Fault(
        'Disk',
        `${gigabytes(free)} free at ${folder}, ${what}, and ${gigabytes(config.limits.headroom)} are wanted ("limits.headroom"): free some space`,
      );
    }
  }

  /** Two services with one route would have the proxy send the neighbour's visitors here, or nowhere. */
  async function checkRoutes(app: App, recipe: PreparedRecipe): Promise<void> {
    const services = await engine('listing services', () => docker.listServices());
    const taken = new Map(
      services.flatMap(({ Spec }) => {
        const labels = Spec?.Labels ?? {};
        if (labels[STACK_LABEL] === app.stack) return [];
        return [...routesOf(Object.entries(labels))].map((route) => [route, Spec?.Name ?? ''] as const);
      }),
    );
    for (const { name, labels } of recipe.services) {
      const route = [...routesOf(labels)].find((one) => taken.has(one));
      if (route === undefined) continue;
      const place = recipe.at('services', name, 'deploy', 'labels');
      throw new RecipeProblem(place, `the ${route} is taken by ${taken.get(route)}`);
    }
  }

  /** What a canonical was proven on, else what the run saw when it first looked, else what the names stand for now. */
  async function presentImages(app: App, recipe: PreparedRecipe): Promise<Map<string, PresentImage>> {
    const names = [...new Set(recipe.services.map(({ image }) => image))];
    report(`images: ${names.join(', ')}`);
    const logins = path.join(dockerFolder(config), 'config.json');
    const host = { docker, pull: config.docker.pull, logins, signal, guard, pulled };
    const proven = Object.values(app.provenImages ?? {}).map(({ image, digest }) => [image, digest] as const);
    const known = app.provenImages === null ? await readResolved(app.resolvedImages) : new Map(proven);
    const remedy =
      app.provenImages === null
        ? 'the next sweep looks anew'
        : `the canonical was proven on it: have the registry give it again, or begin anew: recipe-sweep canonical forget ${app.recipe}`;
    const ensured = await Promise.all(
      names.map(async (name): Promise<EnsuredImage> => {
        const digest = known.get(name);
        if (digest === undefined) return ensureImage(host, name);
        return ensureSame(host, { image: name, digest, isOnlyOne: app.provenImages !== null, remedy });
      }),
    );
    for (const one of ensured) if (one.ok) await pulled.needed(one.image);
    const present = new Map(
      recipe.services.map(({ name, image }) => {
        const found = ensured[names.indexOf(image)];
        if (!found?.ok) throw new RecipeProblem(recipe.at('services', name, 'image'), found?.reason ?? image);
        return [name, found.image];
      }),
    );
    if (app.provenImages === null) {
      const seen = names.flatMap((name, index): [string, string][] => {
        const found = ensured[index];
        return found?.ok ? [[name, found.image.digest]] : [];
      });
      await addResolved(app.resolvedImages, seen);
    }
    return present;
  }

  async function handOver(app: App, files: readonly string[]): Promise<void> {
    const command: Command = {
      file: 'docker',
      args: stackDeploy(app.stack, files),
      cwd: app.evidence,
      timeoutMs: STACK_DEPLOY_MS,
    };
    for (let attempt = 1; ; attempt++) {
      await guard();
      report('docker stack deploy');
      let finished;
      try {
        finished = await run.run(command);
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        throw new Fault('Daemon', `handing ${app.stack} to the swarm: ${error.message}`, { cause: error });
      }
      if (finished.status === 0) return;
      const said = finished.stderr.trim();
      if (/update out of sequence/i.test(said) && attempt < STACK_DEPLOY_ATTEMPTS) continue;
      if (saysDiskFull(said)) throw new Fault('Disk', `docker stack deploy ${app.stack}: ${said}`);
      if (saysDaemonUnwell(said) || /network \S+ not found/i.test(said)) {
        throw new Fault('Daemon', `docker stack deploy ${app.stack}: ${said}`);
      }
      refuseTakenPort(app.stack, said);
      const text = `${finished.stdout}${finished.stderr}`;
      const file = await keep(app.evidence, 'stack-deploy.txt', text);
      throw new Red(`docker refuses the compose files: ${said.split('\n').at(-1) ?? said}`, file);
    }
  }

  /** What is known of asking the app whether it serves. */
  interface Asking {
    /** The tasks it answered with as it should; others have to be asked anew. */
    served: string | null;
    /** The question under way, and the tasks that were running when it was asked. */
    pending: { tasks: string; end: AbortController } | null;
    refusal: string;
    /** Nothing led to the app when it was asked last. */
    unreachable: boolean;
    refusals: number;
    againAt: number;
    broken: { error: unknown } | null;
  }

  type Outcome =
    | { ok: true }
    | {
        ok: false;
        reason: string;
        service: string | null;
        seen: Observation;
        /** The file with the rest, where it is not about a service. */
        evidence?: string;
      };

  /** What is done to an app that is up, before it is asked. */
  interface Preparation {
    /** Whether all must have been up for as long as they are watched. */
    onceStable: boolean;
    run(): Promise<ScriptResult | null>;
    /** How far it may move the deadline, in milliseconds: its time is not the app's. */
    graceMs: number;
  }

  /** The recipe's commands come when an operator's abra would have them come, our folder's hook after them. */
  function preparationsOf(app: App, post: Post | null): Preparation[] {
    const ready = {
      onceStable: false,
      graceMs: app.settings.timeouts.hook,
      run: async () => {
        const done = await scripts.hook(app, 'ready');
        passBoundary('deploy.after-ready-hook');
        return done;
      },
    };
    if (post === null) return [ready];
    const run = (): Promise<ScriptResult> => postCommands.run(app, post, longestDeployment());
    return [{ onceStable: true, graceMs: Infinity, run }, ready];
  }

  /** Waits until everything runs, is made ready, stays up and serves, or for the deadline. */
  async function converge(
    app: App,
    asFirst: Expectation,
    question: Question | null,
    post: Post | null,
  ): Promise<Outcome> {
    const expected = { ...asFirst };
    pictures.delete(app.evidence);
    const preparations = preparationsOf(app, post);
    /** Since when all is up and only has to stay so before it is prepared. */
    let heldSince: number | null = null;
    const changes = swarm.changes(app.stack);
    let reported = '';
    const say = (what: string): void => {
      if (what !== reported) report(what);
      reported = what;
    };
    const asked: Asking = {
      served: null,
      pending: null,
      refusal: 'it has not been asked yet',
      unreachable: false,
      refusals: 0,
      againAt: 0,
      broken: null,
    };

    /** Asks beside the watching, so that an answer that takes long hides nothing from it. */
    const startAsking = (tasks: string, seen: Observation, what: Question): void => {
      const pending = { tasks, end: new AbortController() };
      asked.pending = pending;
      if (asked.refusals === 0) asked.refusal = 'it was asked, and there is no answer yet';
      const timeoutMs = Math.min(PROBE_TIMEOUT_MS, Math.max(PROBE_LEAST_MS, expected.deadline - seen.at));
      prober
        .ask(app, what, seen, { timeoutMs, signal: AbortSignal.any([signal, pending.end.signal]) })
        .then(
          (answer) => {
            if (answer.serves) {
              asked.served = tasks;
              // Beside the watching, which takes longer.
              picture(app).catch(() => undefined);
            } else {
              asked.refusal = answer.why;
              asked.unreachable = answer.unreachable;
              asked.againAt = Date.now() + (PROBE_PAUSES_MS[asked.refusals++] ?? POLL_MS);
            }
          },
          (error: unknown) => {
            if (!pending.end.signal.aborted) asked.broken = { error };
          },
        )
        .finally(() => {
          if (asked.pending === pending) asked.pending = null;
          changes.wake();
        });
    };
    const stopAsking = (): void => {
      asked.pending?.end.abort();
      asked.pending = null;
    };

    /**
     * One that fails while tasks are replaced found an app that crashed, as apps may until the deadline: it is run
     * again when all run again.
     */
    const makeReady = async (seen: Observation, preparation: Preparation): Promise<Outcome> => {
      const began = heldSince ?? Date.now();
      const done = await preparation.run();
      heldSince = null;
      const grace = Math.min(Date.now() - began, preparation.graceMs);
      preparation.graceMs -= grace;
      // The step must not end before the app can be judged.
      expected.deadline = Math.min(expected.deadline + grace, Date.now() + longestDeployment());
      if (done?.result !== 'fail') {
        preparations.shift();
        return { ok: true };
      }
      const heardBy = Date.now() + SWARM_LAG_MS;
      for (;;) {
        const now = await swarm.observe(app.stack);
        const replaced = allRunning(now) !== allRunning(seen);
        if (replaced && now.at < expected.deadline) return { ok: true };
        if (replaced || now.at >= heardBy) {
          return { ok: false, reason: done.reason, service: null, seen: now, evidence: done.evidence };
        }
        await changes.next(heardBy - now.at);
      }
    };

    const clockSet = watchClock();
    try {
      for (;;) {
        if (asked.broken !== null) throw asked.broken.error;
        const seen = await swarm.observe(app.stack);
        refuseSetClock(app.stack, clockSet());
        refuseVanished(app.stack, expected, seen);
        const judgement = judge(seen, expected);
        const [preparation] = preparations;
        let wait = POLL_MS;
        if (judgement.is === 'failed') {
          return { ok: false, reason: judgement.reason, service: judgement.service, seen };
        }
        if (judgement.is === 'waiting') {
          stopAsking();
          heldSince = null;
          say(`waiting: ${judgement.why}`);
        } else if (preparation !== undefined && preparation.onceStable && judgement.is !== 'converged') {
          heldSince ??= seen.at;
          say('all up; its commands are run once it stayed so');
          wait = Math.min(wait, judgement.until - seen.at);
        } else if (preparation !== undefined) {
          const made = await makeReady(seen, preparation);
          if (!made.ok) return made;
          continue;
        } else {
          const tasks = allRunning(seen);
          const unanswered = question !== null && asked.served !== tasks;
          if (!unanswered && judgement.is === 'converged') return { ok: true };
          if (unanswered && seen.at >= expected.deadline) {
            if (asked.unreachable) throw new Fault('Network', asked.refusal);
            const reason = noAnswer(question, asked.refusal, seen);
            return { ok: false, reason, service: question.service, seen };
          }
          say(unanswered ? `waiting for an answer: ${asked.refusal}` : 'all up; watching that it stays so');
          if (asked.pending !== null && asked.pending.tasks !== tasks) stopAsking();
          if (unanswered && asked.pending === null && seen.at >= asked.againAt)
            startAsking(tasks, seen, question);
          if (judgement.is === 'stable until') wait = Math.min(wait, judgement.until - seen.at);
          if (unanswered && asked.pending === null)
            wait = Math.min(wait, Math.max(0, asked.againAt - seen.at));
          if (unanswered) wait = Math.min(wait, Math.max(0, expected.deadline - seen.at));
        }
        await changes.next(wait);
      }
    } finally {
      stopAsking();
      changes.close();
      // No browser outlives the deployment; what came of the picture is asked when evidence is kept.
      await pictures.get(app.evidence)?.catch(() => undefined);
    }
  }

  /** The IDs of the tasks that run, by service; and whether the engine knows already that one of them has ended. */
  async function runningNow(stack: string): Promise<{
    seen: Observation;
    tasks: Record<string, string>;
    ended: (ids: string | undefined) => boolean;
  }> {
    const [seen, containers] = await Promise.all([swarm.observe(stack), swarm.containers(stack)]);
    const tasks = seen.services.map((service): [string, string] => {
      const ids = runningTasks(service).map(({ id }) => id);
      return [service.name, ids.sort().join(' ')];
    });
    const dead = containers.filter(({ runs }) => !runs).map(({ taskId }) => taskId);
    const ended = (ids = ''): boolean => ids !== '' && ids.split(' ').some((id) => dead.includes(id));
    return { seen, tasks: Object.fromEntries(tasks), ended };
  }

  /**
   * Takes the one picture of a deployment's page. Null when it is there, or the app has no page; the answer says why
   * there is no picture of the page it has.
   */
  function picture(app: App): Promise<string | null> {
    const taken = pictures.get(app.evidence) ?? takePicture(app);
    pictures.set(app.evidence, taken);
    return taken;
  }

  async function takePicture(app: App): Promise<string | null> {
    const { APP_URL: url, APP_ADDRESS: address = null } = await environment(app);
    if (url === undefined) return null;
    if (config.probe.via === 'task' && address === null) return 'no task of the app that could be asked runs';
    const { probe } = app.settings;
    const asked = probe?.protocol === 'http' ? probe.path : ANY_ANSWER.path;
    const file = path.join(app.evidence, SCREENSHOT);
    return takeScreenshot(run, { url: `${url}${asked}`, address }, file);
  }

  return {
    async deploy(app, occasion = 'deploy') {
      try {
        return await bringUp(app, occasion);
      } catch (error) {
        if (error instanceof Red) return { ok: false, reason: error.message, evidence: error.file };
        if (!(error instanceof RecipeProblem)) throw error;
        const text = `${error.lines.join('\n')}\n`;
        const evidence = await keep(app.evidence, 'recipe-problem.txt', text);
        return { ok: false, reason: error.message, evidence };
      }
    },

    async undeploy(stack) {
      await removal.stop(stack);
    },

    async remove(stack) {
      await removal.stop(stack);
      await removal.discard(stack, ['secret', 'volume'], () => true);
      passBoundary('remove.after-volumes');
    },

    volumes: (stack) => volumesOf(docker, stack),

    async keptElsewhere(app) {
      return (await prepareOrNull(app))?.volumesElsewhere ?? [];
    },

    async secrets(stack) {
      const things = await swarm.labelled(`${STACK_LABEL}=${stack}`);
      return things.flatMap(({ kind, name }) => (kind === 'secret' ? [name] : [])).sort();
    },

    async atRest(app) {
      const services = await servicesOf(app);
      const deadline = Date.now() + Math.min(config.limits.deploy, longestDeployment());
      const changes = swarm.changes(app.stack);
      try {
        for (;;) {
          const { seen, tasks, ended } = await runningNow(app.stack);
          const moving = services.flatMap(({ name }) => {
            const service = seen.services.find((one) => one.name === name);
            if (service === undefined) return [`${name} is gone`];
            const oneShot = app.settings.oneShot.includes(name);
            // What crashes over and over runs at times.
            const isYoung = runningTasks(service).some(({ since }) => seen.at - since < REST_MS);
            const what =
              inFlight(service, { oneShot }) ??
              (ended(tasks[name]) ? 'has just ended' : isYoung ? 'has just started' : null);
            const failure = lastFailure(service.tasks);
            return what === null ? [] : [`${name} ${what}${failure === null ? '' : ` (${failure})`}`];
          });
          if (moving.length === 0) return { ok: true, tasks };
          const reason = quotableLine(moving.join(', '));
          if (seen.at >= deadline) return { ok: false, reason };
          report(`waiting: ${reason}`);
          await changes.next(Math.min(POLL_MS, deadline - seen.at));
        }
      } finally {
        changes.close();
      }
    },

    async goneTasks(stack, tasks) {
      const heardBy = Date.now() + SWARM_LAG_MS;
      const changes = swarm.changes(stack);
      try {
        for (;;) {
          const { seen, tasks: now, ended } = await runningNow(stack);
          const gone = Object.keys(tasks).filter(
            (service) => now[service] !== tasks[service] || ended(tasks[service]),
          );
          if (gone.length > 0 || seen.at >= heardBy) return gone;
          await changes.next(heardBy - seen.at);
        }
      } finally {
        changes.close();
      }
    },

    async services(app) {
      const names = (await servicesOf(app)).map(({ name }) => name);
      const services = await swarm.services(app.stack);
      return {
        ofRelease: services.filter(({ name }) => names.includes(name)),
        older: services.flatMap(({ name }) => (names.includes(name) ? [] : [name])),
      };
    },

    async exec(stack, service, command, timeoutMs) {
      const seen = await swarm.observe(stack);
      const container = await runningContainer(swarm, stack, seen, service);
      if (container === null) {
        throw new Fault('Daemon', `${stack}_${service} has no running container to run a command in`);
      }
      const killedBefore = await oomKills();
      const done = await swarm.exec(container, command, timeoutMs);
      refuseKilledCommand(stack, service, seen, done.status, killedBefore !== (await oomKills()));
      return done;
    },

    environment,

    watchEngine,

    fit,

    async keepEvidence(app, since) {
      report('keeping evidence');
      await keepAll({
        swarm,
        stack: app.stack,
        folder: app.evidence,
        since,
        signal,
        picture: () => picture(app),
      });
    },

    async trim(stack, kept) {
      await removal.discard(
        stack,
        ['volume', 'secret', 'config'],
        ({ kind, name }) =>
          !(kind === 'volume' && kept.volumes.includes(name)) &&
          !(kind === 'secret' && kept.secrets.includes(name)),
      );
    },

    async ensureVolume(stack, recipe, name) {
      const inspect = (): Promise<Dockerode.VolumeInspectInfo | null> =>
        engineOrNull(`looking at volume ${name}`, () => docker.getVolume(name).inspect());
      let found = await inspect();
      if (found === null) {
        await guard();
        await engine(`creating volume ${name}`, () =>
          docker.createVolume({
            Name: name,
            Labels: {
              [STACK_LABEL]: stack,
              [LABEL.zone]: zone,
              [LABEL.recipe]: recipe,
              [LABEL.lifetime]: 'warm',
            },
          }),
        );
        found = await inspect();
      }
      if (found === null)
        throw new Fault('Daemon', `volume ${name} was created, but the engine does not have it`);
      if ((found.Labels as Labels)?.[LABEL.zone] !== zone) {
        throw new Fault('NotOurs', `volume ${name} lacks the label ${LABEL.zone}=${zone}: it is not ours`);
      }
      return { name, mountpoint: found.Mountpoint };
    },

    async owned() {
      return stacksOf(await swarm.labelled(`${LABEL.zone}=${zone}`));
    },

    async removeOldImages(keep) {
      if ((await pulled.list()).size === 0) return [];
      // This comes before the preflight, and an engine that does not answer is for that to find.
      const answers = docker.ping().then(
        () => true,
        () => false,
      );
      if (!(await Promise.race([answers, sleep(PING_MS, false, { ref: false })]))) {
        throw new Fault('Daemon', `the Docker engine does not answer at ${config.docker.socket}`);
      }
      if ((await otherZones(swarm, zone)).length > 0) return [];
      const { problems } = await removeUnneededImages({ docker, guard, pulled }, keep);
      return problems;
    },
  };
}

/** The engine answers null for a volume without labels, whatever the types say. */
type Labels = Record<string, string> | null;

/** Why the probe failed; a task that keeps ending explains it better than a refused connection does. */
function noAnswer({ service: asked }: Question, refusal: string, seen: Observation): string {
  const failure = seen.services.flatMap((service) => {
    const said = lastFailure(service.tasks);
    return said === null ? [] : [`; ${service.name}: ${said}`];
  });
  return `${asked} does not answer as it should at the deadline: ${refusal}${failure.join('')}`;
}

function allRunning(seen: Observation): string {
  return seen.services
    .flatMap(({ tasks }) => tasks.filter(({ state }) => state === 'running').map(({ id }) => id))
    .sort()
    .join(' ');
}

/** Since when tasks run is told by the same clock that says what time it is now. */
function refuseSetClock(stack: string, setMs: number): void {
  if (Math.abs(setMs) < CLOCK_TOLERANCE_MS) return;
  const by = `${Math.abs(setMs / 1000).toFixed(1)} s ${setMs > 0 ? 'forward' : 'back'}`;
  throw new Fault(
    'Clock',
    `${stack}: this host's clock was set ${by}, or the host slept, while it was watched: nothing was learned; see timedatectl`,
  );
}

/** The swarm took every service, so one that is not there now was removed by somebody: no fault of the package. */
function refuseVanished(stack: string, expected: Expectation, seen: Observation): void {
  const there = new Set(seen.services.map(({ name }) => name));
  const gone = expected.services.map(({ name }) => name).filter((name) => !there.has(name));
  if (gone.length === 0) return;
  throw new Fault(
    'Daemon',
    `${stack}: somebody removed ${gone.join(', ')} while it was being tested; see docker events`,
  );
}

/** The zones of other installations that something on this engine belongs to. */
export async function otherZones(swarm: Pick<Swarm, 'labelled'>, zone: string): Promise<string[]> {
  const zones = (await swarm.labelled(LABEL.zone)).map(({ labels }) => labels[LABEL.zone] ?? '');
  return [...new Set(zones)].filter((other) => other !== zone).sort();
}

/** The stacks that these things are of. */
export function stacksOf(things: readonly Labelled[]): OwnedStack[] {
  const stacks = new Map<string, Labelled[]>();
  for (const thing of things) {
    const stack = thing.labels[STACK_LABEL];
    if (stack !== undefined) stacks.set(stack, [...(stacks.get(stack) ?? []), thing]);
  }
  return [...stacks]
    .map(([stack, its]): OwnedStack => ({
      stack,
      recipe: its[0]?.labels[LABEL.recipe] ?? '',
      lifetime: lifetimeOf(its),
      running: its.some(({ kind }) => kind === 'service' || kind === 'container'),
    }))
    .sort((a, b) => (a.stack < b.stack ? -1 : 1));
}

/** Known only when all of a stack says the same: a word of a later version, or none, is no leave to remove it. */
function lifetimeOf(things: readonly Labelled[]): OwnedStack['lifetime'] {
  const [said, ...others] = new Set(things.map(({ labels }) => labels[LABEL.lifetime]));
  return others.length === 0 && (said === 'cold' || said === 'warm') ? said : null;
}
