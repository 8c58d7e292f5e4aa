import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { execa } from 'execa';
import getPort from 'get-port';
import { stringify } from 'yaml';
import { connect, type TemporalServer } from '../../client/connect.ts';
import { startDevServer, type DevServer } from '../../client/dev.ts';
import { REGISTERED_ATTRIBUTES } from '../../client/search-attributes.ts';
import { stackName } from '../../domain/names.ts';
import { startService, type Service } from '../../host/machine/child.ts';
import { ensureRegistry } from '../../setup/registry.ts';
import { taskQueueOf } from '../../workflows/protocol.ts';
import { startImageRegistry, type ImageRegistry } from '../../fixtures/image-registry.ts';
import { SHIPPED_FOLDERS, writeRecipesFolder } from '../../fixtures/recipes-folder.ts';
import { CATALOGUE_SOURCES, createUpstreams, type Upstreams } from '../../fixtures/upstreams.ts';
import { ofZone } from './engine.ts';
import { startFront, type Front } from './front.ts';
import type { SecondEngine } from './second-engine.ts';

/**
 * The whole system on this machine, as an operator would have it: a Temporal server, a worker process, the
 * swarm, an image registry, upstream repositories on disk. What it asserts about docker it asks docker itself.
 */
export interface System {
  folder: string;
  state: string;
  configFile: string;
  zone: string;
  host: string;
  taskQueue: string;
  upstreams: Upstreams;
  /** Where the images of the upstreams' releases are, and nowhere else by the names that they have in recipes. */
  registry: ImageRegistry;
  /** Null where apps are asked at their tasks' own addresses. */
  front: Front | null;
  temporal: TemporalServer;
  /** Where the Temporal server listens on loopback. */
  temporalPort: number;
  docker: Dockerode;
  /** Runs the command line as typed, and answers what it printed. */
  cli(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  /** Starts the worker (again), with these arguments for node itself, and waits until it polls. */
  startWorker(nodeArguments?: readonly string[]): Promise<Service>;
  /** Starts serve, and waits until it listens. */
  startServe(): Promise<Service>;
  /** Ends its own Temporal server at once, as a crash does. */
  killTemporal(): Promise<void>;
  /** Starts it again, on the same database or on a new one. */
  restartTemporal(database: 'same' | 'new'): Promise<void>;
  /** Rewrites the configuration with some keys changed; the next worker reads it. */
  configure(change: Record<string, unknown>): Promise<void>;
  /** canonical.json as it stands on disk, or null. */
  canonical(recipe: string): Promise<{ version: string; commit: string; snapshot: { id: string } } | null>;
  /** What of our zone is on the engine: `<kind> <name>`. */
  ours(): Promise<string[]>;
  /** What was created on the engine while the body ran, by anyone but other runs of these tests: `<type> <name>`. */
  createdDuring(body: () => Promise<void>): Promise<string[]>;
  stop(): Promise<void>;
}

/** What may be other than usual. */
export interface SystemOptions {
  /** What the host is called. */
  host?: string;
  /** That of another installation, which this one goes on with. */
  zone?: string;
  /** Whose upstreams and registry it knows; else its own. */
  world?: Pick<System, 'upstreams' | 'registry'>;
  /** Whose Temporal server it uses; else one of its own. */
  beside?: Pick<System, 'temporalPort'>;
  /** Where apps and worker run; else on this machine's engine, and in its network. */
  engine?: SecondEngine;
  /** Added to the worker's environment. */
  workerEnv?: Readonly<Record<string, string>>;
  /** Megabytes of a disk of its own for the state folder. */
  stateMegabytes?: number;
  limits?: Readonly<Record<string, unknown>>;
  /** Enrolled are recipes of `recipes/`, with the upstreams that stand in for theirs; else fixture recipes. */
  recipes?: 'shipped';
  /** Recipes name images that are on this engine alone; else they are pulled from the registry. */
  images?: 'local';
  /** Apps are asked at their domains, through a proxy; else each at its task's own address. */
  proxy?: true;
  /** What is typed; else the command of this clone, which runs its dist/. */
  command?: string;
  /** The folder that its own is made in; else that of temporary files. */
  under?: string;
}

const COMMAND = path.resolve(import.meta.dirname, '../../bin/recipe-sweep');
const START_MS = 180_000;
const SOCKET = '/var/run/docker.sock';
const HOST = 'e2e';

/** As the engine tells of it. */
export interface EngineEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
}

