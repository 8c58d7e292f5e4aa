import { Fault } from '../../domain/fault.ts';
import { parseVersion } from '../../domain/version.ts';
import type { Recorded } from './ledger.ts';

/** A release's tag that is elsewhere than the ledger has it: nothing goes on, and an operator is told what to type. */

const TAGS_NAMED = 5;

/**
 * Null unless a release's tag is elsewhere than the ledger has it; else one line about each of the first few, which
 * begins as `begin` says.
 */
function movedReleases(
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
  begin: (tag: string) => string,
): string[] | null {
  const moved = [...recorded].filter(([tag, { commit }]) => {
    const found = commits.get(tag);
    return found !== undefined && found !== commit && parseVersion(tag) !== null;
  });
  if (moved.length === 0) return null;
  const named = moved.slice(0, TAGS_NAMED);
  const more = moved.length > named.length ? [`  and ${moved.length - named.length} more`] : [];
  const lines = named.map(
    ([tag, { commit, ts }]) => `  ${begin(tag)}\n    now ${commits.get(tag)}, was ${commit} since ${ts}`,
  );
  return [...lines, ...more];
}

/** Short, and what to type before the rest: a sweep's end shows the beginning of it. */
export function refuseMovedUpstream(
  recipe: string,
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
): void {
  // A release's tag is written in letters that mean nothing to a shell.
  const accept = (tag: string): string => `recipe-sweep ledger accept ${recipe} ${tag} --reason "<why>"`;
  const lines = movedReleases(commits, recorded, accept);
  if (lines === null) return;
  const what = `${recipe}: a release's tag moved upstream; nothing was pushed, nothing is tested. Ask upstream to put it back, or for a new release. Or look at it, and accept it where it is now:`;
  throw new Fault('TagMoved', [what, ...lines].join('\n'));
}

/** Right after a sync the mirror has what upstream has, so that somebody else wrote to it, or to the ledger. */
export function refuseMovedOnMirror(
  recipe: string,
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
): void {
  const lines = movedReleases(commits, recorded, (tag) => `tag ${tag}`);
  if (lines === null) return;
  const what = `${recipe}: its mirror has a release's tag elsewhere than the ledger, so nothing is tested. Sync it again (recipe-sweep plan ${recipe}); if it stays, look at what else pushes to the mirror:`;
  throw new Fault('TagMoved', [what, ...lines].join('\n'));
}
