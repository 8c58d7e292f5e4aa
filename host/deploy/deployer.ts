import type { App, ImageSeen } from '../../domain/app.ts';
import type { StackRef } from '../../domain/lifetime.ts';

/**
 * What the steps ask of whatever installs a recipe, and no more than that: `docker stack deploy` by our own hands
 * (swarm-deployer.ts), or something that drives abra. What is asked of the engine whoever deployed is in stacks.ts.
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

/**
 * What an operator would do where we deploy: install or deploy again with `abra app deploy`, take what runs to the
 * release with `abra app upgrade`, or start again what was stopped. The first two end with the commands that the
 * recipe has for them.
 */
export type Occasion = 'deploy' | 'upgrade' | 'restart';

/**
 * What an app must show to be up. `lasts`: it stays up, across a window longer than its restart delay. `answers` is for
 * what has shown that before: it is up for longer than any task of it lived that failed, and answers; where nobody is to
 * be asked, it has to last.
 */
export type Proof = 'lasts' | 'answers';

/** Whether something can be said of what was not deployed: not ok with the reason and the file with the rest. */
export type Readiness = { ok: true } | { ok: false; reason: string; evidence: string };

/** Each of these throws Fault NotOurs, and touches nothing, where checkOurs (host/engine/ownership.ts) refuses the stack. */
export interface Deployer {
  /**
   * Does what a deployment of the app begins with and that changes nothing that runs: looks at its files, at what stands
   * where it goes, and fetches its images. Not ok where the package is known to fail by then.
   */
  makeReady(app: App): Promise<Readiness>;
  /**
   * Brings the app up, or takes it to this release in place, and judges it: every service at its full
   * replicas and stable across a window longer than its restart delay, no rollback, image and spec as asked
   * for, and the app itself answers. Runs the recipe's hooks install and ready at their moments, and its commands
   * for the occasion, which is 'deploy' unless it is said; the proof is 'lasts'. Ends at its own deadline. Safe to
   * call again on a half-done deployment.
   */
  deploy(app: App, occasion?: Occasion, proof?: Proof): Promise<Deployment>;
  /** Stops the stack and waits until its containers, then its networks, are gone; volumes and secrets stay. */
  undeploy(stack: StackRef): Promise<void>;
  /** Like undeploy, then removes the stack's secrets, configs and volumes as well. */
  remove(stack: StackRef): Promise<void>;
}
