import path from 'node:path';
import { Fault } from '../../domain/fault.ts';
import type { GitUrl } from '../../domain/git-url.ts';
import { mirrorUrl, type Config } from '../config/config.ts';
import { withForgeToken } from '../config/forge-access.ts';
import type { Release } from '../../domain/release.ts';
import { lockFile } from '../machine/file-lock.ts';
import type { ProcessRunner } from '../machine/process.ts';
import { createQueue, type Queue } from '../machine/queue.ts';
import { accept, refuseToAccept, type AskedAcceptance } from './acceptance.ts';
import { checkOut } from './checkout.ts';
import { isObjectId } from './commands.ts';
import { createGit } from './git.ts';
import { bringAgain, bringHead, type Head, type HeadTools } from './heads.ts';
import { createKeptCommits } from './kept-commits.ts';
import type { Ledger, Moved } from './ledger.ts';
import { explained } from './sync-fault.ts';
import { sync, type Synced } from './sync.ts';
import { place, placeOfUpstream } from './upstream.ts';
import { createWorkRepositories, exists } from './work-repository.ts';

/**
 * Our copies of the recipes' home repositories. The mirror (any git URL) is what people and pull requests
 * see; `<state>/work/<recipe>.git` is a cache of it that sweeps read, which may be thrown away at any time.
 */
export interface Mirrors {
  /**
   * Makes the mirror's main and tags exactly upstream's, by force, and enters new tags into the ledger; the
   * mirror's other branches and refs stay. Each release that it answers is in the ledger, with that very commit. Throws
   * Fault TagMoved, pushing nothing, when a release's tag has another commit than the ledger has; MirrorSync or Disk
   * when it could not be done, BadConfig for a URL that git must not be given.
   */
  sync(recipe: string, upstream: string): Promise<Synced>;
  /**
   * Enters into the ledger that a release's tag, which moved, is to be where upstream has it now. The mirror is left to
   * the next sync, which refuses the tag again if it has moved once more by then. Asked twice for the same acceptance,
   * enters it once. Throws Fault BadInput, entering nothing, for a tag that is no release's, that no sync has seen,
   * that upstream has no longer, that did not move, or that leads to no commit; else as sync does.
   */
  accept(recipe: string, upstream: string, asked: AskedAcceptance): Promise<Moved>;
  /**
   * Writes exactly the files of a commit into `folder`, which is emptied first: no hook, filter or attribute
   * changes or leaves out anything; submodules are empty folders. Where `repository` names another folder, that becomes a
   * git repository with the same files, whose HEAD is the commit, without its history. Throws Fault MirrorSync or Disk.
   */
  checkout(recipe: string, commit: string, folder: string, repository?: string | null): Promise<void>;
  /**
   * Brings a commit that the mirror has, of a pull request say, to where checkout finds it until the next sync and
   * whoever reads by then longer. False where the mirror has it no longer. Throws Fault BadInput for one that brings
   * more than `limits.fetch`, or that git's own checks refuse, leaving nothing of it; MirrorSync or Disk.
   */
  bringCommit(recipe: string, head: Head): Promise<boolean>;
  /** Whether main has it, as far as the last sync knows. Throws Fault MirrorSync or Disk. */
  onMain(recipe: string, commit: string): Promise<boolean>;
  /**
   * Whether a merge of a commit that was brought into main would change nothing; not so where they conflict, nor where
   * it is not here. Throws Fault MirrorSync or Disk.
   */
  mergesToNothing(recipe: string, commit: string): Promise<boolean>;
  /** What `release/<version>` says in each of these releases, by version, as far as they have one. Throws Fault MirrorSync or Disk. */
  releaseNotes(recipe: string, releases: readonly Release[]): Promise<Map<string, string>>;
  /**
   * How the second commit's files differ, as git prints it, cut where it is long. Null where either is not here, or is too
   * large for anybody to read. Throws Fault MirrorSync or Disk.
   */
  diff(recipe: string, from: string, to: string): Promise<string | null>;
  /**
   * Keeps a commit in `<state>/canonicals/<recipe>/<commit>.bundle`, from where checkout has it once upstream, and so
   * the mirror and its cache, has it no longer. Answers whether it is kept: false when it is gone already. Throws Fault
   * MirrorSync or Disk.
   */
  keep(recipe: string, commit: string): Promise<boolean>;
  /** Lets go of every commit that was kept but this one. */
  keepOnly(recipe: string, commit: string | null): Promise<void>;
}

export interface MirrorsDependencies {
  config: Pick<Config, 'forge' | 'mirrors' | 'state'> & { limits: Pick<Config['limits'], 'fetch'> };
  commands: ProcessRunner;
  ledger: Ledger;
  now(): Date;
  /** Ends the commands that workers which are gone left running. */
  endOrphans(): Promise<void>;
}

