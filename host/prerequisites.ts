import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import Dockerode from 'dockerode';
import { messageOf } from '../domain/fault.ts';
import type { Config } from './config/config.ts';
import { declaredEnvironment, findTool, howToGet, TOOLS, versionArguments } from './config/environment.ts';
import { ABRA_INSTALLATION, isTooOld, OLDEST_ABRA, versionIn } from './deploy/abra.ts';
import { freeBytes, gigabytes } from './machine/headroom.ts';
import { processRunner } from './machine/process.ts';
import { BROWSERS } from './evidence/screenshot.ts';

/** One thing a sweep needs of its host. */
export interface Prerequisite {
  name: string;
  ok: boolean;
  /** What was found, or what is wrong. */
  found: string;
  /** How to get it; empty when it is there. */
  how: string;
}

const ROOM = 'disk headroom';
const ENGINES_ROOM = "the engine's headroom";

/** Whether it is about free space, which a sweep may still make. */
export function isRoom({ name }: Pick<Prerequisite, 'name'>): boolean {
  return name === ROOM || name === ENGINES_ROOM;
}

/** Checks everything at once, so that an operator fixes it in one go. Never throws. */
export async function checkPrerequisites(config: Config): Promise<Prerequisite[]> {
  const tools = await Promise.all(TOOLS.map((tool) => checkTool(tool, config.path)));
  return [
    ...tools,
    ...(config.deployer === 'abra' ? [await checkTool('script', config.path), await checkAbra(config)] : []),
    await checkBrowser(config.path),
    ...(await checkEngine(config)),
    await checkState(config),
    await checkHeadroom(ROOM, config.state, config),
    checkRoot(),
  ];
}

async function checkTool(name: string, searchPath: string): Promise<Prerequisite> {
  const file = await findTool(name, searchPath);
  if (file !== null) return { name, ok: true, found: file, how: '' };
  return { name, ok: false, found: `not on ${searchPath}`, how: howToGet(name) };
}

/** Whoever deploys by it needs one that does what we tell it. */
async function checkAbra(config: Config): Promise<Prerequisite> {
  const name = 'abra';
  const or = 'or set "deployer: swarm" in the configuration';
  const wanted = `install abra ${OLDEST_ABRA} or newer (${ABRA_INSTALLATION})`;
  const found = await checkTool(name, config.path);
  if (!found.ok) return { ...found, how: `${wanted}, or set "path", ${or}` };
  const { run } = processRunner({ environment: declaredEnvironment(config) });
  try {
    const { stdout, stderr } = await run({
      file: found.found,
      args: versionArguments(name),
      timeoutMs: 10_000,
    });
    const version = versionIn(stdout);
    if (version === null) {
      const [said = ''] = `${stdout}${stderr}`.trim().split('\n');
      const what = `${found.found} --version says ${JSON.stringify(said)}, which is not abra's`;
      return { name, ok: false, found: what, how: `${wanted}, ${or}` };
    }
    if (!isTooOld(version)) return { name, ok: true, found: `${version} at ${found.found}`, how: '' };
    const what = `${version} at ${found.found} is too old`;
    return { name, ok: false, found: what, how: `${wanted}, ${or}` };
  } catch (error) {
    return { name, ok: false, found: messageOf(error), how: `${wanted}, ${or}` };
  }
}

/** Nothing but a picture is missing without it. */
async function checkBrowser(searchPath: string): Promise<Prerequisite> {
  const found = await Promise.all(BROWSERS.map((browser) => checkTool(browser, searchPath)));
  const none = 'none, so no screenshots among the evidence; apt-get install chromium-headless-shell';
  return { name: 'chromium', ok: true, found: found.find(({ ok }) => ok)?.found ?? none, how: '' };
}

