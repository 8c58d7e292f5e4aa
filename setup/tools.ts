import { machine, which, type Say } from './machine.ts';
import { aptInstall } from './apt.ts';

/**
 * Every program that is started on this machine and that a bare Debian with Node and git may lack, and the package
 * that brings it. What is in every Debian (`Essential: yes` and what it needs, such as coreutils and find) need not be
 * named; docker, Go and what fixture images are made with have files of their own.
 */

/** Needed by a sweep's host: its preflight asks for them. */
export const SWEEP_PROGRAMS = {
  git: 'git',
  bash: 'bash',
  curl: 'curl',
  jq: 'jq',
  openssl: 'openssl',
  tar: 'tar',
  zstd: 'zstd',
} as const;

/** Needed by the tests only. */
export const TEST_PROGRAMS = {
  /** The recipe gitea's hooks push with it. */
  'git-lfs': 'git-lfs',
  /** In images that have nothing else, so it must need no library. */
  busybox: 'busybox-static',
  ps: 'procps',
  /** Its wildcard record stands for that of an operator's zone; the package has no service that would start. */
  dnsmasq: 'dnsmasq-base',
  /** A second engine on this machine, in a network of its own. */
  ip: 'iproute2',
  iptables: 'iptables',
  mount: 'mount',
  /** Reads nix/, and what comes of it; nothing is built with it, and no daemon of it is wanted. */
  'nix-instantiate': 'nix-bin',
  /** Scrapes what we export. */
  prometheus: 'prometheus',
  /** Judges that, and our rules. */
  promtool: 'prometheus',
  /** Judges the units that we write; the package does not make systemd this machine's first process. */
  'systemd-analyze': 'systemd',
} as const;

/** Installs those programs that are missing; a service that comes with one is not started. */
export async function ensureTools(say: Say, wanted: Readonly<Record<string, string>>): Promise<void> {
  const missing: [program: string, from: string][] = [];
  for (const entry of Object.entries(wanted)) if (!(await isThere(entry[0]))) missing.push(entry);
  const names = (entries: readonly [string, string][]): string => entries.map(([name]) => name).join(', ');
  if (missing.length === 0) {
    say(`tools: ${names(Object.entries(wanted))} found`);
    return;
  }
  const packages = [...new Set(missing.map(([, from]) => from)), 'ca-certificates'];
  await aptInstall(say, packages, names(missing), { services: 'left' });
}

async function isThere(program: string): Promise<boolean> {
  const file = await which(program);
  return file !== null && (program !== 'busybox' || (await isStatic(file)));
}

/** Debian's package busybox is linked to libraries that an image without them does not have. */
async function isStatic(file: string): Promise<boolean> {
  const { stdout } = await machine.run({ file: 'ldd', args: [file] });
  return !stdout.includes('=>');
}
