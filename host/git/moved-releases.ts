import { Fault } from '../../domain/fault.ts';
import { parseVersion } from '../../domain/version.ts';
import type { Recorded } from './ledger.ts';

const TAGS_NAMED = 5;

/**
 * Throws Fault TagMoved when a release's tag is elsewhere than the ledger has it: nothing goes on, and an operator is
 * told what to type. Short, and what to type before the rest: a sweep's end shows the beginning of it.
 */
export function refuseMovedUpstream(
  recipe: string,
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
): void {
  const moved = [...recorded].filter(([tag, { commit }]) => {
    const found = commits.get(tag);
    return found !== undefined && found !== commit && parseVersion(tag) !== null;
  });
  if (moved.length === 0) return;
  const named = moved.slice(0, TAGS_NAMED);
  const more = moved.length > named.length ? [`  and ${moved.length - named.length} more`] : [];
  // A release's tag is written in letters that mean nothing to a shell.
  const lines = named.map(
    ([tag, { commit, ts }]) =>
      `  recipe-sweep ledger accept ${recipe} ${tag} --reason "<why>"\n    now ${commits.get(tag)}, was ${commit} since ${ts}`,
  );
  const what = `${recipe}: a release's tag moved upstream; nothing was pushed, nothing is tested. Ask upstream to put it back, or for a new release. Or look at it, and accept it where it is now:`;
  throw new Fault('TagMoved', [what, ...lines, ...more].join('\n'));
}
