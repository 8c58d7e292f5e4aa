import { fileURLToPath } from 'node:url';
import { isBuilt } from './built-from.ts';
import { machine, type Say } from './machine.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Has dist/ be of this clone's sources. It is built by a process of its own, since a bundler that has run keeps its
 * memory, and what forks from a large process is slow.
 */
export async function ensureBuilt(say: Say): Promise<void> {
  if (isBuilt(ROOT)) {
    say('build: dist/ is of these sources');
    return;
  }
  say('build: compiling the sources to dist/ (10 s)');
  await machine.output({
    file: process.execPath,
    args: ['setup/bootstrap.mjs', 'setup/build.ts'],
    cwd: ROOT,
  });
}
