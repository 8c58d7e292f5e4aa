import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../domain/fault.ts';
import type { GitUrl } from '../../domain/git-url.ts';
import { CommandFailed } from '../machine/process.ts';
import { HEADS } from './commands.ts';
import type { Git } from './git.ts';
import { explained, nullIfFailed } from './sync-fault.ts';
import { isTooLarge, partialPacks, type WorkRepositories } from './work-repository.ts';

/**
 * Heads of pull requests: commits of strangers, which no release has. They stand beside main and tags in the work
 * repository, each under a ref of ours.
 */

export interface Head {
  commit: string;
  /** By whose number it is looked for where the mirror does not give it by its ID. */
  pullRequest: number | null;
}

export interface HeadTools {
  git: Git;
  work: WorkRepositories;
  mirrorOf(recipe: string): Promise<GitUrl>;
  /** In bytes. */
  mostFetched: number;
}

/** What git says of a commit that a remote does not have, or does not give away. */
const NOT_THERE =
  /not our ref|couldn't find remote ref|unadvertised object|did not send all necessary objects/i;
/** And of objects that it does not let in. */
const MALFORMED = /fsck error in packed object/i;

/** See `Mirrors.bringCommit`. */
export async function bringHead(recipe: string, head: Head, tools: HeadTools): Promise<boolean> {
  const { git, work, mirrorOf } = tools;
  const { commit } = head;
  const mirror = await mirrorOf(recipe);
  const doing = `fetching ${commit} from the mirror ${mirror.url}`;
  const main = await work.find(recipe, doing, async (from) => (await git.refs(from)).main);
  if (main === null) return false;
  const folder = work.folder(recipe);
  const advice = 'Check that the mirror is reachable from this host.';
  return explained(recipe, doing, advice, () => bringInto(recipe, folder, mirror, head, tools));
}

/**
 * Brings one by its ID into the work repository as it is, for whoever does not find it there any more. False where that
 * does not help.
 */
export async function bringAgain(recipe: string, commit: string, tools: HeadTools): Promise<boolean> {
  const mirror = await tools.mirrorOf(recipe);
  const head = { commit, pullRequest: null };
  const bring = () => bringInto(recipe, tools.work.folder(recipe), mirror, head, tools);
  return (await nullIfFailed(bring)) ?? false;
}

async function bringInto(
  recipe: string,
  folder: string,
  mirror: GitUrl,
  head: Head,
  tools: HeadTools,
): Promise<boolean> {
  const { git } = tools;
  const { commit, pullRequest } = head;
  // Whoever is here has the recipe's repositories to itself: what a git that was killed left goes first.
  await rm(path.join(folder, HEADS, `${commit}.lock`), { force: true });
  await removePartialPacks(folder);
  if (!(await git.has(folder, commit))) {
    const byId = await fetched(recipe, folder, mirror, { commit, pullRequest: null }, tools);
    if (!byId && pullRequest !== null) await fetched(recipe, folder, mirror, head, tools);
  }
  if (await git.has(folder, commit)) {
    await git.holdHead(folder, commit);
    return true;
  }
  await rm(path.join(folder, HEADS, commit), { force: true });
  return false;
}

/** False where the mirror does not have it. */
async function fetched(
  recipe: string,
  folder: string,
  mirror: GitUrl,
  { commit, pullRequest }: Head,
  { git, mostFetched }: HeadTools,
): Promise<boolean> {
  try {
    await git.fetchHead(folder, mirror, commit, pullRequest);
    return true;
  } catch (error) {
    const tooLarge = await isTooLarge(folder, error, mostFetched);
    await removePartialPacks(folder);
    if (!(error instanceof CommandFailed)) throw error;
    if (tooLarge) {
      throw new Fault(
        'BadInput',
        `${recipe}: commit ${commit} brings more than ${mostFetched} bytes, the most that is fetched in one go ("limits.fetch"): take the large files out of the pull request's history`,
      );
    }
    if (NOT_THERE.test(error.message)) return false;
    if (MALFORMED.test(error.message)) {
      throw new Fault('BadInput', `${recipe}: commit ${commit} is refused as malformed: ${error.message}`);
    }
    throw error;
  }
}

async function removePartialPacks(folder: string): Promise<void> {
  for (const file of await partialPacks(folder)) await rm(file, { force: true });
}

/**
 * Lets go of every head that was brought. Its objects stay for whoever tests it right now, since nothing of a work
 * repository is collected; they go with it.
 */
export async function dropHeads(folder: string): Promise<void> {
  await rm(path.join(folder, HEADS), { recursive: true, force: true });
}
