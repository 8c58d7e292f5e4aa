import { messageOf } from '../../domain/fault.ts';
import type { Observation } from '../../domain/convergence.ts';
import type { EngineAccess } from './access.ts';
import { engine, engineOrNull, engineStatus, saysGone } from './daemon.ts';
import { unframed } from './exec-output.ts';
import { ofStack, SERVICE_LABEL } from './stack-label.ts';

/** A container of a stack's service, running or not. */
export interface ServiceContainer {
  id: string;
  service: string;
  taskId: string;
  imageId: string;
  runs: boolean;
}

export interface Containers {
  containers(stack: string): Promise<ServiceContainer[]>;
  /** IDs of all containers that mount the volume, whoever they belong to. */
  containersOf(volume: string): Promise<string[]>;
  /** Stops a container as the swarm would: its stop signal, and force after the grace. Resolves when it has stopped. */
  stop(containerId: string, graceMs: number): Promise<void>;
  /** The address of a container on docker_gwbridge, where this host reaches it; null when it has none. */
  hostAddress(containerId: string): Promise<string | null>;
  /** What the container printed last, both streams; with `since`, nothing older. */
  logs(containerId: string, since?: Date): Promise<string>;
  /** The registry digests of the image that a container runs. */
  imageDigests(imageId: string): Promise<string[]>;
}

const TASK_LABEL = 'com.docker.swarm.task.id';
/** The engine's answer to stopping what has stopped. */
const ALREADY_STOPPED = 304;
const LOG_LINES = 2_000;

/** The container of a service's running task, of those that were seen; null when none runs. */
export async function runningContainer(
  swarm: Pick<Containers, 'containers'>,
  stack: string,
  seen: Observation,
  service: string,
): Promise<string | null> {
  const { tasks = [] } = seen.services.find(({ name }) => name === service) ?? {};
  const task = tasks.find(({ current, state }) => current && state === 'running');
  const found = (await swarm.containers(stack)).find(({ taskId }) => taskId === task?.id);
  return found?.id ?? null;
}

export function createContainers({ docker, signal, guard }: EngineAccess): Containers {
  return {
    async containers(stack) {
      const found = await engine(`listing the containers of ${stack}`, () =>
        docker.listContainers({ all: true, filters: ofStack(stack) }),
      );
      return found.map((container) => ({
        id: container.Id,
        service: (container.Labels[SERVICE_LABEL] ?? '').slice(stack.length + 1),
        taskId: container.Labels[TASK_LABEL] ?? '',
        imageId: container.ImageID,
        runs: container.State === 'running',
      }));
    },

    async containersOf(volume) {
      signal.throwIfAborted();
      const found = await engine(`looking for containers on volume ${volume}`, () =>
        docker.listContainers({ all: true, filters: JSON.stringify({ volume: [volume] }) }),
      );
      return found.map(({ Id }) => Id);
    },

    async stop(containerId, graceMs) {
      signal.throwIfAborted();
      await guard();
      const options = { t: Math.ceil(graceMs / 1000), abortSignal: signal };
      try {
        await engineOrNull(`stopping container ${containerId}`, () =>
          docker.getContainer(containerId).stop(options),
        );
      } catch (error) {
        signal.throwIfAborted();
        if (engineStatus(error) !== ALREADY_STOPPED && !saysGone(messageOf(error))) throw error;
      }
    },

    async hostAddress(containerId) {
      const bridge = await engineOrNull('looking at docker_gwbridge', () =>
        docker.getNetwork('docker_gwbridge').inspect(),
      );
      const ends = (bridge as { Containers?: Record<string, { IPv4Address?: string }> } | null)?.Containers;
      return ends?.[containerId]?.IPv4Address?.split('/')[0] ?? null;
    },

    async logs(containerId, since) {
      const raw = await engineOrNull(`reading the logs of ${containerId}`, () =>
        docker.getContainer(containerId).logs({
          stdout: true,
          stderr: true,
          timestamps: true,
          tail: LOG_LINES,
          follow: false,
          ...(since === undefined ? {} : { since: since.getTime() / 1000 }),
        }),
      );
      return raw === null ? '' : unframed(raw);
    },

    async imageDigests(imageId) {
      const found = await engineOrNull(`looking at image ${imageId}`, () =>
        docker.getImage(imageId).inspect(),
      );
      // The engine answers null for an image that came from no registry, whatever the types say.
      return (found?.RepoDigests as string[] | null | undefined) ?? [];
    },
  };
}
