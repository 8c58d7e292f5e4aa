import type { GitUrl } from '../../domain/git-url.ts';
import { sameRefs, type MainAndTags, type Refs } from './commands.ts';
import type { Git } from './git.ts';
import { explained, syncFault } from './sync-fault.ts';
import { exists } from './work-repository.ts';

/** A recipe's mirror: any git URL, or a folder on this host. It is what people and pull requests see. */

/** A mirror on this host that does not exist yet is empty; it is made when there is something to push. */
export async function mirrorRefs(git: Git, recipe: string, mirror: GitUrl): Promise<Refs> {
  const advice = 'Check that the mirror exists, is a git repository and is reachable from this host.';
  return explained(recipe, `reading the mirror ${mirror.url}`, advice, async () => {
    if (mirror.folder !== null && !(await exists(mirror.folder))) return { main: null, tags: new Map() };
    return git.remoteRefs(mirror);
  });
}

/**
 * Makes a mirror's main and tags those of the work repository, which holds what is wanted, and looks whether they are.
 * Throws Fault MirrorSync or Disk.
 */
export async function pushMirror(
  git: Git,
  recipe: string,
  work: string,
  mirror: GitUrl,
  wanted: MainAndTags,
): Promise<void> {
  const advice =
    `Check that the mirror exists, is reachable from this host, and lets us push main and tags by force ` +
    `(no branch or tag protection).`;
  await explained(recipe, `pushing to the mirror ${mirror.url}`, advice, async () => {
    if (mirror.folder !== null && !(await exists(mirror.folder))) {
      await git.create(mirror.folder, wanted.main);
    }
    await git.push(work, mirror, wanted.main);
    if (!sameRefs(await git.remoteRefs(mirror), wanted)) {
      throw syncFault(recipe, `the mirror ${mirror.url} does not hold what was just pushed to it`, advice);
    }
  });
}
