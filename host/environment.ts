import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';

/** What hooks, checks and our own commands may count on, on every host; docs/recipes.md has the table. */

/** The programs that are on the declared path of every host that sweeps; spec §2. */
export const TOOLS = [
  'git',
  'docker',
  'bash',
  'curl',
  'find',
  'flock',
  'jq',
  'openssl',
  'prlimit',
  'tar',
  'zstd',
] as const;

/** Where Debian's package has another name than the program. */
const PACKAGES: Readonly<Record<string, string>> = {
  docker: 'docker.io',
  find: 'findutils',
  flock: 'util-linux',
  node: 'nodejs',
  prlimit: 'util-linux',
};

/** The file that a program's name leads to on a path such as `/usr/bin:/bin`; null where there is none. */
export async function findTool(name: string, searchPath: string): Promise<string | null> {
  for (const folder of searchPath.split(':')) {
    const file = path.join(folder, name);
    // A folder may be entered, which to the kernel is the same right.
    const there = await Promise.all([access(file, constants.X_OK), stat(file)]).then(
      ([, found]) => found.isFile(),
      () => false,
    );
    if (there) return file;
  }
  return null;
}

/** What to do about a program that is not on the declared path. */
export function howToGet(name: string): string {
  return `install it (apt-get install ${PACKAGES[name] ?? name}), or set "path" in the configuration`;
}
