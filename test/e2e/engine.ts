import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type Dockerode from 'dockerode';

/** What tests need on the engine of this machine before they deploy there, and what is found there afterwards. */

/**
 * Imports an image that has nothing but this machine's static busybox, under the names of these programs, and what
 * `add` puts into its root folder.
 */
export function importBusybox(tag: string, programs: readonly string[], add?: (root: string) => void): void {
  const found = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  const scratch = mkdtempSync(path.join(tmpdir(), 'busybox-'));
  try {
    const root = path.join(scratch, 'rootfs');
    mkdirSync(path.join(root, 'bin'), { recursive: true });
    cpSync(found, path.join(root, 'bin/busybox'), { dereference: true });
    for (const name of programs) symlinkSync('busybox', path.join(root, 'bin', name));
    add?.(root);
    const tar = execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 64 * 1024 * 1024 });
    execFileSync('docker', ['import', '-', tag], { input: tar });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Makes the network `proxy` where there is none, and answers what removes it again if it was made here. */
export async function ensureProxyNetwork(docker: Dockerode): Promise<() => Promise<void>> {
  const networks = await docker.listNetworks();
  if (networks.some(({ Name }) => Name === 'proxy')) return async () => undefined;
  const made = await docker.createNetwork({ Name: 'proxy', Driver: 'overlay' });
  // Someone else may have joined it since; then it is theirs to remove.
  return async () => made.remove().catch(() => undefined);
}

/** Everything on the engine with this label, services first: `<kind> <name>`. */
export async function withLabel(docker: Dockerode, label: string): Promise<string[]> {
  const filters = JSON.stringify({ label: [label] });
  const [services, containers, networks, volumes, secrets, configs] = await Promise.all([
    docker.listServices({ filters }),
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
    docker.listSecrets({ filters }),
    docker.listConfigs({ filters }),
  ]);
  return [
    ...services.map(({ Spec }) => `service ${Spec?.Name}`),
    ...containers.map(({ Names }) => `container ${Names[0]}`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...volumes.Volumes.map(({ Name }) => `volume ${Name}`),
    ...secrets.map(({ Spec }) => `secret ${Spec?.Name}`),
    ...configs.map(({ Spec }) => `config ${Spec?.Name}`),
  ];
}

/** Everything on the engine that belongs to this zone: `<kind> <name>`. */
export function ofZone(docker: Dockerode, zone: string): Promise<string[]> {
  return withLabel(docker, `recipe-sweep.zone=${zone}`);
}
