import { Fault, type FaultType } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import type { Forge, PullRequest, Repository } from '../forge/forge.ts';
import { ownComments } from '../forge/own-comments.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { Mirrors } from '../host/git/mirrors.ts';

/** What a sync does about the mirror's pull requests. */

export interface SyncedMirror {
  recipe: string;
  repository: Repository;
  /** Main's tip. */
  main: string;
}

/** Those that were touched last: a mirror has a handful. */
const MOST_LOOKED_AT = 100;
/** A forge, or a repository, that fails as often fails for the others too. */
const MOST_FAULTS = 3;
/** A sync has its own time, and a sweep waits for it: who has more pull requests than that finds them looked at next time. */
const LONGEST_MS = 3 * 60_000;
/** By it our own comment is known; nobody sees it. */
const MARKER = '<!-- recipe-sweep: closed -->';

/** Those that cost one pull request, and not the sync. */
const OF_ONE: ReadonlySet<FaultType> = new Set(['Forge', 'BadConfig', 'BadInput', 'MirrorSync']);

/**
 * Closes each open pull request whose merge into main would change nothing, with one comment that names main's commit,
 * whatever was cut off before. Drafts, those from forks, those for other branches, those that somebody opened again
 * after that, and all that would change something or conflict, stay as they are. Answers what is worth telling:
 * which were closed, and what went wrong with any.
 */
export async function closeMerged(
  forge: Forge,
  mirrors: Pick<Mirrors, 'bringCommit' | 'mergesToNothing'>,
  mirror: SyncedMirror,
): Promise<string[]> {
  const notes: string[] = [];
  let faults = 0;
  const since = Date.now();
  /** Null for what went wrong, of which there is a note. */
  const orNote = async <T>(what: string, task: () => Promise<T>): Promise<T | null> => {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof Fault && OF_ONE.has(error.type))) throw error;
      faults += 1;
      notes.push(quotableLine(`${what}: ${error.message}`));
      return null;
    }
  };
  const open = await orNote('pull requests were not looked at', () =>
    forge.openPullRequests(mirror.repository, MOST_LOOKED_AT),
  );
  for (const one of open ?? []) {
    if (one.isDraft || one.head.isFork || one.base !== 'main') continue;
    const isLate = Date.now() - since > LONGEST_MS;
    if (faults === MOST_FAULTS || isLate) {
      notes.push(`the other pull requests were not looked at${isLate ? ': these took their time' : ''}`);
      break;
    }
    const closed = await orNote(`pull request ${one.number} was left open`, () =>
      closeIfMerged(forge, mirrors, mirror, one),
    );
    if (closed) notes.push(`pull request ${one.number} was closed: main has it`);
  }
  return notes;
}

async function closeIfMerged(
  forge: Forge,
  mirrors: Pick<Mirrors, 'bringCommit' | 'mergesToNothing'>,
  { recipe, repository, main }: SyncedMirror,
  { number, head: { commit } }: PullRequest,
): Promise<boolean> {
  // Pushed to or closed since the list was made.
  if (!(await mirrors.bringCommit(recipe, { commit, pullRequest: number }))) return false;
  if (!(await mirrors.mergesToNothing(recipe, commit))) return false;
  const [ours] = await ownComments(forge, repository, number, (body) => body.startsWith(MARKER));
  if (ours === undefined) {
    const body = `${MARKER}\nUpstream's main has this: merging it into ${main} would change nothing, so it is closed. Open it again if it is to stay open.`;
    if ((await forge.addComment(repository, number, body)) === null) return false;
    passBoundary('mirror-sync.after-comment');
  } else if (await forge.wasReopened(repository, number)) {
    return false;
  }
  const closed = await forge.closePullRequest(repository, number);
  passBoundary('mirror-sync.after-close');
  return closed;
}
