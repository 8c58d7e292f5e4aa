import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { execa } from 'execa';
import getPort from 'get-port';
import { parse, stringify } from 'yaml';
import { ensureCompose } from '../../setup/compose.ts';
import { reference } from '../../setup/images/catalogue.ts';
import { ensureFixtureImages } from '../../setup/images.ts';
import { standIns } from '../../setup/images/stand-ins.ts';
import { ensureNamespace } from '../../client/namespace.ts';
import { createUpstreams, type Upstreams } from '../../fixtures/upstreams.ts';
import { writeRecipesFolder } from '../../fixtures/recipes-folder.ts';
import { abandonedFolders, makeFolderOfProcess } from './of-process.ts';
import { removeZone } from './system.ts';
import { undoAll, type Undo } from './undo.ts';

/**
 * What docker-compose.yml makes, under a name and on ports of its own. Nothing is pulled: the images that it names are
 * replaced, by a second file, with those that set-up made, so that an engine that has the true ones is never given
 * others under their names.
 */
interface Composed {
  project: string;
  /** The name of our own image, which is not built yet. */
  worker: string;
  configFolder: string;
  state: string;
  /** Where Temporal's frontend and its UI are published, and where `serve` listens. */
  port: number;
  uiPort: number;
  servePort: number;
  /** Types `docker compose …`, and answers what it printed. Throws when it fails, unless told otherwise. */
  compose(
    args: readonly string[],
    options?: { reject?: boolean; input?: string },
  ): Promise<{ status: number; stdout: string; stderr: string }>;
}