async function checkEngine(config: Config): Promise<Prerequisite[]> {
  const docker = new Dockerode({ socketPath: config.docker.socket, timeout: 10_000 });
  let swarm: string | undefined;
  let version: string;
  let room: Prerequisite;
  let networks: Dockerode.NetworkInspectInfo[];
  try {
    const info = (await docker.info()) as {
      ServerVersion?: string;
      Swarm?: { LocalNodeState?: string; ControlAvailable?: boolean };
      DockerRootDir?: string;
    };
    room = await checkHeadroom(ENGINES_ROOM, info.DockerRootDir ?? '/var/lib/docker', config);
    version = info.ServerVersion ?? 'unknown version';
    swarm = info.Swarm?.ControlAvailable ? 'active' : info.Swarm?.LocalNodeState;
    networks = await docker.listNetworks({ filters: { name: ['proxy'] } });
  } catch (error) {
    const how = 'start it (systemctl start docker), or set "docker.socket" in the configuration';
    return [{ name: 'docker engine', ok: false, found: `${config.docker.socket}: ${messageOf(error)}`, how }];
  }
  const engine = { name: 'docker engine', ok: true, found: `${version} at ${config.docker.socket}`, how: '' };
  if (swarm !== 'active') {
    const how = 'docker swarm init --advertise-addr <address of this host>';
    return [
      engine,
      room,
      { name: 'swarm', ok: false, found: `${swarm ?? 'inactive'}: this node is no manager`, how },
    ];
  }
  const proxy = networks.some((network) => network.Name === 'proxy' && network.Driver === 'overlay');
  return [
    engine,
    room,
    { name: 'swarm', ok: true, found: 'active, this node is a manager', how: '' },
    proxy
      ? { name: 'proxy network', ok: true, found: 'overlay', how: '' }
      : {
          name: 'proxy network',
          ok: false,
          found: 'no overlay network named proxy',
          how: "docker network create --driver overlay --attachable proxy (traefik's recipe makes it)",
        },
  ];
}

async function checkState({ state }: Config): Promise<Prerequisite> {
  const name = 'state folder';
  const probe = path.join(state, `.writable-${process.pid}`);
  try {
    await mkdir(state, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
    if (await isContainersOwn(state)) {
      const found = `${state} is the container's own, and gone with it`;
      return { name, ok: false, found, how: "mount the host's folder at the same path (RECIPE_SWEEP_STATE)" };
    }
    return { name, ok: true, found: state, how: '' };
  } catch (error) {
    const how = `make ${state} writable for the user that runs the worker`;
    return { name, ok: false, found: messageOf(error), how };
  }
}

/** Whether a folder is of the container that this runs in, and not of its host. Our Dockerfile says that it is one. */
async function isContainersOwn(folder: string): Promise<boolean> {
  if (process.env['RECIPE_SWEEP_CONTAINER'] === undefined) return false;
  const [its, root] = await Promise.all([stat(folder), stat('/')]);
  return its.dev === root.dev;
}

/** Of the disk that what we keep is on, and of the engine's, where images and volumes are. */
async function checkHeadroom(
  name: string,
  folder: string,
  { limits: { headroom } }: Config,
): Promise<Prerequisite> {
  const free = await freeBytes(folder).catch(() => null);
  if (free === null) {
    const how = 'snapshots read volumes there: in a container, mount it at the same path (DOCKER_ROOT)';
    return { name, ok: false, found: `${folder} cannot be seen from here`, how };
  }
  const found = `${gigabytes(free)} free at ${folder}, ${gigabytes(headroom)} wanted`;
  return free >= headroom
    ? { name, ok: true, found, how: '' }
    : { name, ok: false, found, how: 'free some space, or set "limits.headroom" in the configuration' };
}

function checkRoot(): Prerequisite {
  const root = process.getuid?.() === 0;
  return {
    name: 'root',
    ok: root,
    found: root ? 'running as root' : `running as uid ${process.getuid?.()}`,
    how: root ? '' : 'run the worker as root: snapshots keep the owners of files in volumes',
  };
}
