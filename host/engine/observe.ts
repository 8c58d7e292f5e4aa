import { isDeepStrictEqual } from 'node:util';
import type Dockerode from 'dockerode';
import { ENDED, type Observation, type ServiceSeen, type TaskSeen } from '../../domain/convergence.ts';
import type { EngineAccess } from './access.ts';
import type { Containers } from './containers.ts';
import { engine } from './daemon.ts';
import { containerSpec, milliseconds, serviceName, servicesOf } from './services.ts';
import { ofStack } from './stack-label.ts';

/** What the judge of a deployment is shown: the services of a stack with their tasks, as they are now. */
export interface Observer {
  observe(stack: string): Promise<Observation>;
  /** Tasks of the stack that have not ended. */
  liveTasks(stack: string): Promise<number>;
}

/** What the swarm uses where a spec is silent (moby api/types/swarm, swarmkit defaults). */
const DEFAULT_RESTART_DELAY_MS = 5_000;
const DEFAULT_UPDATE_MONITOR_MS = 5_000;

/** The longest that the swarm takes to learn that a container has ended. */
export const SWARM_LAG_MS = 2_000;

/** A task as the API writes it; the parts that are read here. */
interface ApiTask {
  ID: string;
  CreatedAt: string;
  ServiceID: string;
  NodeID?: string;
  Slot?: number;
  DesiredState: string;
  Spec: Record<string, unknown>;
  Status: {
    Timestamp: string;
    State: string;
    Err?: string;
    ContainerStatus?: { ContainerID?: string; ExitCode?: number };
  };
}

export function createObserver({
  docker,
  signal,
  containers,
}: Pick<EngineAccess, 'docker' | 'signal'> & Pick<Containers, 'containers'>): Observer {
  async function tasksOf(stack: string): Promise<ApiTask[]> {
    return engine(`listing the tasks of ${stack}`, () =>
      docker.listTasks({ filters: ofStack(stack) }),
    ) as Promise<ApiTask[]>;
  }

  return {
    async observe(stack) {
      const [services, tasks, present] = await Promise.all([
        servicesOf({ docker, signal }, stack),
        tasksOf(stack),
        containers(stack),
      ]);
      const imageOf = new Map(present.map(({ taskId, imageId }) => [taskId, imageId]));
      return {
        at: Date.now(),
        services: services.map((service) => serviceSeen(service, stack, tasks, imageOf)),
      };
    },

    async liveTasks(stack) {
      return (await tasksOf(stack)).filter((task) => !ENDED.has(task.Status.State)).length;
    },
  };
}

function serviceSeen(
  service: Dockerode.Service,
  stack: string,
  tasks: readonly ApiTask[],
  imageOf: ReadonlyMap<string, string>,
): ServiceSeen {
  const { Spec: spec, UpdateStatus: update, ServiceStatus: status } = service;
  const template = spec?.TaskTemplate;
  const mode = spec?.Mode;
  const condition = template?.RestartPolicy?.Condition;
  return {
    name: serviceName(stack, service),
    labels: spec?.Labels ?? {},
    image: containerSpec(service)?.Image ?? '',
    replicas: mode?.Replicated
      ? (mode.Replicated.Replicas ?? 1)
      : (mode?.ReplicatedJob?.TotalCompletions ?? Math.max(1, status?.DesiredTasks ?? 1)),
    restarts:
      condition === 'none' || (mode?.ReplicatedJob ?? mode?.GlobalJob)
        ? 'none'
        : condition === 'on-failure'
          ? 'on-failure'
          : 'any',
    memoryLimited: Boolean(template?.Resources?.Limits?.MemoryBytes),
    restartDelayMs: milliseconds(template?.RestartPolicy?.Delay) ?? DEFAULT_RESTART_DELAY_MS,
    updateMonitorMs: milliseconds(spec?.UpdateConfig?.Monitor) ?? DEFAULT_UPDATE_MONITOR_MS,
    update: update?.State === undefined ? null : { state: update.State, message: update.Message ?? '' },
    tasks: tasks
      .filter((task) => task.ServiceID === service.ID)
      .map((task): TaskSeen => ({
        id: task.ID,
        slot: String(task.Slot ?? task.NodeID ?? ''),
        desired: task.DesiredState,
        state: task.Status.State,
        since: Date.parse(task.Status.Timestamp),
        created: Date.parse(task.CreatedAt),
        error: task.Status.Err ?? null,
        exitCode: task.Status.ContainerStatus?.ExitCode ?? null,
        imageId: imageOf.get(task.ID) ?? null,
        current: sameSpec(task.Spec, template as Record<string, unknown> | undefined),
      })),
  };
}

/** What the swarm compares before it replaces a task; where a task may be placed is not part of it. */
const COMPARED = ['ContainerSpec', 'Networks', 'Resources', 'RestartPolicy', 'LogDriver', 'ForceUpdate'];

function sameSpec(task: Record<string, unknown>, service: Record<string, unknown> | undefined): boolean {
  return COMPARED.every((part) => isDeepStrictEqual(task[part], service?.[part]));
}