/** Collects what the engine tells from now on. */
export async function followEvents(
  docker: Dockerode,
  filters: Record<string, string[]>,
): Promise<{ seen(): EngineEvent[]; close(): void }> {
  const stream = (await docker.getEvents({ filters })) as NodeJS.ReadableStream & { destroy(): void };
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    seen: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as EngineEvent),
    close: () => stream.destroy(),
  };
}

/** What of a zone was created on the engine while the body ran: `<type> <name>`. */
export async function createdDuring(
  docker: Dockerode,
  zone: string,
  body: () => Promise<void>,
): Promise<string[]> {
  const events = await followEvents(docker, { event: ['create'] });
  try {
    await body();
  } finally {
    events.close();
  }
  return events
    .seen()
    .filter((event) => isOfZone(event, zone))
    .map(({ Type, Actor }) => `${Type} ${Actor.Attributes['name'] ?? Actor.ID}`);
}

/** Whether something is this installation's: others use the engine too, and what they do there is theirs. */
export function isOfZone({ Actor: { ID, Attributes } }: EngineEvent, zone: string): boolean {
  const named = [ID, Attributes['name'] ?? ''].some((name) => name.includes(stackName(zone)));
  return named || Attributes['recipe-sweep.zone'] === zone;
}

/** Starts everything but the worker. `enrolled` are names of fixture recipes; their upstreams start empty. */
export async function startSystem(
  temporalBinary: string,
  enrolled: readonly string[],
  options: SystemOptions = {},
): Promise<System> {
  const folder = await mkdtemp(path.join(options.under ?? tmpdir(), 'recipe-sweep-e2e-'));
  const state = path.join(folder, 'state');
  if (options.stateMegabytes !== undefined) {
    await mkdir(state);
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${options.stateMegabytes}m`, 'tmpfs', state]);
  }
  const { host = HOST, zone = `t${randomBytes(3).toString('hex')}.test`, beside, engine, world } = options;
  const socket = engine?.socket ?? SOCKET;
  const docker = new Dockerode({ socketPath: socket });
  const registry =
    world?.registry ??
    (await startImageRegistry(await ensureRegistry(console.log), path.join(folder, 'registry')));
  const front = options.proxy ? await startFront(docker, zone, path.join(folder, 'front')) : null;
  const pulls = options.images !== 'local';
  const command = options.command ?? COMMAND;
  const shipped = options.recipes === 'shipped';
  const sources = shipped ? CATALOGUE_SOURCES : undefined;
  const upstreams =
    world?.upstreams ??
    createUpstreams(path.join(folder, 'upstreams'), pulls ? registry : undefined, sources);
  const recipes = path.join(folder, 'recipes');
  await writeRecipesFolder(recipes, upstreams, enrolled, shipped ? SHIPPED_FOLDERS : undefined);
  for (const name of shipped ? ['client.sh', 'la-suite.sh'] : []) {
    await cp(path.join(SHIPPED_FOLDERS, name), path.join(recipes, name));
  }
  const configFile = path.join(folder, 'recipe-sweep.yml');
  const port = beside?.temporalPort ?? (await getPort());
  const uiPort = await getPort();
  let config: Record<string, unknown> = {
    host,
    zone,
    state: './state',
    recipes: './recipes',
    mirrors: path.join(folder, 'mirrors', '{recipe}.git'),
    path: process.env['PATH'],
    docker: { socket, ...(pulls ? {} : { pull: 'missing' }) },
    ...(options.proxy ? {} : { probe: { via: 'task' } }),
    temporal: { address: `127.0.0.1:${port}`, ui: `http://127.0.0.1:${uiPort}` },
    limits: { headroom: '1GB', attempts: 3, stable: '5s', ...options.limits },
  };
  const writeConfig = async (): Promise<void> => writeFile(configFile, stringify(config));
  await writeConfig();
  const dbFile = path.join(folder, 'temporal.db');
  const startServer = (): Promise<DevServer> =>
    startDevServer({
      binary: temporalBinary,
      dbFile,
      port,
      uiPort,
      namespace: 'default',
      logFile: path.join(folder, 'temporal.log'),
      searchAttributes: REGISTERED_ATTRIBUTES,
    });
  let server = beside === undefined ? await startServer() : null;
  for (const one of [port, Number(registry.host.split(':')[1])]) await engine?.letIn(one);
  const temporal = await connect({
    temporal: { address: `127.0.0.1:${port}`, namespace: 'default', ui: '' },
  });
  const workers: Service[] = [];
  /** Ended before the workers are. */
  const serving: Service[] = [];

  /** Waits until its log says so. */
  async function untilItSays(text: string, { ended, logFile }: Service): Promise<void> {
    const end = ended.then((how) => {
      throw new Error(`it ended: ${how}; see ${logFile}`);
    });
    await Promise.race([
      end,
      until(async () => (await readFile(logFile, 'utf8').catch(() => '')).includes(text), START_MS),
    ]);
    end.catch(() => undefined);
  }

  return {
    folder,
    state,
    configFile,
    zone,
    host,
    taskQueue: taskQueueOf(host),
    upstreams,
    registry,
    front,
    temporal,
    temporalPort: port,
    docker,
    ours: () => ofZone(docker, zone),
    async cli(...args) {
      const { exitCode, stdout, stderr } = await execa(
        process.execPath,
        [command, '--config', configFile, ...args],
        {
          reject: false,
          cwd: folder,
          // What is looked for in it is then on one line.
          env: { COLUMNS: '0' },
        },
      );
      return { status: exitCode ?? -1, stdout, stderr };
    },
    async startWorker(nodeArguments = []) {
      const logFile = path.join(folder, `worker-${workers.length + 1}.log`);
      const args = [...nodeArguments, command, '--config', configFile, 'worker'];
      const worker = startService({
        ...((front ?? engine)?.before(process.execPath, args) ?? { file: process.execPath, args }),
        env: { PATH: process.env['PATH'] ?? '', ...options.workerEnv },
        logFile,
      });
      workers.push(worker);
      await untilItSays('worker waits on task queue', worker);
      return worker;
    },
    async startServe() {
      const serve = startService({
        file: process.execPath,
        args: [command, '--config', configFile, 'serve'],
        env: { PATH: process.env['PATH'] ?? '' },
        logFile: path.join(folder, `serve-${serving.length + 1}.log`),
      });
      serving.push(serve);
      await untilItSays('serve listens', serve);
      return serve;
    },
    async killTemporal() {
      if (server === null) throw new Error('its Temporal server is another’s');
      process.kill(-server.pid, 'SIGKILL');
      await server.ended;
    },
    async restartTemporal(database) {
      if (database === 'new') {
        for (const suffix of ['', '-shm', '-wal']) await rm(`${dbFile}${suffix}`, { force: true });
      }
      server = await startServer();
    },
    async configure(change) {
      config = { ...config, ...change };
      await writeConfig();
    },
    async canonical(recipe) {
      const file = path.join(state, 'canonicals', recipe, 'canonical.json');
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      return text === null
        ? null
        : (JSON.parse(text) as { version: string; commit: string; snapshot: { id: string } });
    },
    createdDuring: (body) => createdDuring(docker, zone, body),
    async stop() {
      for (const service of [...serving, ...workers]) await service.stop();
      await temporal.close();
      await server?.stop();
      await front?.stop();
      if (engine?.hasEnded() !== true) await removeZone(docker, zone);
      if (world === undefined) await registry.close();
      if (options.stateMegabytes !== undefined) await execa('umount', ['--lazy', state], { reject: false });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until it is so; throws after the time. */
export async function until(isSo: () => Promise<boolean>, timeoutMs = 60_000, everyMs = 100): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not so after ${timeoutMs} ms: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** The tests' own broom, so that a fault of the product's leaves nothing on the machine. */
export async function removeZone(docker: Dockerode, zone: string): Promise<void> {
  return removeLabelled(docker, `recipe-sweep.zone=${zone}`);
}

/** The same of whatever carries a label. */
export async function removeLabelled(docker: Dockerode, label: string): Promise<void> {
  const filters = { label: [label] };
  const json = JSON.stringify(filters);
  for (const { ID } of await docker.listServices({ filters: json })) await docker.getService(ID).remove();
  await until(async () => (await docker.listContainers({ all: true, filters })).length === 0, 120_000);
  for (const { Id } of await docker.listNetworks({ filters: json })) {
    await until(() => gone(docker.getNetwork(Id).remove()));
  }
  for (const { Name } of (await docker.listVolumes({ filters: json })).Volumes) {
    await until(() => gone(docker.getVolume(Name).remove()));
  }
  for (const { ID } of (await docker.listSecrets({ filters: json })) as { ID: string }[]) {
    await docker.getSecret(ID).remove();
  }
  for (const { ID } of (await docker.listConfigs({ filters: json })) as { ID: string }[]) {
    await docker.getConfig(ID).remove();
  }
}

async function gone(removal: Promise<unknown>): Promise<boolean> {
  return removal.then(
    () => true,
    (error: { statusCode?: number }) => error.statusCode === 404,
  );
}
