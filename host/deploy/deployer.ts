import type { App, ImageSeen } from '../../domain/app.ts';
import type { LabelledService } from '../../domain/backup-plan.ts';
import type { ExecResult } from '../engine/exec.ts';
import type { Volume } from '../engine/volumes.ts';
import type { EngineWatch } from '../engine/watch-engine.ts';

/**
 * What the activities ask of whatever installs a recipe. `swarm` speaks the recipe format itself over
 * `docker stack deploy` (swarm-deployer.ts); a deployer that drives abra fits the same interface.
 */

/**
 * What came of a deployment. Not ok means the package failed (a red result); whatever says nothing about the
 * package (registry, network, daemon, disk) is thrown as a Fault instead.
 */
export type Deployment =
  | {
      ok: true;
      images: Record<string, ImageSeen>;
      /** False where nothing says how: then it was judged by its tasks alone. */
      asked: boolean;
    }
  | { ok: false; reason: string; /** The file with the rest. */ evidence: string };

/** How a release is once nothing of it is in flight, or at the deadline. */
export type Rest =
  | { ok: true; /** IDs of the tasks that run, by service. */ tasks: Readonly<Record<string, string>> }
  | { ok: false; reason: string };

/**
 * What an operator would do where we deploy: install or deploy again with `abra app deploy`, take what runs to the
 * release with `abra app upgrade`, or start again what was stopped. The first two end with the commands that the
 * recipe has for them.
 */
export type Occasion = 'deploy' | 'upgrade' | 'restart';

/** A stack that carries our labels, whatever of it still exists. */
export interface OwnedStack {
  stack: string;
  recipe: string;
  /** Null when its labels do not say, or say what this version does not know. Only what is `cold` is removable. */
  lifetime: 'cold' | 'warm' | null;
  /** Containers or services exist: it is not merely retained data. */
  running: boolean;
}

/** The services of an app as they are deployed. */
export interface DeployedServices {
  ofRelease: LabelledService[];
  /** Names of those that an older release left, which keep running as they do in the field. */
  older: string[];
}

export interface Deployer {
  /**
   * Brings the app up, or takes it to this release in place, and judges it: every service at its full
   * replicas and stable across a window longer than its restart delay, no rollback, image and spec as asked
   * for, and the app itself answers. Runs the recipe's hooks install and ready at their moments, and its commands
   * for the occasion, which is 'deploy' unless it is said. Ends at its own deadline. Safe to call again on a
   * half-done deployment.
   */
  deploy(app: App, occasion?: Occasion): Promise<Deployment>;
  /**
   * Waits until each service of the release has its replicas, none of which started or ended a moment ago, and none
   * is being updated. Ends at its own deadline.
   */
  atRest(app: App): Promise<Rest>;
  /**
   * The services of which other tasks run than those; none only after as long as the swarm may take to hear that a
   * container ended.
   */
  goneTasks(stack: string, tasks: Readonly<Record<string, string>>): Promise<string[]>;
  services(app: App): Promise<DeployedServices>;
  /**
   * Runs a shell command in the running container of a service. Null status: it took longer than `timeoutMs`.
   * Throws Fault Daemon when the service has no running container.
   */
  exec(stack: string, service: string, command: string, timeoutMs: number): Promise<ExecResult>;
  /** What hooks and checks of a deployed app are told; docs/recipes.md lists the names. */
  environment(app: App): Promise<Record<string, string>>;
  /** Watches the engine from now on: its restart ends every container. */
  watchEngine(): Promise<EngineWatch>;
  /** The text fit to be kept: without colours, the stack's secrets masked, what else steers a terminal written out. */
  fit(stack: string, text: string): Promise<string>;
  /** Writes what is learned of a running deployment into its evidence folder: logs, tasks, events since then. */
  keepEvidence(app: App, since: Date): Promise<void>;
  /** Stops the stack and waits until its containers, then its networks, are gone; volumes and secrets stay. */
  undeploy(stack: string): Promise<void>;
  /** Like undeploy, then removes the stack's secrets, configs and volumes as well. */
  remove(stack: string): Promise<void>;
  /** The volumes of a stack, by name. */
  volumes(stack: string): Promise<Volume[]>;
  /**
   * The volumes of a release, as compose names them, whose data lies where their driver options say and stays there:
   * a share, a disk. None of a release whose files are wrong.
   */
  keptElsewhere(app: App): Promise<string[]>;
  /** The names of a stack's secrets. */
  secrets(stack: string): Promise<string[]>;
  /** Removes the volumes, secrets and configs of an undeployed stack that are not named here. */
  trim(stack: string, keep: { volumes: readonly string[]; secrets: readonly string[] }): Promise<void>;
  /** Makes a volume as a deployment of the stack would, to restore data into. */
  ensureVolume(stack: string, recipe: string, name: string): Promise<Volume>;
  /** Every stack of our zone on this engine, from labels alone. */
  owned(): Promise<OwnedStack[]>;
  /**
   * Removes images that we brought onto this engine and that no deployment has needed since `before`, but for those
   * whose digest is named here, or that anybody's container or service has. Removes none on an engine that another
   * installation uses too, whose records cannot be seen from here. Answers what could not be removed, and why.
   */
  removeOldImages(keep: { before: Date; digests: ReadonlySet<string> }): Promise<string[]>;
}
