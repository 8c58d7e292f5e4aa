import type { Release } from '../../domain/release.ts';
import { versionsOf } from '../../domain/version.ts';
import type { Git } from './git.ts';
import type { Ledger } from './ledger.ts';
import { refuseMovedOnMirror } from './moved-releases.ts';
import { syncFault } from './sync-fault.ts';
import type { WorkRepositories } from './work-repository.ts';

export interface ReleasesOnMain {
  /** Its tip. */
  main: string;
  /** Oldest first. */
  releases: Release[];
}

/** See `Mirrors.releases`. */
export async function releasesOnMain(
  recipe: string,
  { git, work, ledger }: { git: Git; work: WorkRepositories; ledger: Ledger },
): Promise<ReleasesOnMain> {
  const { main, tagged } = await work.look(recipe, 'reading the releases', async (folder) => {
    const refs = await git.refsOnMain(folder);
    return refs.main === null
      ? null
      : { main: refs.main, tagged: await taggedCommits(git, folder, refs.tags) };
  });
  const commits = new Map(tagged.map(({ tag, commit }) => [tag, commit]));
  const recorded = await ledger.read(recipe);
  refuseMovedOnMirror(recipe, commits, recorded);
  const releases = versionsOf(commits.keys()).map(({ tag }) => {
    const commit = recorded.get(tag)?.commit;
    if (commit === undefined) {
      throw syncFault(recipe, `release ${tag} is not in the ledger`, `Sync ${recipe} first.`);
    }
    return { version: tag, commit };
  });
  return { main, releases };
}

/** The commit each tag leads to; a tag of a blob or a tree is left out. */
export async function taggedCommits(
  git: Git,
  folder: string,
  tags: ReadonlyMap<string, string>,
): Promise<{ tag: string; commit: string }[]> {
  const names = [...tags.keys()];
  const commits = await git.commits(
    folder,
    [...tags.values()].map((object) => `${object}^{commit}`),
  );
  return names.flatMap((tag, index) => {
    const commit = commits[index];
    return commit ? [{ tag, commit }] : [];
  });
}
