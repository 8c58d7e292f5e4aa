import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { dockerFolder, type Config } from './config.ts';

/**
 * The one list of programs and variables that our own commands, and the hooks and checks of recipes, may count on,
 * whoever started the worker. docs/recipes.md has it as tables, which a test compares. What else a recipe needs, its
 * `tools` say; what a script is told of its app comes from host/deploy/app-environment.ts.
 */

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
  script: 'bsdutils',
};

const GIT_CONFIG = fileURLToPath(new URL('../git/gitconfig', import.meta.url));

/** The environment that every command runs in. Nothing of the worker's own is added to it. */
export function declaredEnvironment(
  config: Pick<Config, 'path' | 'state' | 'docker'>,
): Record<string, string> {
  return {
    PATH: config.path,
    HOME: path.join(config.state, 'home'),
    LANG: 'C.UTF-8',
    DOCKER_HOST: `unix://${config.docker.socket}`,
    DOCKER_CONFIG: dockerFolder(config),
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: GIT_CONFIG,
    GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
  };
}

/**
 * Variables of the worker's own that Node reads, and by which what it asks of apps, registries and the forge may end
 * otherwise: https://nodejs.org/docs/latest-v20.x/api/cli.html#environment-variables. No command is given them.
 */
export const WORKER_VARIABLES = [
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'OPENSSL_CONF',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TZ',
] as const;

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

/** How a program is asked for its version. */
export function versionArguments(name: string): string[] {
  return name === 'openssl' ? ['version'] : ['--version'];
}

/** What to do about a program that is not on the declared path. */
export function howToGet(name: string): string {
  return `install it (apt-get install ${PACKAGES[name] ?? name}), or set "path" in the configuration`;
}
