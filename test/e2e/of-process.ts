import { mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { isAlive, ownName } from '../../host/machine/processes.ts';

/**
 * What a test makes on this machine, by a folder that is named after the process it is for: where that is gone, it is
 * nobody's.
 */

/** A new folder `<prefix><pid>-<started>-<random>` of this process. */
export async function makeFolderOfProcess(under: string, prefix: string): Promise<string> {
  const { pid, started } = await ownName();
  return mkdtemp(path.join(under, `${prefix}${pid}-${started}-`));
}

/** Such folders, whose processes are gone. */
export async function abandonedFolders(under: string, prefix: string): Promise<string[]> {
  const abandoned: string[] = [];
  for (const name of await readdir(under)) {
    if (!name.startsWith(prefix)) continue;
    const [, pid, started] = /^(\d+)-(\d+)-\w+$/.exec(name.slice(prefix.length)) ?? [];
    if (pid === undefined || started === undefined) continue;
    if (!(await isAlive({ pid: Number(pid), started }))) abandoned.push(path.join(under, name));
  }
  return abandoned;
}
