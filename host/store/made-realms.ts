import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { noneIfMissing, syncFolder, writeDurably } from '../machine/durable-file.ts';

/**
 * Which realms of runs may be at a live Keycloak: an empty file `<state>/realms/<realm>` of each, written before it is
 * made. A run that never came so far has nothing to ask for of a Keycloak that is away.
 */
export interface MadeRealms {
  mark(name: string): Promise<void>;
  clear(name: string): Promise<void>;
  /** The names of those that are marked. */
  all(): Promise<string[]>;
}

export function createMadeRealms(state: string): MadeRealms {
  const folder = path.join(state, 'realms');
  return {
    mark: (name) => writeDurably(path.join(folder, name), ''),
    async clear(name) {
      await rm(path.join(folder, name), { force: true });
      await syncFolder(folder).catch(noneIfMissing);
    },
    all: async () => (await readdir(folder).catch(noneIfMissing)).filter((name) => !name.endsWith('.tmp')),
  };
}
