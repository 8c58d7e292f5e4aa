import { readFile } from 'node:fs/promises';
import os from 'node:os';
import Dockerode from 'dockerode';
import type { ProcessRunner } from '../../host/machine/process.ts';
import { VERSION } from '../../host/version.ts';
import type { Bundle } from './bundle.ts';

const COMMAND_MS = 10_000;

/** Whose versions meet on this host: ours, the system's, the programs' that a sweep calls. */
export async function addVersions(bundle: Bundle, commands: ProcessRunner, madeAt: Date): Promise<void> {
  const said = async (file: string, ...args: string[]): Promise<string | null> => {
    try {
      const text = await commands.output({ file, args, timeoutMs: COMMAND_MS });
      return text.split('\n')[0] ?? null;
    } catch (error) {
      bundle.lacks(`${file} ${args.join(' ')}`, String((error as Error).message));
      return null;
    }
  };
  bundle.addJson('versions.json', {
    made: madeAt.toISOString(),
    'recipe-sweep': VERSION,
    node: process.version,
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    system: await systemName(),
    processors: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    upSeconds: Math.round(os.uptime()),
    docker: await said('docker', '--version'),
    git: await said('git', '--version'),
    tar: await said('tar', '--version'),
  });
}

async function systemName(): Promise<string | null> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? null;
}

/** What the engine says of itself and its swarm. */
export async function addEngine(bundle: Bundle, socket: string): Promise<void> {
  await bundle.gather('engine.json', async () => {
    const docker = new Dockerode({ socketPath: socket, timeout: COMMAND_MS });
    const [version, info] = await Promise.all([docker.version(), docker.info()]);
    const {
      NodeAddr: _address,
      LocalNodeState,
      ControlAvailable,
      Error: error,
      Nodes,
      Managers,
    } = info.Swarm ?? {};
    bundle.addJson('engine.json', {
      version: version.Version,
      api: version.ApiVersion,
      storage: info.Driver,
      cgroups: info.CgroupVersion,
      containers: info.Containers,
      containersRunning: info.ContainersRunning,
      images: info.Images,
      warnings: info.Warnings ?? [],
      swarm: {
        state: LocalNodeState,
        manager: ControlAvailable,
        error: error ?? '',
        nodes: Nodes,
        managers: Managers,
      },
    });
  });
}
