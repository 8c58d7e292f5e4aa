import { readFile } from 'node:fs/promises';
import { isRoot, logged, machine, which, type Say } from './machine.ts';

/** Packages of Debian and Ubuntu. */

let refreshed: Promise<void> | undefined;

/** Fetches apt's lists once per set-up. One dead source must not stop the others: the install will tell. */
function refreshLists(): Promise<void> {
  refreshed ??= logged('apt-update', { file: 'apt-get', args: ['update'] }).catch(() => undefined);
  return refreshed;
}

/**
 * Installs packages when this is Debian or Ubuntu and we are root; otherwise throws an error that says what
 * to type. `why` completes the sentence "… is missing".
 */
export async function aptInstall(say: Say, packages: readonly string[], why: string): Promise<void> {
  const typed = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if ((await which('apt-get')) === null) {
    throw new Error(
      `${why} is missing, and this is neither Debian nor Ubuntu: install what there is for ${packages.join(', ')}`,
    );
  }
  if (!isRoot) throw new Error(`${why} is missing. As root: ${typed}`);
  say(`${why} is missing: installing ${packages.join(', ')} with apt (a minute or so)`);
  await refreshLists();
  const options = ['-o', 'DPkg::Lock::Timeout=180', 'install', '-y', '--no-install-recommends'];
  await logged('apt-install', { file: 'apt-get', args: [...options, '--', ...packages] });
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
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(.+)$/m.exec(release)?.[1];
  if (!/^ID=debian$/m.test(release) || codename === undefined) return null;
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
