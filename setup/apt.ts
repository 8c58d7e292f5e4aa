import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, isRoot, logged, machine, which, type Say } from './machine.ts';
import { createQueue } from '../host/machine/queue.ts';

/** Packages of Debian and Ubuntu. */

let refreshed: Promise<void> | undefined;

/** apt refuses to work beside another apt. */
const inTurn = createQueue();

/** Fetches apt's lists once per set-up. One dead source must not stop the others: the install will tell. */
function refreshLists(): Promise<void> {
  refreshed ??= inTurn(() => logged('apt-update', { file: 'apt-get', args: ['update'] })).catch(
    () => undefined,
  );
  return refreshed;
}

/** Those who miss the same program at once shall not install it twice. */
const missing = createQueue();

/** Installs packages, as aptInstall does, unless the program is there. */
export function ensureProgram(
  say: Say,
  program: string,
  packages: readonly string[] = [program],
): Promise<void> {
  return missing(async () => {
    if ((await which(program)) === null) await aptInstall(say, packages, program);
  });
}

/**
 * Installs packages when this is Debian or Ubuntu and we are root; otherwise throws an error that says what
 * to type. `what` is what the person misses. With `services: 'left'` no service that is in them is started, now or when this
 * machine is.
 */
export async function aptInstall(
  say: Say,
  packages: readonly string[],
  what: string,
  { services }: { services: 'started' | 'left' } = { services: 'started' },
): Promise<void> {
  if ((await which('apt-get')) === null) {
    throw new Error(
      `not installed: ${what}. This is neither Debian nor Ubuntu: install it, then run this again`,
    );
  }
  if (!isRoot) {
    const typed = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
    throw new Error(`not installed: ${what}. As root: ${typed}`);
  }
  say(`not installed: ${what}. Installing ${packages.join(', ')} with apt (a minute or so)`);
  await refreshLists();
  await install(services === 'left' ? await leavingServices() : [], packages);
}

/**
 * Installs packages of Debian's backports. Its list is read for this once, and the person's sources stay as
 * they are. Needs root, and a Debian that has backports.
 */
export async function aptInstallBackport(say: Say, packages: readonly string[], what: string): Promise<void> {
  const [mirror, codename] = [await debianMirror(), await debianCodename()];
  if (mirror === null || codename === null) throw new Error(`${what}: not installed`);
  const suite = `${codename}-backports`;
  say(`not installed: ${what}. Installing ${packages.join(', ')} of ${suite} with apt (a minute or so)`);
  const list = path.join(cacheFolder(), `${suite}.list`);
  const sources = await readFile('/etc/apt/sources.list', 'utf8').catch(() => '');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await mkdir(cacheFolder(), { recursive: true });
  await writeFile(list, `${sources}\ndeb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
  const withList = ['-o', `Dir::Etc::SourceList=${list}`];
  await inTurn(() => logged('apt-update-backports', { file: 'apt-get', args: [...withList, 'update'] }));
  await install([...withList, '-t', suite], packages);
}

/** What packages call to have a service started, and enabled. */
const STARTERS = ['deb-systemd-helper', 'deb-systemd-invoke', 'invoke-rc.d', 'update-rc.d'];

/** apt's options with which packages find programs that do nothing in the place of those. */
async function leavingServices(): Promise<string[]> {
  const folder = path.join(cacheFolder(), 'no-services');
  await mkdir(folder, { recursive: true });
  for (const name of STARTERS) {
    await writeFile(path.join(folder, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  }
  return ['-o', `DPkg::Path=${folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`];
}

async function install(options: readonly string[], packages: readonly string[]): Promise<void> {
  const always = ['-o', 'DPkg::Lock::Timeout=180', 'install', '-y', '--no-install-recommends'];
  await inTurn(() =>
    logged('apt-install', { file: 'apt-get', args: [...options, ...always, '--', ...packages] }),
  );
}

/** The upstream version of this package that apt would install; null when it has none. */
export async function aptVersion(name: string): Promise<string | null> {
  if ((await which('apt-cache')) === null) return null;
  await refreshLists();
  const { stdout } = await machine.run({ file: 'apt-cache', args: ['policy', '--', name] });
  return /^ {2}Candidate: (?:\d+:)?(\d[^\s~-]*)/m.exec(stdout)?.[1] ?? null;
}

/** Where this Debian machine gets Debian from; null on any other system. */
export async function debianMirror(): Promise<string | null> {
  const codename = await debianCodename();
  if (codename === null) return null;
  const find = async (): Promise<string | undefined> => {
    const args = ['indextargets', '--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages'];
    const lines = (await machine.output({ file: 'apt-get', args })).split('\n');
    return lines.find((line) => line.startsWith(`${codename} `))?.split(' ')[1];
  };
  let mirror = await find();
  if (mirror === undefined) {
    await refreshLists();
    mirror = await find();
  }
  return mirror ?? null;
}

async function debianCodename(): Promise<string | null> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID=debian$/m.test(release) ? (/^VERSION_CODENAME=(.+)$/m.exec(release)?.[1] ?? null) : null;
}
