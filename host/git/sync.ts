import type { GitUrl } from '../../domain/git-url.ts';
import { passBoundary } from '../machine/boundary.ts';
import { sameRefs, type RemoteRefs } from './commands.ts';
import type { Git } from './git.ts';
import type { Ledger, Moved, Recorded } from './ledger.ts';
import { mirrorRefs, pushMirror } from './mirror.ts';
import { refuseMovedUpstream } from './moved-releases.ts';
import { taggedCommits } from './releases.ts';
import { explained } from './sync-fault.ts';
import { checkUpstream, refuseUnusableTags, upstreamRefs } from './upstream.ts';
import type { WorkRepositories } from './work-repository.ts';

export interface Synced {
  main: string;
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
  const moved = await explained(recipe, `fetching upstream ${from.url}`, advice, async () => {
    await work.bring(recipe, from, upstream);
    passBoundary('mirror-sync.after-fetch');
    const entered = await enterTags(recipe, upstream, recorded, tools);
    passBoundary('mirror-sync.after-ledger');
    return entered;
  });
  const changed = !sameRefs(before, upstream);
  if (changed) {
    await pushMirror(git, recipe, work.folder(recipe), mirror, upstream);
    passBoundary('mirror-sync.after-push');
  }
  return { main: upstream.main, tags: upstream.tags.size, changed, moved };
}

/** What is new, and where tags that are no releases' moved to; answers the latter. */
async function enterTags(
  recipe: string,
  upstream: RemoteRefs,
  recorded: ReadonlyMap<string, Recorded>,
  { git, work, ledger, now }: SyncTools,
): Promise<Moved[]> {
  const fresh = [...upstream.tags].filter(([tag]) => recorded.get(tag)?.commit !== upstream.peeled.get(tag));
  if (fresh.length === 0) return [];
  const tagged = await taggedCommits(git, work.folder(recipe), new Map(fresh));
  const ts = now().toISOString();
  await ledger.append(
    recipe,
    tagged.map(({ tag, commit }) => ({ tag, commit, ts })),
  );
  return tagged.flatMap(({ tag, commit }) => {
    const from = recorded.get(tag)?.commit;
    return from === undefined ? [] : [{ tag, from, commit }];
  });
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}
