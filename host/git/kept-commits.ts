import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { noneIfMissing, syncFile, syncFolder } from '../machine/durable-file.ts';
import { KEPT } from './commands.ts';
import type { Git } from './git.ts';
import { explained } from './sync-fault.ts';
import type { WorkRepositories } from './work-repository.ts';

/**
 * `<state>/canonicals/<recipe>/<commit>.bundle`: commits that are to be had also once upstream, and so the mirror and
 * its cache, has them no longer.
 */
export interface KeptCommits {
  /** Where a commit is kept, if it is. */
  file(recipe: string, commit: string): string;
  /** Keeps one of the mirror's. Answers false when that does not have it; throws Fault MirrorSync or Disk. */
  keep(recipe: string, commit: string): Promise<boolean>;
  /** Lets go of every commit that was kept but this one. */
  keepOnly(recipe: string, commit: string | null): Promise<void>;
}

const BUNDLE = '.bundle';

export function createKeptCommits(state: string, git: Git, work: WorkRepositories): KeptCommits {
  function folderOf(recipe: string): string {
    work.folder(recipe); // refuses what is no recipe's name
    return path.join(state, 'canonicals', recipe);
  }

  function file(recipe: string, commit: string): string {
    return path.join(folderOf(recipe), `${commit}${BUNDLE}`);
  }

  return {
    file,

    async keep(recipe, commit) {
      const has = async (from: string): Promise<true | null> => (await git.has(from, commit)) || null;
      if ((await work.find(recipe, `keeping ${commit}`, has)) === null) return false;
      const from = work.folder(recipe);
      const kept = file(recipe, commit);
      const folder = path.dirname(kept);
      const advice = `Free space on this host, or mend ${folder}.`;
      await explained(recipe, `keeping ${commit}`, advice, async () => {
        await mkdir(folder, { recursive: true });
        // Under another name, so that what is there is whole.
        const partial = `${kept}.partial`;
        // A git that was killed here left its locks; whoever keeps has the recipe's repositories to itself.
        for (const lock of [`${partial}.lock`, path.join(from, `${KEPT}.lock`)])
          await rm(lock, { force: true });
        await git.bundle(from, commit, partial);
        await syncFile(partial);
        await rename(partial, kept);
        await syncFolder(folder);
      });
      return true;
    },

    async keepOnly(recipe, commit) {
      const folder = folderOf(recipe);
      for (const name of await readdir(folder).catch(noneIfMissing)) {
        // Also what a git that was killed left of one.
        if (name.includes(BUNDLE) && name !== `${commit}${BUNDLE}`)
          await rm(path.join(folder, name), { force: true });
      }
    },
  };
}
