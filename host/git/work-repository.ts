import { access, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../domain/fault.ts';
import type { GitUrl } from '../../domain/git-url.ts';
import { isRecipeName } from '../../domain/names.ts';
import { noneIfMissing } from '../machine/durable-file.ts';
import { CommandFailed } from '../machine/process.ts';
import { sameRefs, type MainAndTags, type Refs } from './commands.ts';
import type { Git } from './git.ts';
import { explained, nullIfFailed, syncFault } from './sync-fault.ts';

/** `<state>/work/<recipe>.git`: a cache of a recipe's mirror, which may be thrown away at any time. */
export interface WorkRepositories {
  /** Throws Fault BadInput for what is no recipe's name. */
  folder(recipe: string): string;
  /** Makes it hold exactly that. One that is missing, damaged, or locked by a git that was killed, is made anew. */
  bring(recipe: string, from: GitUrl, wanted: MainAndTags): Promise<void>;
  /** The same, whatever is there. */
  remake(recipe: string, from: GitUrl, wanted: MainAndTags): Promise<void>;
  /**
   * Looks for something in it; if that is not there (null), once more in one made anew from the mirror. Throws Fault
   * MirrorSync or Disk.
   */
  look<T>(recipe: string, doing: string, look: (work: string) => Promise<T | null>): Promise<T>;
  /** The same, but null where the mirror does not have it. */
  find<T>(recipe: string, doing: string, look: (work: string) => Promise<T | null>): Promise<T | null>;
  /** Makes one with nothing in it, of the commit's object format, where it is lost or cannot be read. */
  ensure(recipe: string, commit: string): Promise<void>;
  /** Makes a repository hold what a remote does; one that would become too large is removed, with what came of it. */
  fetch(recipe: string, folder: string, from: GitUrl): Promise<void>;
}

export interface WorkRepositoriesSettings {
  state: string;
  git: Git;
  /** In bytes. */
  mostFetched: number;
  mirrorOf(recipe: string): Promise<GitUrl>;
}

/** What git says when the system ends the part of it that writes (signal 25, SIGXFSZ), or refuses the write. */
const FILE_TOO_LARGE = /died of signal 25|file too large/i;

/** Whether a fetch into a repository was ended since it brought more than may be fetched. */
export async function isTooLarge(folder: string, error: unknown, mostFetched: number): Promise<boolean> {
  if (!(error instanceof CommandFailed)) return false;
  if (FILE_TOO_LARGE.test(error.message)) return true;
  // Where git reads what that part of it says, it tells of nothing but an answer that was cut off.
  const sizes = await Promise.all((await partialPacks(folder)).map(async (file) => (await stat(file)).size));
  return sizes.some((size) => size >= mostFetched);
}

/** What a git left of a pack that it could not bring whole. */
export async function partialPacks(folder: string): Promise<string[]> {
  const packs = path.join(folder, 'objects', 'pack');
  const names = await readdir(packs).catch(noneIfMissing);
  return names.filter((name) => name.startsWith('tmp_')).map((name) => path.join(packs, name));
}

export function createWorkRepositories(settings: WorkRepositoriesSettings): WorkRepositories {
  const { state, git, mostFetched, mirrorOf } = settings;

  function folder(recipe: string): string {
    if (!isRecipeName(recipe)) throw new Fault('BadInput', `not a recipe name: ${JSON.stringify(recipe)}`);
    return path.join(state, 'work', `${recipe}.git`);
  }

  /** Null when there is none, or it cannot be read. */
  async function refs(work: string): Promise<Refs | null> {
    return (await exists(work)) ? nullIfFailed(() => git.refs(work)) : null;
  }

  async function fetch(recipe: string, work: string, from: GitUrl): Promise<void> {
    try {
      await git.fetch(work, from);
    } catch (error) {
      if (!(await isTooLarge(work, error, mostFetched))) throw error;
      await rm(work, { recursive: true, force: true });
      throw syncFault(
        recipe,
        `${from.url} holds more than ${mostFetched} bytes, the most that is fetched in one go`,
        'A recipe is a few small files: ask upstream to take the others out of its history, or set "limits.fetch".',
      );
    }
  }

  async function bring(recipe: string, from: GitUrl, wanted: MainAndTags): Promise<void> {
    const work = folder(recipe);
    const before = await refs(work);
    if (before && sameRefs(before, wanted)) return;
    if (before && (await nullIfFailed(() => fetch(recipe, work, from).then(() => true)))) {
      const after = await refs(work);
      if (after && sameRefs(after, wanted)) return;
    }
    await remake(recipe, from, wanted);
  }

  async function remake(recipe: string, from: GitUrl, wanted: MainAndTags): Promise<void> {
    const work = folder(recipe);
    await rm(work, { recursive: true, force: true });
    await git.create(work, wanted.main);
    await fetch(recipe, work, from);
    const after = await refs(work);
    if (!after || !sameRefs(after, wanted)) {
      throw syncFault(
        recipe,
        `${from.url} changed while it was being read`,
        'Nothing was pushed. It is tried again by itself; if it stays, look at what keeps pushing there.',
      );
    }
  }

  async function find<T>(
    recipe: string,
    doing: string,
    look: (work: string) => Promise<T | null>,
  ): Promise<T | null> {
    const work = folder(recipe);
    const found = (await exists(work)) ? await nullIfFailed(() => look(work)) : null;
    if (found !== null) return found;
    const mirror = await mirrorOf(recipe);
    const advice = `Sync ${recipe} again; if that does not help, mend its mirror.`;
    return explained(recipe, doing, advice, async () => {
      const refs = await git.remoteRefs(mirror);
      const { main } = refs;
      if (main === null) return null;
      await remake(recipe, mirror, { ...refs, main });
      return look(work);
    });
  }

  return {
    folder,
    bring,
    remake,
    fetch,
    find,

    async look(recipe, doing, look) {
      const found = await find(recipe, doing, look);
      if (found !== null) return found;
      throw syncFault(
        recipe,
        `${doing}: not on the mirror ${(await mirrorOf(recipe)).url}`,
        `Sync ${recipe} again; if that does not help, compare the mirror with upstream.`,
      );
    },

    async ensure(recipe, commit) {
      const work = folder(recipe);
      if ((await refs(work)) !== null) return;
      await rm(work, { recursive: true, force: true });
      await git.create(work, commit);
    },
  };
}

export async function exists(folder: string): Promise<boolean> {
  try {
    await access(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