export function createMirrors({ config, commands, ledger, now, endOrphans }: MirrorsDependencies): Mirrors {
  const { state } = config;
  const mostFetched = config.limits.fetch;
  const mirrorOf = (recipe: string): Promise<GitUrl> =>
    withForgeToken(config, place(mirrorUrl(config, recipe), `mirrors, for ${recipe}`));
  const git = createGit(commands, mostFetched);
  const work = createWorkRepositories({ state, git, mostFetched, mirrorOf });
  const kept = createKeptCommits(state, git, work);
  const headTools: HeadTools = { git, work, mirrorOf, mostFetched };

  /** Of two that would sync, read or repair one recipe's repositories, in whichever worker, one waits. */
  async function locked<T>(recipe: string, task: () => Promise<T>): Promise<T> {
    const folder = work.folder(recipe);
    return queueOf(folder)(async () => {
      const advice = `Look at ${path.dirname(folder)}.`;
      const lock = await explained(recipe, 'waiting for its repositories', advice, () =>
        lockFile(folder.replace(/git$/, 'lock'), { commands, endOrphans }),
      );
      try {
        return await task();
      } finally {
        await lock.giveBack();
      }
    });
  }

  /** A question of a commit and main; no for one that is not here. */
  async function asked(
    recipe: string,
    commit: string,
    doing: string,
    ask: (from: string) => Promise<boolean>,
  ): Promise<boolean> {
    const found = await work.find(recipe, doing, async (from) => {
      const { main } = await git.refs(from);
      return main === null ? null : { main, isHere: await git.has(from, commit) };
    });
    if (found === null || !found.isHere) return false;
    const advice = `Sync ${recipe} again; if that does not help, remove ${work.folder(recipe)}.`;
    return explained(recipe, doing, advice, () => ask(work.folder(recipe)));
  }

  return {
    async sync(recipe, upstream) {
      const from = placeOfUpstream(recipe, upstream);
      const mirror = await mirrorOf(recipe);
      return locked(recipe, () => sync(recipe, from, mirror, { git, work, ledger, now }));
    },

    async accept(recipe, upstream, asked) {
      refuseToAccept(recipe, asked);
      const from = placeOfUpstream(recipe, upstream);
      return locked(recipe, () => accept(recipe, from, asked, { git, work, ledger }));
    },

    async checkout(recipe, commit, folder, repository = null) {
      refuseNoCommit(recipe, commit);
      const bring = (): Promise<boolean> => bringAgain(recipe, commit, headTools);
      await locked(recipe, () => checkOut(recipe, commit, folder, repository, { git, work, kept, bring }));
    },

    async bringCommit(recipe, head) {
      refuseNoCommit(recipe, head.commit);
      return locked(recipe, () => bringHead(recipe, head, headTools));
    },

    async onMain(recipe, commit) {
      refuseNoCommit(recipe, commit);
      return locked(recipe, () =>
        asked(recipe, commit, `looking for ${commit} on main`, (from) => git.onMain(from, commit)),
      );
    },

    async mergesToNothing(recipe, commit) {
      refuseNoCommit(recipe, commit);
      return locked(recipe, () =>
        asked(recipe, commit, `merging ${commit}`, (from) => git.mergesToNothing(from, commit)),
      );
    },

    async releaseNotes(recipe, releases) {
      const notes = new Map<string, string>();
      const advice = `Sync ${recipe} again; if that does not help, remove ${work.folder(recipe)}.`;
      await locked(recipe, () =>
        explained(recipe, 'reading release notes', advice, async () => {
          for (const { version, commit } of releases) {
            const text = await git.text(work.folder(recipe), commit, `release/${version}`);
            if (text !== null) notes.set(version, text.slice(0, LONGEST_NOTES));
          }
        }),
      );
      return notes;
    },

    async diff(recipe, from, to) {
      for (const commit of [from, to]) refuseNoCommit(recipe, commit);
      const folder = work.folder(recipe);
      return locked(recipe, async () => {
        const advice = `Sync ${recipe} again; if that does not help, remove ${folder}.`;
        return explained(recipe, `comparing ${from} with ${to}`, advice, async () => {
          for (const commit of [from, to]) {
            if (!(await git.has(folder, commit))) return null;
            if ((await git.size(folder, commit)).bytes > MOST_COMPARED) return null;
          }
          return (await git.diff(folder, from, to)).slice(0, LONGEST_DIFF);
        });
      });
    },

    async keep(recipe, commit) {
      if (await exists(kept.file(recipe, commit))) return true;
      return locked(recipe, () => kept.keep(recipe, commit));
    },

    keepOnly: (recipe, commit) => kept.keepOnly(recipe, commit),
  };
}

/** Commits with more in their files, in bytes, are not compared. */
const MOST_COMPARED = 16_000_000;
/** Differences that are longer are cut, in characters. */
const LONGEST_DIFF = 256 * 1024;

/** Notes that are longer are cut, in characters. */
const LONGEST_NOTES = 20_000;

function refuseNoCommit(recipe: string, commit: string): void {
  if (isObjectId(commit)) return;
  throw new Fault('BadInput', `${recipe}: not a whole commit ID: ${JSON.stringify(commit)}`);
}

/** Mirrors are made for each attempt of a step; those of this process need not ask the kernel. */
const queues = new Map<string, Queue>();

function queueOf(work: string): Queue {
  const queue = queues.get(work) ?? createQueue();
  queues.set(work, queue);
  return queue;
}
