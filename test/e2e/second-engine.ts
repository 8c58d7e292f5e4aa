import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { execa } from 'execa';
import { startService, whyNotReady, type Service } from '../../host/machine/child.ts';
import { end, withVariable } from '../../host/machine/processes.ts';
import { isRoot, which } from '../../setup/machine.ts';
import { ensureProxyNetwork } from './engine.ts';
import { abandonedFolders, makeFolderOfProcess } from './of-process.ts';
import { relayLoopback } from './loopback-relay.ts';

/**
 * A second host on this machine, as far as a worker can tell: a docker engine in a swarm of its own, with data,
 * processes, mounts and network of its own. A worker that is started in its network reaches its containers as a host
 * reaches its own, and nothing else but those ports of this machine's loopback that are let in.
 */
export interface SecondEngine {
  /** On this machine's disk, for whoever speaks to it from outside. */
  socket: string;
  docker: Dockerode;
  /** The command that runs this one in its network, and no longer than this process. */
  before(file: string, args: readonly string[]): { file: string; args: string[] };
  /** Has a port of its loopback lead to the same one of this machine's. */
  letIn(port: number): Promise<void>;
  /** Whether it was ended: there is nothing on it any more. */
  hasEnded(): boolean;
  /** Ends it, and then moves what its swarm knows (secrets, networks) to this folder, as an operator who moves hosts. */
  endAndMoveSwarm(to: string): Promise<void>;
  /** Ends and removes all of it. */
  stop(): Promise<void>;
}

/** Room for images; /tmp is in memory on some machines. */
const FOLDERS = '/var/tmp';
const PREFIX = 'recipe-sweep-engine-';
/** In the environment of each of its processes: its folder. */
const MARK = 'RECIPE_SWEEP_ENGINE';
const START_MS = 60_000;
/** What setpriv runs then does not outlive us, however we end. */
const WITH_US = ['--pdeathsig', 'KILL', '--'];

/** What it wants beside what every Debian has, and what brings it. */
const PROGRAMS = { dockerd: 'docker.io', iptables: 'iptables', ip: 'iproute2' };

/**
 * Its process 1, which takes all others with it. A /run of its own hides the other engine's containerd, and goes away
 * with everything that engines leave there.
 */
const FIRST_PROCESS = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec dockerd --config-file "$1"';

/**
 * Starts one, and makes it a swarm with the network `proxy`, or one that goes on with what another knew. Removes first what is left of those whose tests were
 * killed. Throws an error with the reason where this machine cannot have one: it needs root and a few programs.
 */
export async function startSecondEngine(movedSwarm?: string): Promise<SecondEngine> {
  if (!isRoot) throw new Error('a second docker engine wants root: run these tests as root');
  for (const [program, from] of Object.entries(PROGRAMS)) {
    if ((await which(program)) === null) {
      throw new Error(`a second docker engine wants ${program}: apt-get install ${from}`);
    }
  }
  await removeAbandoned();

  const folder = await makeFolderOfProcess(FOLDERS, PREFIX);
  const socket = path.join(folder, 'docker.sock');
  const configFile = path.join(folder, 'daemon.json');
  const data = path.join(folder, 'data');
  if (movedSwarm !== undefined) await cp(movedSwarm, path.join(data, 'swarm'), { recursive: true });
  await writeFile(
    configFile,
    JSON.stringify({
      hosts: [`unix://${socket}`],
      'data-root': data,
      'exec-root': '/run/engine',
      pidfile: '/run/engine.pid',
      // A branch of its own in the control groups, which are the machine's, so that it can be removed.
      'cgroup-parent': `/${path.basename(folder)}`,
      'exec-opts': ['native.cgroupdriver=cgroupfs'],
    }),
  );
  const service = startService({
    file: 'setpriv',
    args: [
      ...WITH_US,
      ...['unshare', '--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child', '--'],
      ...['sh', '-c', FIRST_PROCESS, 'sh', configFile],
    ],
    env: { PATH: `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin`, [MARK]: folder },
    logFile: path.join(folder, 'dockerd.log'),
  });
  const relays: { close(): void }[] = [];
  let hasEnded = false;
  const stop = async (): Promise<void> => {
    for (const relay of relays) relay.close();
    await remove(folder);
    await service.ended;
  };
  try {
    const docker = new Dockerode({ socketPath: socket });
    await answers(docker, service);
    await docker.swarmInit({
      ListenAddr: '127.0.0.1',
      AdvertiseAddr: '127.0.0.1',
      ForceNewCluster: movedSwarm !== undefined,
    });
    if (movedSwarm !== undefined) await isManagerForGood(docker);
    await ensureProxyNetwork(docker);
    return {
      socket,
      docker,
      before: (file, args) => ({
        file: 'setpriv',
        args: [...WITH_US, 'nsenter', '--net', '--target', String(service.pid), '--', file, ...args],
      }),
      async letIn(port) {
        relays.push(await relayLoopback(service.pid, port));
      },
      hasEnded: () => hasEnded,
      async endAndMoveSwarm(to) {
        hasEnded = true;
        await endProcesses(folder);
        await service.ended;
        await cp(path.join(data, 'swarm'), to, { recursive: true });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A manager that goes on alone is none again for a moment, when its cluster has been made new. */
async function isManagerForGood(docker: Dockerode): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (let seconds = 0; seconds < 10;) {
    await sleep(1_000);
    const nodes = await docker.listNodes().catch(() => null);
    seconds = nodes === null ? 0 : seconds + 1;
    if (Date.now() > deadline) throw new Error('the second docker engine is no swarm manager');
  }
}

async function answers(docker: Dockerode, service: Service): Promise<void> {
  const why = await whyNotReady(service, {
    isReady: () =>
      docker.ping().then(
        () => true,
        () => false,
      ),
    lack: 'does not answer',
    withinMs: START_MS,
    everyMs: 100,
  });
  if (why !== null) throw new Error(`the second docker engine: ${why}`);
}

/** Engines are for the process that started them: where it is gone, they are nobody's. */
async function removeAbandoned(): Promise<void> {
  for (const folder of await abandonedFolders(FOLDERS, PREFIX)) await remove(folder);
}

/**
 * Its processes first, and with them its network, its mounts and what it had in /run; then its control groups and its
 * folder.
 */
async function remove(folder: string): Promise<void> {
  await endProcesses(folder);
  const groups = ['/sys/fs/cgroup', '-maxdepth', '2', '-name', path.basename(folder), '-prune', '-print'];
  const { stdout } = await execa('find', groups);
  const found = stdout.split('\n').filter((line) => line !== '');
  if (found.length > 0) await execa('find', [...found, '-depth', '-type', 'd', '-delete']);
  await rm(folder, { recursive: true, force: true });
}

async function endProcesses(folder: string): Promise<void> {
  for (const { value, ...name } of await withVariable(MARK)) if (value === folder) await end(name);
}
