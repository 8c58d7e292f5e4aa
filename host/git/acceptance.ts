import { rm } from 'node:fs/promises';
import { Fault } from '../../domain/fault.ts';
import type { GitUrl } from '../../domain/git-url.ts';
import { parseVersion } from '../../domain/version.ts';
import type { Git } from './git.ts';
import type { Accepted, Ledger, Moved } from './ledger.ts';
import { explained } from './sync-fault.ts';
import { checkUpstream, upstreamRefs } from './upstream.ts';
import type { WorkRepositories } from './work-repository.ts';

export interface AskedAcceptance extends Accepted {
  tag: string;
  /** When it was asked for, in ISO 8601: by which it is known when it is asked for twice. */
  ts: string;
}

/** Throws Fault BadInput for a tag of which there is nothing to accept, whatever upstream has. */
export function refuseToAccept(recipe: string, { tag }: AskedAcceptance): void {
  if (parseVersion(tag) !== null) return;
  throw notAccepted(recipe, tag, "it is no release's (x.y.z+app): such a tag may move");
}

/** See `Mirrors.accept`. */
export async function accept(
  recipe: string,
  from: GitUrl,
  asked: AskedAcceptance,
  { git, work, ledger }: { git: Git; work: WorkRepositories; ledger: Ledger },
): Promise<Moved> {
  const { tag, ts, by, reason } = asked;
  const known = (await ledger.read(recipe)).get(tag);
  if (known === undefined) throw notAccepted(recipe, tag, 'no sweep has seen it, so it did not move');
  const { accepted } = known;
  if (accepted?.by === by && accepted.reason === reason && known.ts === ts) {
    return { tag, from: accepted.from, commit: known.commit };
  }
  const advice = `${checkUpstream(recipe)}; nothing was accepted.`;
  const upstream = await upstreamRefs(git, recipe, from, advice);
  const commit = upstream.peeled.get(tag);
  const onRecord = `${known.commit}, on record since ${known.ts}`;
  if (commit === undefined) {
    throw notAccepted(recipe, tag, `upstream has it no longer; it was at ${onRecord}`);
  }
  if (commit === known.commit) throw notAccepted(recipe, tag, `it did not move: it is at ${onRecord}`);
  const beside = work.folder(recipe).replace(/git$/, 'accepted.git');
  await explained(recipe, `fetching upstream ${from.url}`, advice, async () => {
    // Not into the cache, which is to hold what the mirror does.
    await rm(beside, { recursive: true, force: true });
    try {
      await git.create(beside, upstream.main);
      await work.fetch(recipe, beside, from);
      if (!(await git.has(beside, commit))) {
        throw notAccepted(recipe, tag, `it is at ${commit}, which is no commit, or it moves right now`);
      }
    } finally {
      await rm(beside, { recursive: true, force: true });
    }
  });
  await ledger.accept(recipe, { tag, from: known.commit, commit, ts, by, reason });
  return { tag, from: known.commit, commit };
}

function notAccepted(recipe: string, tag: string, why: string): Fault {
  return new Fault('BadInput', `${recipe}: nothing to accept of tag ${JSON.stringify(tag)}: ${why}`);
}