/** The installation that docker-compose.yml makes, with folders of its own. */
export interface ComposeHost {
  host: string;
  zone: string;
  state: string;
  upstreams: Upstreams;
  temporalAddress: string;
  ui: string;
  /** The report site. */
  site: string;
  docker: Dockerode;
  /** Types `docker compose …`. Throws when it fails. */
  compose(...args: string[]): Promise<string>;
  /** The same, and answers whatever became of it. */
  composeAnyhow(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  /** The same with this standard input. Throws when it fails. */
  composeWith(input: string, ...args: string[]): Promise<void>;
  /** Types `docker compose exec worker recipe-sweep …`, and answers whatever became of it. */
  cli(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  /** Its containers, whether they run or not. */
  containers(): Promise<Dockerode.ContainerInfo[]>;
  /** Everything on the engine that compose made: `<kind> <name>`. */
  made(): Promise<string[]>;
  stop(): Promise<void>;
}

const ROOT = path.resolve(import.meta.dirname, '../..');
const HOST = 'compose';
const CONFIG_FILE = 'recipe-sweep.yml';

const PREFIX = 'recipe-sweep-compose-';

/** The folder is where docker-compose.yml looks for the configuration and the state. */
async function createComposed(undo: Undo): Promise<Composed> {
  const [file, ...words] = await ensureCompose(console.log);
  const images = standIns().map(({ image }) => image);
  await ensureFixtureImages(console.log, images);
  await removeAbandoned([file, ...words]);
  const folder = await makeFolderOfProcess(tmpdir(), PREFIX);
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const project = path.basename(folder).toLowerCase();
  const worker = `localhost/recipe-sweep/worker:${project}`;
  const override = path.join(folder, 'images.yml');
  await writeFile(override, await withStandIns(worker));
  const files = ['--file', path.join(ROOT, 'docker-compose.yml'), '--file', override];
  const typed = [...words, '--project-name', project, '--project-directory', ROOT, ...files];
  const [port, uiPort, servePort] = [await getPort(), await getPort(), await getPort()];
  const configFolder = path.join(folder, 'etc');
  const state = path.join(folder, 'state');
  await mkdir(configFolder);
  await mkdir(state);
  const env = {
    RECIPE_SWEEP_CONFIG: configFolder,
    RECIPE_SWEEP_STATE: state,
    TEMPORAL_PORT: String(port),
    TEMPORAL_UI_PORT: String(uiPort),
    SERVE_PORT: String(servePort),
  };
  const compose: Composed['compose'] = async (args, options = {}) => {
    const { exitCode, stdout, stderr } = await execa(file, [...typed, ...args], { env, ...options });
    return { status: exitCode ?? -1, stdout, stderr };
  };
  undo.push(() => compose(['down', '--volumes', '--timeout', '30']));
  return { project, worker, configFolder, state, port, uiPort, servePort, compose };
}

/** Ends and removes installations whose processes are gone. */
async function removeAbandoned([file = '', ...words]: readonly string[]): Promise<void> {
  for (const folder of await abandonedFolders(tmpdir(), PREFIX)) {
    const project = path.basename(folder).toLowerCase();
    await execa(file, [...words, '--project-name', project, 'down', '--volumes', '--timeout', '30']);
    await execa('docker', ['image', 'rm', `localhost/recipe-sweep/worker:${project}`], { reject: false });
    await rm(folder, { recursive: true, force: true });
  }
}

/** Temporal's own server on PostgreSQL, ready for sweeps. */
export interface ComposedTemporal {
  temporalPort: number;
  stop(): Promise<void>;
}

export async function startComposedTemporal(): Promise<ComposedTemporal> {
  const undo: Undo = [];
  try {
    const { compose, port } = await createComposed(undo);
    await compose(['up', '--detach', '--wait', 'temporal']);
    const temporal = { address: `127.0.0.1:${port}`, namespace: 'default', ui: '' };
    await ensureNamespace({ temporal }, () => undefined);
    return { temporalPort: port, stop: () => undoAll(undo) };
  } catch (error) {
    await undoAll(undo);
    throw error;
  }
}

export async function makeComposeHost(enrolled: readonly string[]): Promise<ComposeHost> {
  const undo: Undo = [];
  try {
    return await makeHost(enrolled, undo);
  } catch (error) {
    await undoAll(undo);
    throw error;
  }
}

async function makeHost(enrolled: readonly string[], undo: Undo): Promise<ComposeHost> {
  const { project, worker, configFolder, state, port, uiPort, servePort, compose } =
    await createComposed(undo);
  const zone = `t${randomBytes(3).toString('hex')}.test`;
  const docker = new Dockerode();
  undo.splice(1, 0, () => removeZone(docker, zone));
  await buildWorker(worker);
  undo.splice(1, 0, () => execa('docker', ['image', 'rm', worker]));
  // In the state folder, which alone has the same path on the host and in the worker.
  const upstreams = createUpstreams(path.join(state, 'upstreams'));
  await writeRecipesFolder(path.join(configFolder, 'recipes'), upstreams, enrolled);
  const address = `127.0.0.1:${port}`;
  const ui = `http://127.0.0.1:${uiPort}`;
  const config = {
    host: HOST,
    zone,
    state,
    recipes: './recipes',
    mirrors: path.join(state, 'mirrors', '{recipe}.git'),
    docker: { pull: 'missing' },
    probe: { via: 'task' },
    serve: { listen: `127.0.0.1:${servePort}` },
    temporal: { address, ui },
    limits: { headroom: '1GB', attempts: 3, stable: '4s' },
  };
  await writeFile(path.join(configFolder, CONFIG_FILE), stringify(config));
  const filters = { label: [`com.docker.compose.project=${project}`] };
  const containers = () => docker.listContainers({ all: true, filters });
  return {
    host: HOST,
    zone,
    state,
    upstreams,
    temporalAddress: address,
    ui,
    site: `http://127.0.0.1:${servePort}/`,
    docker,
    compose: async (...args) => (await compose(args)).stdout,
    composeAnyhow: (...args) => compose(args, { reject: false }),
    composeWith: async (input, ...args) => void (await compose(args, { input })),
    cli: (...args) => compose(['exec', '--no-TTY', 'worker', 'recipe-sweep', ...args], { reject: false }),
    containers,
    async made() {
      const asked = { filters: JSON.stringify(filters) };
      const [networks, volumes] = await Promise.all([docker.listNetworks(asked), docker.listVolumes(asked)]);
      return [
        ...(await containers()).map(({ Names }) => `container ${Names[0]}`),
        ...networks.map(({ Name }) => `network ${Name}`),
        ...volumes.Volumes.map(({ Name }) => `volume ${Name}`),
      ];
    },
    stop: () => undoAll(undo),
  };
}

/**
 * Builds our own image as `docker compose` would. What changes seldom (tools, packages) keeps a name, or the engine
 * would throw it away with the image and install it anew the next time.
 */
async function buildWorker(tag: string): Promise<void> {
  const node = standIns().find(({ image }) => image.name === 'node')?.image;
  if (node === undefined) throw new Error('no stand-in for the image node');
  const build = ['build', '--quiet', '--build-arg', `NODE=${reference(node)}`];
  const stages = ['tools', 'packages'].map((stage) => [
    ...['--target', stage, '--tag', `localhost/recipe-sweep/worker-${stage}:latest`],
  ]);
  for (const options of [...stages, ['--tag', tag]]) {
    await execa('docker', [...build, ...options, '.'], { cwd: ROOT, env: { DOCKER_BUILDKIT: '0' } });
  }
}

/** A compose file with the images that stand in for those of docker-compose.yml. */
async function withStandIns(worker: string): Promise<string> {
  const written = await readFile(path.join(ROOT, 'docker-compose.yml'), 'utf8');
  const { services } = parse(written, { merge: true }) as { services: Record<string, { image: string }> };
  const images = new Map(standIns().map(({ image, standsFor }) => [standsFor, reference(image)]));
  const chosen = Object.entries(services).map(([name, { image }]) => {
    const stand = image.startsWith('recipe-sweep:') ? worker : images.get(image);
    if (stand === undefined) throw new Error(`nothing stands in for ${image} of service ${name}`);
    return [name, { image: stand, pull_policy: 'never' }];
  });
  return stringify({ services: Object.fromEntries(chosen) as unknown });
}
