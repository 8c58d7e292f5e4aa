import { existsSync, readFileSync } from 'node:fs';

function read(file: URL): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

/** This version of recipe-sweep, as its package.json has it. */
export const VERSION = (read(new URL('../package.json', import.meta.url)) as { version: string }).version;

/** Of the sources that this was built of, as the build has it on record (setup/built-from.ts); null where nothing was built. */
export const BUILT_FROM =
  (read(new URL('../built-from.json', import.meta.url)) as { sha256: string } | null)?.sha256 ?? null;
