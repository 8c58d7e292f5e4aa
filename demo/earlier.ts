import path from 'node:path';
import { CommandStopped } from '../client/failure.ts';
import { removeForge } from '../fixtures/forge.ts';
import { forgetImageRegistry } from '../fixtures/image-registry.ts';
import { end, isAlive, ownName, withVariable } from '../host/machine/processes.ts';

/** What a demo starts is known by its environment, so that the next one can end what a demo that was killed left. */

/** `<the demo's folder>#<its process ID>.<when it was started>`. */
const DEMO_MARK = 'RECIPE_SWEEP_DEMO';
const MARK = /^(.*)#(\d+)\.(\d+)$/s;

/** To be in the environment of all that this demo starts. */
export async function markOf(folder: string): Promise<Record<string, string>> {
  const { pid, started } = await ownName();
  return { [DEMO_MARK]: `${folder}#${pid}.${started}` };
}

/**
 * Ends the processes of an earlier demo in this folder, and takes away its forge of that name and its images' names.
 * Stops the command where that demo still runs.
 */
export async function endEarlierDemo(folder: string, forge: string): Promise<void> {
  for (const left of await withVariable(DEMO_MARK)) {
    const [, of, pid, started = ''] = MARK.exec(left.value) ?? [];
    if (of !== folder) continue;
    if (await isAlive({ pid: Number(pid), started })) {
      throw new CommandStopped(`a demo of this clone runs, as process ${pid}: end it first with Ctrl-C`);
    }
    await end(left);
  }
  await removeForge(forge);
  await forgetImageRegistry(path.join(folder, 'registry'));
}
