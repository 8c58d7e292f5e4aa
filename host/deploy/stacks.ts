import type Dockerode from 'dockerode';
import type { App } from '../../domain/app.ts';
import type { LabelledService } from '../../domain/backup-plan.ts';
import { Fault } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import type { StackRef } from '../../domain/lifetime.ts';
import type { Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import { runningContainer } from '../engine/containers.ts';
import { engine, engineOrNull } from '../engine/daemon.ts';
import { imageBytes } from '../engine/images.ts';
import type { ExecResult } from '../engine/exec.ts';
import { checkOurs, stacksOf, type OwnedStack, type ReconciledStack } from '../engine/ownership.ts';
import { oomKills, refuseKilledCommand } from '../engine/platform-trouble.ts';
import { createPulledImages } from '../engine/pulled-images.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import type { StackRemoval } from '../engine/stack-removal.ts';
import type { Swarm } from '../engine/swarm.ts';
import { volumesOf, type Volume } from '../engine/volumes.ts';
import type { Spend } from '../machine/stopwatch.ts';
import { createProber, taskAddress } from '../probe/prober.ts';
import { longestDeployment } from './longest-deployment.ts';
import { deployedHttp } from './app-environment.ts';
import { createImagesAhead, type ImagesAhead } from './images-ahead.ts';
import { createOldImages, type OldImages } from './old-images.ts';
import type { PreparedRecipes } from './prepared-recipes.ts';
import { createRunningApps, type RunningApps } from './running-app.ts';
import { createRunningTasks, type RunningTasks } from './running-tasks.ts';

/** The services of an app as they are deployed. */
export interface DeployedServices {
  ofRelease: LabelledService[];
  /** Names of those that an older release left, which keep running as they do in the field. */
  older: string[];
}

/** What is asked of the engine about stacks, and done with what they keep, whoever deployed them. */
export interface Stacks extends RunningTasks, RunningApps, ImagesAhead, OldImages {
  /** Every stack of our zone on this engine, from labels alone. */
  owned(): Promise<OwnedStack[]>;
  services(app: App): Promise<DeployedServices>;
  /**
   * Runs a shell command in the running container of a service. Null status: it took longer than `timeoutMs`.
   * Throws Fault Daemon when the service has no running container.
   */
  exec(stack: string, service: string, command: string, timeoutMs: number): Promise<ExecResult>;
  /** What hooks and checks of a deployed app are told; docs/recipes.md lists the names. */
  environment(app: App): Promise<Record<string, string>>;
  /**
   * Where this host itself speaks HTTP with what is deployed: with the task on this host, where there is one, else at its
   * domain. Null where apps are asked at their tasks alone, and none is here.
   */
  origin(deployed: { stack: string; domain: string }): Promise<string | null>;
  /** The volumes of a stack, by name. */
  volumes(stack: string): Promise<Volume[]>;
  /**
   * The volumes of a release, as compose names them, whose data lies where their driver options say and stays there:
   * a share, a disk. None of a release whose files are wrong.
   */
  keptElsewhere(app: App): Promise<string[]>;
  /** What the images with these digests take on the engine, in bytes. */
  imageBytes(digests: ReadonlySet<string>): Promise<number>;
  /** The names of a stack's secrets. */
  secrets(stack: string): Promise<string[]>;
  /**
   * Removes the volumes, secrets and configs of an undeployed stack that are not named here. Throws Fault NotOurs where
   * checkOurs refuses the stack.
   */
  trim(stack: StackRef, keep: { volumes: readonly string[]; secrets: readonly string[] }): Promise<void>;
  /** Makes a volume as a deployment of the stack would, to restore data into. Throws Fault NotOurs as trim does. */
  ensureVolume(stack: StackRef, recipe: string, name: string): Promise<Volume>;
}

export interface StacksSettings extends EngineAccess {
  config: Pick<Config, 'zone' | 'state' | 'docker' | 'probe' | 'limits'>;
  swarm: Swarm;
  removal: StackRemoval;
  reconciled: ReconciledStack | null;
  recipes: PreparedRecipes;
  environment: Stacks['environment'];
  report: (what: string) => void;
  /** Notes what time is spent on. */
  spend: Spend;
  /** When the step is ended, milliseconds since the epoch. */
  until: number;
}

export function createStacks(settings: StacksSettings): Stacks {
  const { config, docker, signal, guard, swarm, removal, reconciled, recipes, environment } = settings;
  const { report, spend, until } = settings;
  const { zone } = config;
  const longestMs = (): number => Math.min(config.limits.deploy, longestDeployment(until));

  const running = createRunningTasks({ swarm, recipes, report, longestMs });
  const pulled = createPulledImages(config.state, () => new Date());
  const { via } = config.probe;
  const prober = createProber({ via, swarm, signal });

  return {
    ...running,
    ...createRunningApps({ via, swarm, prober, recipes, running, signal, report }),
    ...createImagesAhead({ config, docker, signal, guard, report, pulled }),
    ...createOldImages({ config, docker, guard, swarm }),
    environment,

    async owned() {
      return stacksOf(await swarm.labelled(`${LABEL.zone}=${zone}`));
    },

    async services(app) {
      const names = (await recipes.servicesOf(app)).map(({ name }) => name);
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
      const done = await spend('scripts', () => swarm.exec(container, command, timeoutMs));
      refuseKilledCommand(stack, service, seen, done.status, killedBefore !== (await oomKills()));
      return done;
    },

    async origin({ stack, domain }) {
      const http = await deployedHttp(swarm, stack);
      const address = http && (await taskAddress(swarm, stack, await swarm.observe(stack), http.service));
      if (http !== null && address !== null) return `${http.scheme}://${address}:${http.port}`;
      return via === 'proxy' ? `https://${domain}` : null;
    },

    volumes: (stack) => volumesOf(docker, stack),

    async keptElsewhere(app) {
      return (await recipes.orNull(app))?.volumesElsewhere ?? [];
    },

    imageBytes: (digests) => imageBytes(docker, digests),

    async secrets(stack) {
      const things = await swarm.labelled(`${STACK_LABEL}=${stack}`);
      return things.flatMap(({ kind, name }) => (kind === 'secret' ? [name] : [])).sort();
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

    async ensureVolume(ref, recipe, name) {
      await removal.ours(ref);
      const inspect = (): Promise<Dockerode.VolumeInspectInfo | null> =>
        engineOrNull(`looking at volume ${name}`, () => docker.getVolume(name).inspect());
      let found = await inspect();
      if (found === null) {
        await guard();
        await engine(`creating volume ${name}`, () =>
          docker.createVolume({
            Name: name,
            Labels: {
              [STACK_LABEL]: ref.stack,
              [LABEL.zone]: zone,
              [LABEL.recipe]: recipe,
              [LABEL.lifetime]: ref.lifetime,
            },
          }),
        );
        found = await inspect();
      }
      if (found === null)
        throw new Fault('Daemon', `volume ${name} was created, but the engine does not have it`);
      // The engine answers null for a volume without labels, whatever the types say.
      const labels = (found.Labels as Record<string, string> | null) ?? {};
      checkOurs([{ kind: 'volume', id: name, name, labels }], zone, ref, reconciled);
      return { name, mountpoint: found.Mountpoint };
    },
  };
}
