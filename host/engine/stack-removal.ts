import { Fault, messageOf } from '../../domain/fault.ts';
import { all } from '../machine/all.ts';
import { passBoundary } from '../machine/boundary.ts';
import type { StackRef } from '../../domain/lifetime.ts';
import { checkOurs, madeByDocker, type ReconciledStack } from './ownership.ts';
import type { ServiceContainer } from './containers.ts';
import { STACK_LABEL } from './stack-label.ts';
import type { Swarm } from './swarm.ts';
import type { Kind, Labelled } from './things.ts';

/**
 * Takes a stack away in the one order that leaks nothing: services, then (once every container has left its
 * networks and volumes, and the swarm knows) networks, then what nobody uses any more. `docker stack rm` removes
 * networks while tasks still stop. Then an immediate redeployment fails; and of a task that ends after one of its
 * networks is gone, swarmkit releases no address on those that come after it, such as the proxy's
 * (cnmallocator, releaseEndpoints), so that in time the proxy's network has none left.
 */
export interface StackRemoval {
  /** Everything of a stack that may be changed. Throws Fault NotOurs as checkOurs does, as does all that follows. */
  ours(stack: StackRef): Promise<Labelled[]>;
  /** Stops the stack and waits until its containers and networks are gone. Volumes, secrets stay. */
  stop(stack: StackRef): Promise<void>;
  /** Removes those things of a stopped stack that are of these kinds and pass the test. */
  discard(stack: StackRef, kinds: readonly Kind[], test: (thing: Labelled) => boolean): Promise<void>;
}

/** After the services' own grace, before containers are ended by force. */
const PATIENCE_MS = 15_000;
/** After that, before giving up. */
const LAST_WAIT_MS = 60_000;
/** For containers whose service is gone already. */
const SHORT_GRACE_MS = 10_000;
const POLL_MS = 1_000;
/** Before looking again at what docker tells no event of. Each wait is a tenth longer than the one before. */
const FIRST_WAIT_MS = 20;
const LONGER = 1.1;

/** The engine's words for "not yet": something it knows of still holds on. */
const IN_USE = /active endpoints|in use/i;

export interface RemovalSettings {
  swarm: Swarm;
  zone: string;
  reconciled?: ReconciledStack | null;
  report: (what: string) => void;
}

export function createStackRemoval({ swarm, zone, reconciled, report }: RemovalSettings): StackRemoval {
  async function ours(ref: StackRef): Promise<Labelled[]> {
    const things = await swarm.labelled(`${STACK_LABEL}=${ref.stack}`);
    checkOurs(things, zone, ref, reconciled);
    return things;
  }

  async function untilContainersAreGone(ref: StackRef, graceMs: number): Promise<void> {
    const { stack } = ref;
    const changes = swarm.changes(stack);
    const forceAt = Date.now() + graceMs + PATIENCE_MS;
    let forced = false;
    let waitMs = FIRST_WAIT_MS;
    try {
      for (;;) {
        const [things, live] = await Promise.all([ours(ref), swarm.liveTasks(stack)]);
        const containers = things.filter(({ kind }) => kind === 'container');
        const volumes = things.filter(({ kind }) => kind === 'volume');
        const holders = await Promise.all(volumes.map(({ name }) => swarm.containersOf(name)));
        if (containers.length === 0 && live === 0 && holders.flat().length === 0) return;
        report(`stopping: ${containers.length} containers left`);
        if (Date.now() > forceAt && !forced) {
          forced = true;
          for (const container of containers) await swarm.remove(container);
        }
        if (Date.now() > forceAt + LAST_WAIT_MS) {
          const left = [...containers.map(({ name }) => name), ...new Set(holders.flat())].join(', ');
          throw new Fault(
            'Daemon',
            `stack ${stack} did not stop: ${left || `${live} tasks`} still there; see docker ps -a and the engine's log`,
          );
        }
        // docker tells of containers, not of what the swarm knows of their tasks.
        await changes.next(containers.length > 0 ? POLL_MS : (waitMs *= LONGER));
      }
    } finally {
      changes.close();
    }
  }

  async function discard(
    ref: StackRef,
    kinds: readonly Kind[],
    test: (thing: Labelled) => boolean,
  ): Promise<void> {
    const { stack } = ref;
    const changes = swarm.changes(stack);
    const deadline = Date.now() + LAST_WAIT_MS;
    const removed = new Set<string>();
    let waitMs = FIRST_WAIT_MS;
    try {
      for (;;) {
        const left = (await ours(ref)).filter((thing) => kinds.includes(thing.kind) && test(thing));
        if (left.length === 0) return;
        let held: string | null = null;
        const lingering = left.some(({ id }) => removed.has(id));
        // While something with our label is left, since that is what shows whose they are.
        const unlabelled = left.filter((thing) => madeByDocker(stack, thing));
        for (const thing of unlabelled.length > 0 ? unlabelled : left) {
          try {
            await swarm.remove(thing);
            removed.add(thing.id);
          } catch (error) {
            if (!IN_USE.test(messageOf(error))) throw error;
            held = messageOf(error);
          }
        }
        if (Date.now() > deadline) {
          const names = left.map(({ kind, name }) => `${kind} ${name}`).join(', ');
          throw new Fault('Daemon', `could not remove ${names}: ${held ?? 'still listed after its removal'}`);
        }
        // Most things are gone at once; what is still in use, or listed although it was removed, takes a while.
        if (held !== null || lingering) await changes.next((waitMs *= LONGER));
      }
    } finally {
      changes.close();
    }
  }

  return {
    ours,
    async stop(ref) {
      const { stack } = ref;
      const services = (await ours(ref)).filter(({ kind }) => kind === 'service');
      const graces = await swarm.stopGraces(stack);
      const stopContainer = ({ id, service }: ServiceContainer): Promise<void> =>
        swarm.stop(id, graces.get(service) ?? SHORT_GRACE_MS);
      const running = await swarm.containers(stack);
      // Each service goes when its containers have stopped. The other way round the engine hears that a task is to
      // go while its container runs, waits for 2 s before it stops it, and tells of the task's end only after that
      // (moby, executor/container/controller.go, Shutdown).
      await all(
        services.map(async (service) => {
          const its = running.filter((one) => `${stack}_${one.service}` === service.name);
          await all(its.map(stopContainer));
          passBoundary('stop.before-service');
          await swarm.remove(service);
        }),
      );
      passBoundary('stop.after-services');
      // Those, and what the swarm started meanwhile.
      await all(
        (await swarm.containers(stack)).map(async (container) => {
          await stopContainer(container);
          await swarm.remove({ kind: 'container', id: container.id, name: container.id });
        }),
      );
      await untilContainersAreGone(ref, Math.max(0, ...graces.values()));
      passBoundary('stop.after-containers');
      await discard(ref, ['network', 'config'], () => true);
      passBoundary('stop.after-networks');
    },
    discard,
  };
}
