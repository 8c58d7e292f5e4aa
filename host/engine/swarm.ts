import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import type Dockerode from 'dockerode';
import type { Observation, ServiceSeen, TaskSeen } from '../../domain/convergence.ts';
import { Fault, messageOf } from '../../domain/fault.ts';
import { COMMAND_MARK } from '../machine/processes.ts';
import { engine, engineOrNull, engineStatus } from './daemon.ts';
import type { LabelledService } from '../../domain/backup-plan.ts';
import { tailOf, unframed } from './exec-output.ts';
import { end, withVariable } from '../machine/processes.ts';

export interface ExecResult {
  status: number | null;
  /** Both streams, the last part of it. */
  output: string;
}

/** Looks whether the engine stayed up. */
export interface EngineWatch {
  /** Throws Fault Daemon when it is away, or was: then `what` came about without the app's doing. */
  check(what: string): Promise<void>;
  close(): void;
}

/** A volume of a stack and the folder its data is in. */
export interface Volume {
  name: string;
  mountpoint: string;
  /** What it holds is not kept in that folder but in memory, or wherever its driver options say. */
  elsewhere?: true;
}

/** The swarm as the deployer sees it: one adapter over the Docker API. Nothing is decided here. */

/** docker's own label on everything of a stack. */
export const STACK_LABEL = 'com.docker.stack.namespace';
const TASK_LABEL = 'com.docker.swarm.task.id';
/** docker's own label on every container of a service. */
export const SERVICE_LABEL = 'com.docker.swarm.service.name';

export const KINDS = ['service', 'container', 'network', 'config', 'secret', 'volume'] as const;
export type Kind = (typeof KINDS)[number];

