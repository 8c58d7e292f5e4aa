import type { App } from '../../domain/app.ts';
import { inFlight, lastFailure, runningTasks, type Observation } from '../../domain/convergence.ts';
import { quotableLine } from '../../domain/printable.ts';
import { SWARM_LAG_MS } from '../engine/observe.ts';
import type { Swarm } from '../engine/swarm.ts';
import type { PreparedRecipes } from './prepared-recipes.ts';

/** How a release is once nothing of it is in flight, or at the deadline. */
export type Rest =
  | { ok: true; /** IDs of the tasks that run, by service. */ tasks: Readonly<Record<string, string>> }
  | { ok: false; reason: string };

/** Whether something of a running app moves, and which of its tasks went. */
export interface RunningTasks {
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
  /** The services of which a task was made since then. */
  startedSince(stack: string, since: Date): Promise<string[]>;
}

/** A task that runs for so long is at rest, in milliseconds. */
const REST_MS = 2_000;
const POLL_MS = 1_000;

export interface RunningTasksSettings {
  swarm: Pick<Swarm, 'observe' | 'containers' | 'changes'>;
  recipes: Pick<PreparedRecipes, 'servicesOf'>;
  report: (what: string) => void;
  /** How long it may take until an app is at rest. */
  longestMs: () => number;
}

export function createRunningTasks({
  swarm,
  recipes,
  report,
  longestMs,
}: RunningTasksSettings): RunningTasks {
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

  return {
    async atRest(app) {
      const services = await recipes.servicesOf(app);
      const deadline = Date.now() + longestMs();
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

    async startedSince(stack, since) {
      const { services } = await swarm.observe(stack);
      return services.flatMap(({ name, tasks }) =>
        tasks.some(({ created }) => created >= since.getTime()) ? [name] : [],
      );
    },
  };
}
