import type { GitUrl } from '../../domain/git-url.ts';
import type { Release } from '../../domain/release.ts';
import { versionsOf } from '../../domain/version.ts';
import { passBoundary } from '../machine/boundary.ts';
import { sameRefs, type MainAndTags } from './commands.ts';
import type { Git } from './git.ts';
import { dropHeads } from './heads.ts';
import type { Ledger, Moved, Recorded } from './ledger.ts';
import { mirrorRefs, pushMirror } from './mirror.ts';
import { refuseMovedUpstream } from './moved-releases.ts';
import { explained, nullIfFailed } from './sync-fault.ts';
import { checkUpstream, refuseUnusableTags, upstreamRefs } from './upstream.ts';
import type { WorkRepositories } from './work-repository.ts';

/** What a sync found upstream, and what it did. */
export interface Synced {
  /** Main's tip. */
  main: string;
  /** Those whose tags are reachable on main, oldest first. */
  releases: Release[];
  /** How many upstream has. */
  tags: number;
  /** Whether anything was pushed. */
  changed: boolean;
  /** The tags that are no releases' and lead elsewhere than at the sync before: they were mirrored like all others. */
  moved: Moved[];
}

export interface SyncTools {
  git: Git;
  work: WorkRepositories;
  ledger: Ledger;
  now(): Date;
}

/** See `Mirrors.sync`. Looks at both sides first, and changes nothing when upstream's refs are refused. */
export async function sync(recipe: string, from: GitUrl, mirror: GitUrl, tools: SyncTools): Promise<Synced> {
  const { git, work, ledger } = tools;
  const advice = `${checkUpstream(recipe)}; the recipe is not tested against an old mirror.`;
  const [known, reading, mirrored] = await Promise.allSettled([
    ledger.read(recipe),
    upstreamRefs(git, recipe, from, advice),
    mirrorRefs(git, recipe, mirror),
  ]);
  const [recorded, upstream, before] = [settled(known), settled(reading), settled(mirrored)];
  refuseUnusableTags(recipe, upstream);
  refuseMovedUpstream(recipe, upstream.peeled, recorded);
  const { fetched, moved } = await explained(recipe, `fetching upstream ${from.url}`, advice, async () => {
    await work.bring(recipe, from, upstream);
    await dropHeads(work.folder(recipe));
    passBoundary('mirror-sync.after-fetch');
    const found = await readFetched(recipe, from, upstream, tools);
    // By the objects themselves: until now there was only upstream's word for where its tags lead.
    refuseMovedUpstream(recipe, found.commits, recorded);
    const entered = await enterTags(recipe, found.commits, recorded, tools);
    passBoundary('mirror-sync.after-ledger');
    return { fetched: found, moved: entered };
  });
  const changed = !sameRefs(before, upstream);
  if (changed) {
    await pushMirror(git, recipe, work.folder(recipe), mirror, upstream);
    passBoundary('mirror-sync.after-push');
  }
  const { commits, onMain } = fetched;
  const releases = versionsOf(onMain).flatMap(({ tag }) => {
    const commit = commits.get(tag);
    return commit === undefined ? [] : [{ version: tag, commit }];
  });
  return { main: upstream.main, releases, tags: upstream.tags.size, changed, moved };
}

/** What is in the work repository. */
interface Fetched {
  /** Where each tag leads; one of a blob or a tree is left out. */
  commits: ReadonlyMap<string, string>;
  /** The tags that are reachable on main. */
  onMain: readonly string[];
}

/** Once more from one made anew, where one that seemed whole is damaged deep down. */
async function readFetched(
  recipe: string,
  from: GitUrl,
  upstream: MainAndTags,
  { git, work }: SyncTools,
): Promise<Fetched> {
  const folder = work.folder(recipe);
  const look = async (): Promise<Fetched> => {
    const { tags } = await git.refsOnMain(folder);
    return { onMain: [...tags.keys()], commits: await taggedCommits(git, folder, upstream.tags) };
  };
  const found = await nullIfFailed(look);
  if (found !== null) return found;
  await work.remake(recipe, from, upstream);
  return look();
}

/** The commit each tag leads to; a tag of a blob or a tree is left out. */
async function taggedCommits(
  git: Git,
  folder: string,
  tags: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const commits = await git.commits(
    folder,
    [...tags.values()].map((object) => `${object}^{commit}`),
  );
  return new Map(
    [...tags.keys()].flatMap((tag, index) => {
      const commit = commits[index];
      return commit ? [[tag, commit]] : [];
    }),
  );
}

/** What is new, and where tags that are no releases' moved to; answers the latter. */
async function enterTags(
  recipe: string,
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
  { ledger, now }: SyncTools,
): Promise<Moved[]> {
  const fresh = [...commits].filter(([tag, commit]) => recorded.get(tag)?.commit !== commit);
  if (fresh.length === 0) return [];
  const ts = now().toISOString();
  await ledger.append(
    recipe,
    fresh.map(([tag, commit]) => ({ tag, commit, ts })),
  );
  return fresh.flatMap(([tag, commit]) => {
    const known = recorded.get(tag);
    return known === undefined ? [] : [{ tag, from: known.commit, commit }];
  });
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}