/** One thing on the engine that carries labels. */
export interface Labelled {
  kind: Kind;
  /** What the API takes to name it: the ID, or the name of a volume. */
  id: string;
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** A container of a stack's service, running or not. */
export interface ServiceContainer {
  id: string;
  service: string;
  taskId: string;
  imageId: string;
  runs: boolean;
}

/** One line of `docker events`. */
export interface StackEvent {
  /** ISO 8601, UTC. */
  time: string;
  /** `container`, `service`, `network`, … */
  type: string;
  action: string;
  name: string;
  /** What else the engine tells; of a container without its labels. */
  more: Readonly<Record<string, string>>;
}

/** Wakes up when something of a stack changes. */
export interface Changes {
  /**
   * Resolves when docker tells of a change, or after so many milliseconds. After a change the next calls
   * resolve after 50, 100 and 200 ms, since the swarm learns of what a container did a moment after it did.
   */
  next(withinMs: number): Promise<void>;
  /** Ends the wait of `next`, now or when it is called, as a change would. */
  wake(): void;
  close(): void;
}

export interface Swarm {
  observe(stack: string): Promise<Observation>;
  /** Starts to listen at once, so that nothing between this call and the first `next` is missed. */
  changes(stack: string): Changes;
  /** Everything that carries the label, or the label with that value. */
  labelled(label: string): Promise<Labelled[]>;
  containers(stack: string): Promise<ServiceContainer[]>;
  /** IDs of all containers that mount the volume, whoever they belong to. */
  containersOf(volume: string): Promise<string[]>;
  /** Tasks of the stack that have not ended. */
  liveTasks(stack: string): Promise<number>;
  /** How long, in milliseconds, each service of the stack is given to stop; never more than five minutes. */
  stopGraces(stack: string): Promise<Map<string, number>>;
  /** Stops a container as the swarm would: its stop signal, and force after the grace. Resolves when it has stopped. */
  stop(containerId: string, graceMs: number): Promise<void>;
  /** The address of a container on docker_gwbridge, where this host reaches it; null when it has none. */
  hostAddress(containerId: string): Promise<string | null>;
  /** The port of this host at which a service's port is published; null when it is not. */
  publishedPort(
    stack: string,
    service: string,
    port: { port: number; protocol: 'tcp' | 'udp' },
  ): Promise<number | null>;
  /** The services of a stack with their labels and the volumes they mount. */
  services(stack: string): Promise<LabelledService[]>;
  /**
   * Runs a command with the container's own sh; both streams, of which the end is kept. One that takes too long,
   * or whose attempt ends, is ended with its children.
   */
  exec(containerId: string, command: string, timeoutMs: number): Promise<ExecResult>;
  /** Watches the engine from now on. */
  watchEngine(): Promise<EngineWatch>;
  /** What the container printed last, both streams; with `since`, nothing older. */
  logs(containerId: string, since?: Date): Promise<string>;
  /**
   * What became of the stack's things since then, oldest first: what was heard while somebody listened for
   * changes, and the little that the engine remembers. Commands run in containers are left out.
   */
  events(stack: string, since: Date): Promise<StackEvent[]>;
  /** The registry digests of an image on the engine. */
  imageDigests(imageId: string): Promise<string[]>;
  /** Removes one thing; that it is gone already is fine. A container is ended by force. */
  remove(thing: Pick<Labelled, 'kind' | 'id' | 'name'>): Promise<void>;
}

/** What the swarm uses where a spec is silent (moby api/types/swarm, swarmkit defaults). */
const DEFAULT_RESTART_DELAY_MS = 5_000;
const DEFAULT_UPDATE_MONITOR_MS = 5_000;
const DEFAULT_STOP_GRACE_MS = 10_000;
/** No teardown waits longer than this for a service that will not stop. */
const LONGEST_STOP_GRACE_MS = 5 * 60_000;

/** The engine's answer to stopping what has stopped. */
const ALREADY_STOPPED = 304;
/** Its answers about a container that has ended, or is gone. */
const NOT_RUNNING = new Set([404, 409]);
/** Its words for what is gone, or going; a network that goes meanwhile is a 500 with them, not a 404. */
const GONE = /\bnot found\b|\bno such\b|removal of container \S+ is already in progress/i;

const LOG_LINES = 2_000;
/** Bytes that are kept of what a command in a container prints. */
const LONGEST_OUTPUT = 256 * 1024;
/** In the environment of one command in a container, by which its processes are found on this host. */
export const EXEC_MARK = 'RECIPE_SWEEP_EXEC';
const EXEC_POLL_MS = 20;
const END_MS = 10_000;
/** The exit status of what was ended by force. */
const KILLED = 137;
const CONTAINER_END_MS = 2_000;
const ECHOES_MS = [50, 100, 200];
const RECONNECT_MS = 500;
const EVENT_TYPES = ['container', 'service', 'network', 'volume', 'secret', 'config'];
/** The engine answers with what it remembers at once. */
const EVENTS_MS = 10_000;
/** Of a stack's events the last ones are kept. */
const MOST_EVENTS = 1_000;

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

interface ApiEvent {
  Type?: string;
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
  timeNano?: number;
}

const ENDED = new Set(['complete', 'failed', 'shutdown', 'rejected', 'orphaned', 'remove']);

export interface SwarmSettings {
  docker: Dockerode;
  signal: AbortSignal;
  /** Awaited before every change that is made. */
  guard: () => Promise<void>;
  /** Marks commands in containers as it does those on this host, so that a later attempt ends what is left. */
  mark: string;
}

/** The container of a service's running task, of those that were seen; null when none runs. */
export async function runningContainer(
  swarm: Pick<Swarm, 'containers'>,
  stack: string,
  seen: Observation,
  service: string,
): Promise<string | null> {
  const { tasks = [] } = seen.services.find(({ name }) => name === service) ?? {};
  const task = tasks.find(({ current, state }) => current && state === 'running');
  const found = (await swarm.containers(stack)).find(({ taskId }) => taskId === task?.id);
  return found?.id ?? null;
}

export function openSwarm({ docker, signal, guard, mark }: SwarmSettings): Swarm {
  const heard: ApiEvent[] = [];
  const ofStack = (stack: string): string => JSON.stringify({ label: [`${STACK_LABEL}=${stack}`] });

  async function tasksOf(stack: string): Promise<ApiTask[]> {
    return engine(`listing the tasks of ${stack}`, () =>
      docker.listTasks({ filters: ofStack(stack) }),
    ) as Promise<ApiTask[]>;
  }

  async function containers(stack: string): Promise<ServiceContainer[]> {
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
  }

  async function servicesOf(stack: string): Promise<Dockerode.Service[]> {
    signal.throwIfAborted();
    return engine(`listing the services of ${stack}`, () =>
      docker.listServices({ filters: ofStack(stack), status: true }),
    );
  }

  /**
   * What a container's end takes with it has failed for no reason of its own; the engine learns of that end a
   * moment after it.
   */
  async function endsSoon(containerId: string): Promise<boolean> {
    const until = Date.now() + CONTAINER_END_MS;
    while (Date.now() < until) {
      const seen = await engineOrNull(`looking at container ${containerId}`, () =>
        docker.getContainer(containerId).inspect(),
      );
      if (seen?.State.Running !== true) return true;
      await sleep(EXEC_POLL_MS, undefined, { signal });
    }
    return false;
  }

  return {
    async observe(stack) {
      const [services, tasks, present] = await Promise.all([
        servicesOf(stack),
        tasksOf(stack),
        containers(stack),
      ]);
      const imageOf = new Map(present.map(({ taskId, imageId }) => [taskId, imageId]));
      return {
        at: Date.now(),
        services: services.map((service) => serviceSeen(service, stack, tasks, imageOf)),
      };
    },

    changes(stack) {
      return listen(docker, stack, signal, (event) => {
        if (isCommand(event)) return;
        heard.push(event);
        if (heard.length > MOST_EVENTS) heard.shift();
      });
    },

    async events(stack, since) {
      signal.throwIfAborted();
      const remembered = await engine(`reading the events of ${stack}`, async () => {
        const stream = await docker.getEvents({
          since: since.getTime() / 1000,
          until: Date.now() / 1000,
          filters: JSON.stringify({ type: EVENT_TYPES }),
          abortSignal: AbortSignal.any([signal, AbortSignal.timeout(EVENTS_MS)]),
        });
        const events: ApiEvent[] = [];
        for await (const line of createInterface({ input: stream }))
          events.push(JSON.parse(line) as ApiEvent);
        return events;
      });
      const all = new Map([...heard, ...remembered].map((event) => [JSON.stringify(event), event]));
      return [...all.values()]
        .filter((event) => isOf(event, stack) && (event.timeNano ?? 0) / 1e6 >= since.getTime())
        .filter((event) => !isCommand(event))
        .sort((a, b) => (a.timeNano ?? 0) - (b.timeNano ?? 0))
        .slice(-MOST_EVENTS)
        .map(stackEvent);
    },

    async labelled(label) {
      signal.throwIfAborted();
      const filters = JSON.stringify({ label: [label] });
      const { listed, volumes } = await engine(`looking for what carries ${label}`, async () => {
        const [services, running, networks, configs, secrets, { Volumes }] = await Promise.all([
          docker.listServices({ filters }),
          docker.listContainers({ all: true, filters }),
          docker.listNetworks({ filters }),
          docker.listConfigs({ filters }),
          docker.listSecrets({ filters }),
          docker.listVolumes({ filters }),
        ]);
        return { listed: { services, running, networks, configs, secrets }, volumes: Volumes };
      });
      return [
        ...listed.services.map((one) => swarmThing('service', one)),
        ...listed.running.map((one): Labelled => ({
          kind: 'container',
          id: one.Id,
          name: one.Names[0]?.slice(1) ?? one.Id,
          labels: one.Labels,
        })),
        ...listed.networks.map((one): Labelled => ({
          kind: 'network',
          id: one.Id,
          name: one.Name,
          labels: one.Labels ?? {},
        })),
        ...listed.configs.map((one) => swarmThing('config', one)),
        ...listed.secrets.map((one) => swarmThing('secret', one)),
        ...volumes.map((one): Labelled => ({
          kind: 'volume',
          id: one.Name,
          name: one.Name,
          labels: one.Labels ?? {},
        })),
      ];
    },

    containers,

    async containersOf(volume) {
      signal.throwIfAborted();
      const found = await engine(`looking for containers on volume ${volume}`, () =>
        docker.listContainers({ all: true, filters: JSON.stringify({ volume: [volume] }) }),
      );
      return found.map(({ Id }) => Id);
    },

    async liveTasks(stack) {
      return (await tasksOf(stack)).filter((task) => !ENDED.has(task.Status.State)).length;
    },

    async stopGraces(stack) {
      return new Map(
        (await servicesOf(stack)).map(({ Spec }) => {
          const template = Spec?.TaskTemplate;
          const spec =
            template !== undefined && 'ContainerSpec' in template ? template.ContainerSpec : undefined;
          const name = (Spec?.Name ?? '').slice(stack.length + 1);
          const graceMs = milliseconds(spec?.StopGracePeriod) ?? DEFAULT_STOP_GRACE_MS;
          return [name, Math.min(graceMs, LONGEST_STOP_GRACE_MS)];
        }),
      );
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
        if (engineStatus(error) !== ALREADY_STOPPED && !GONE.test(messageOf(error))) throw error;
      }
    },

    async hostAddress(containerId) {
      const bridge = await engineOrNull('looking at docker_gwbridge', () =>
        docker.getNetwork('docker_gwbridge').inspect(),
      );
      const ends = (bridge as { Containers?: Record<string, { IPv4Address?: string }> } | null)?.Containers;
      return ends?.[containerId]?.IPv4Address?.split('/')[0] ?? null;
    },

    async publishedPort(stack, service, { port, protocol }) {
      const found = (await servicesOf(stack)).find(({ Spec }) => Spec?.Name === `${stack}_${service}`);
      const published = found?.Endpoint?.Ports?.find(
        ({ Protocol, TargetPort }) => Protocol === protocol && TargetPort === port,
      );
      // Zero: any free one, which the swarm does not tell.
      return published?.PublishedPort || null;
    },

    async services(stack) {
      return (await servicesOf(stack)).map(({ Spec }) => {
        const template = Spec?.TaskTemplate;
        const spec =
          template !== undefined && 'ContainerSpec' in template ? template.ContainerSpec : undefined;
        const mounts = spec?.Mounts ?? [];
        return {
          name: (Spec?.Name ?? '').slice(stack.length + 1),
          labels: Spec?.Labels ?? {},
          mounts: mounts.flatMap(({ Type, Source, Target }) =>
            Type === 'volume' && Source && Target ? [{ volume: Source, target: Target }] : [],
          ),
        };
      });
    },

    async exec(containerId, command, timeoutMs) {
      signal.throwIfAborted();
      await guard();
      const what = `running a command in container ${containerId.slice(0, 12)}`;
      const ownMark = randomUUID();
      const late = AbortSignal.timeout(timeoutMs);
      const until = AbortSignal.any([signal, late]);
      const output = tailOf(LONGEST_OUTPUT);
      try {
        const exec = await engine(what, () =>
          docker.getContainer(containerId).exec({
            Cmd: ['sh', '-c', command],
            Env: [`${COMMAND_MARK}=${mark}`, `${EXEC_MARK}=${ownMark}`],
            AttachStdout: true,
            AttachStderr: true,
          }),
        );
        await engine(what, async () => {
          const stream = await exec.start({ abortSignal: until });
          for await (const piece of stream as AsyncIterable<Buffer>) output.add(piece);
        });
        for (;;) {
          const { Running, ExitCode } = await engine(what, () => exec.inspect());
          if (!Running) {
            if (ExitCode === KILLED && (await endsSoon(containerId))) throw new ContainerEnded(what);
            return { status: ExitCode, output: output.text() };
          }
          await sleep(EXEC_POLL_MS, undefined, { signal: until });
        }
      } catch (error) {
        if (until.aborted) await endMarked(EXEC_MARK, ownMark);
        signal.throwIfAborted();
        if (late.aborted) return { status: null, output: output.text() };
        if (!NOT_RUNNING.has(engineStatus(error) ?? 0)) throw error;
        throw new ContainerEnded(what);
      }
    },

    async watchEngine() {
      signal.throwIfAborted();
      const closed = new AbortController();
      const stream = await engine("listening to the engine's events", () =>
        docker.getEvents({
          filters: JSON.stringify({ type: ['daemon'] }),
          abortSignal: AbortSignal.any([signal, closed.signal]),
        }),
      );
      let broken = false;
      const onBreak = (): void => {
        broken = true;
      };
      finished(stream.resume()).then(onBreak, onBreak);
      return {
        async check(what) {
          // One that is about to stop takes no new connections, and may still keep this one.
          await engine(what, () => docker.ping());
          if (!broken) return;
          throw new Fault('Daemon', `${what}: the engine was restarted meanwhile, so nothing was learned`);
        },
        close: () => closed.abort(),
      };
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

    async remove({ kind, id, name }) {
      signal.throwIfAborted();
      await guard();
      await engine(`removing ${kind} ${name}`, async () => {
        switch (kind) {
          case 'service':
            return docker.getService(id).remove();
          case 'container':
            return docker.getContainer(id).remove({ force: true, v: true });
          case 'network':
            return docker.getNetwork(id).remove();
          case 'config':
            return docker.getConfig(id).remove();
          case 'secret':
            return docker.getSecret(id).remove();
          case 'volume':
            return docker.getVolume(id).remove();
        }
      }).catch((error: unknown) => {
        if (!GONE.test(messageOf(error))) throw error;
      });
    },
  };
}

/** The container in which a command ran ended before the command did. */
export class ContainerEnded extends Fault {
  constructor(what: string) {
    super('Daemon', `${what}: the container ended meanwhile, so nothing was learned; see its log`);
  }
}

/**
 * The engine does not end what it started in a container when nobody listens any more. What starts itself again
 * faster than it is found ends with its container.
 */
export async function endMarked(variable: string, value: string): Promise<void> {
  const until = Date.now() + END_MS;
  while (Date.now() < until) {
    const left = (await withVariable(variable)).filter((one) => one.value === value);
    if (left.length === 0) return;
    await Promise.all(left.map(end));
  }
}

function swarmThing(
  kind: Kind,
  thing: {
    ID: string;
    Spec?: { Name?: string | undefined; Labels?: Record<string, string> | undefined } | undefined;
  },
): Labelled {
  return { kind, id: thing.ID, name: thing.Spec?.Name ?? thing.ID, labels: thing.Spec?.Labels ?? {} };
}

function serviceSeen(
  service: Dockerode.Service,
  stack: string,
  tasks: readonly ApiTask[],
  imageOf: ReadonlyMap<string, string>,
): ServiceSeen {
  const { Spec: spec, UpdateStatus: update, ServiceStatus: status } = service;
  const template = spec?.TaskTemplate;
  const container =
    template !== undefined && 'ContainerSpec' in template ? template.ContainerSpec : undefined;
  const mode = spec?.Mode;
  const condition = template?.RestartPolicy?.Condition;
  return {
    name: (spec?.Name ?? '').slice(stack.length + 1),
    labels: spec?.Labels ?? {},
    image: container?.Image ?? '',
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

function milliseconds(nanoseconds: number | undefined): number | null {
  return nanoseconds === undefined ? null : nanoseconds / 1e6;
}

/** Whether the event is about something of the stack. */
function isOf({ Type, Actor }: ApiEvent, stack: string): boolean {
  const attributes = Actor?.Attributes ?? {};
  return Type === 'container'
    ? attributes[STACK_LABEL] === stack
    : (attributes['name'] ?? Actor?.ID ?? '').startsWith(`${stack}_`);
}

/** Whether it is about a command in a container: health checks would drown the rest, and words may be secret. */
function isCommand({ Action = '' }: ApiEvent): boolean {
  return Action.startsWith('exec_');
}

/** What the engine tells of a container beside its labels, which stand among them. */
const OF_CONTAINERS = new Set(['image', 'exitCode', 'signal']);

function stackEvent({ Type, Action, Actor, timeNano }: ApiEvent): StackEvent {
  const { name, ...attributes } = Actor?.Attributes ?? {};
  const more = Object.entries(attributes).filter(([key]) => Type !== 'container' || OF_CONTAINERS.has(key));
  return {
    time: new Date((timeNano ?? 0) / 1e6).toISOString(),
    type: Type ?? '',
    action: Action ?? '',
    name: name ?? Actor?.ID ?? '',
    more: Object.fromEntries(more),
  };
}

function listen(
  docker: Dockerode,
  stack: string,
  signal: AbortSignal,
  hear: (event: ApiEvent) => void,
): Changes {
  const closed = new AbortController();
  const ended = AbortSignal.any([signal, closed.signal]);
  let echoes: number[] = [];
  let changed = false;
  const asleep = (): void => undefined;
  let wake = asleep;
  const rouse = (): void => {
    changed = true;
    wake();
  };

  void (async () => {
    while (!ended.aborted) {
      try {
        const stream = await docker.getEvents({
          filters: JSON.stringify({ type: ['container', 'service', 'network', 'volume'] }),
          abortSignal: ended,
        });
        for await (const line of createInterface({ input: stream, signal: ended })) {
          const event = JSON.parse(line) as ApiEvent;
          if (!isOf(event, stack)) continue;
          hear(event);
          rouse();
        }
      } catch {
        // The stream broke, or we were closed. Until it is back the caller's own interval is what is left.
      }
      await sleep(RECONNECT_MS, undefined, { signal: ended }).catch(() => undefined);
    }
  })();

  return {
    async next(withinMs) {
      signal.throwIfAborted();
      if (changed) {
        changed = false;
        echoes = [...ECHOES_MS];
        return;
      }
      const waitMs = Math.max(0, Math.min(withinMs, echoes.shift() ?? withinMs));
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', wake, { once: true });
      });
      signal.removeEventListener('abort', wake);
      wake = asleep;
      if (changed) {
        changed = false;
        echoes = [...ECHOES_MS];
      }
      signal.throwIfAborted();
    },
    wake: rouse,
    close() {
      closed.abort();
    },
  };
}
