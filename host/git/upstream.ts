import { Fault } from '../../domain/fault.ts';
import { checkGitUrl, type GitUrl } from '../../domain/git-url.ts';
import type { MainAndTags, RemoteRefs } from './commands.ts';
import type { Git } from './git.ts';
import { explained, syncFault } from './sync-fault.ts';

/** A recipe's upstream: the repository that its maintainers release in. */

/** Throws Fault BadConfig for a text that git must not be given; `where` says where it was written. */
export function place(text: string, where: string): GitUrl {
  const checked = checkGitUrl(text);
  if (!checked.ok) throw new Fault('BadConfig', `${where}: ${checked.reason}`);
  return checked;
}

export function placeOfUpstream(recipe: string, upstream: string): GitUrl {
  return place(upstream, `recipes/${recipe}/recipe.yml: upstream`);
}

export function checkUpstream(recipe: string): string {
  return `Check the upstream URL in recipes/${recipe}/recipe.yml and that it is reachable from this host`;
}

/** Throws Fault MirrorSync, with the advice, when it cannot be read or has no main. */
export async function upstreamRefs(
  git: Git,
  recipe: string,
  from: GitUrl,
  advice: string,
): Promise<RemoteRefs & MainAndTags> {
  const doing = `reading upstream ${from.url}`;
  const refs = await explained(recipe, doing, advice, () => git.remoteRefs(from));
  const { main } = refs;
  if (main !== null) return { ...refs, main };
  throw syncFault(
    recipe,
    `upstream ${from.url} has no branch main`,
    'Releases are tags on main: ask upstream for a main branch, or record the recipe as an exception.',
  );
}

/** The file system takes 255 bytes in a name, and git adds `.lock`. */
const LONGEST_TAG_PART = 250;

/** Throws Fault MirrorSync for tags that no copy of ours could hold under their own name. */
export function refuseUnusableTags(recipe: string, upstream: RemoteRefs): void {
  for (const tag of upstream.tags.keys()) {
    const tooLong = tag.split('/').some((part) => Buffer.byteLength(part) > LONGEST_TAG_PART);
    if (!tooLong && !tag.includes('\ufffd')) continue;
    throw syncFault(
      recipe,
      `upstream's tag ${JSON.stringify(tag.slice(0, 60))} ${tooLong ? `is longer than ${LONGEST_TAG_PART} bytes` : 'is not UTF-8'}`,
      'Ask upstream to delete the tag: it cannot be mirrored faithfully.',
    );
  }
}
