import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Fault, type FaultType } from '../../domain/fault.ts';
import { checkGitUrl, type GitUrl } from '../../domain/git-url.ts';
import { isRecipeName } from '../../domain/names.ts';
import type { Release } from '../../domain/release.ts';
import { parseVersion, versionsOf } from '../../domain/version.ts';
import { passBoundary } from '../machine/boundary.ts';
import { mirrorUrl, type Config } from '../config/config.ts';
import { syncFile, syncFolder } from '../machine/durable-file.ts';
import * as git from './commands.ts';
import type { Accepted, Ledger, Recorded } from './ledger.ts';
import { CommandFailed, type Command, type ProcessRunner } from '../machine/process.ts';
import { createQueue, type Queue } from '../machine/queue.ts';
import { lockRepository } from './repository-lock.ts';

/**
 * Our copies of the recipes' home repositories. The mirror (any git URL) is what people and pull requests
 * see; `<state>/work/<recipe>.git` is a cache of it that sweeps read, which may be thrown away at any time.
 */
export interface Mirrors {
  /**
   * Makes the mirror's main and tags exactly upstream's, by force, and enters new tags into the ledger; the
   * mirror's other branches and refs stay. Throws Fault TagMoved, pushing nothing, when a release's tag has another
   * commit than the ledger has; MirrorSync or Disk when it could not be done, BadConfig for a URL that git must not
   * be given.
   */
  sync(recipe: string, upstream: string): Promise<Synced>;
  /**
   * Main's tip and the releases reachable on it, oldest first, as of the last sync. Throws Fault TagMoved when
   * one has another commit than the ledger has, MirrorSync when there was no sync.
   */
  releases(recipe: string): Promise<{ main: string; releases: Release[] }>;
  /**
   * Enters into the ledger that a release's tag, which moved, is to be where upstream has it now. The mirror is left to
   * the next sync, which refuses the tag again if it has moved once more by then. Asked twice for the same acceptance,
   * enters it once. Throws Fault BadInput, entering nothing, for a tag that is no release's, that no sync has seen,
   * that upstream has no longer, that did not move, or that leads to no commit; else as sync does.
   */
  accept(recipe: string, upstream: string, asked: AskedAcceptance): Promise<Moved>;
  /**
   * Writes exactly the files of a commit into `folder`, which is emptied first: no hook, filter or attribute
   * changes or leaves out anything; submodules are empty folders. Throws Fault MirrorSync or Disk.
   */
  checkout(recipe: string, commit: string, folder: string): Promise<void>;
  /**
   * Keeps a commit in `<state>/canonicals/<recipe>/<commit>.bundle`, from where checkout has it once upstream, and so
   * the mirror and its cache, has it no longer. Answers whether it is kept: false when it is gone already.
   */
  keep(recipe: string, commit: string): Promise<boolean>;
  /** Lets go of every commit that was kept but this one. */
  keepOnly(recipe: string, commit: string | null): Promise<void>;
}

export interface Synced {
  main: string;
  /** How many upstream has. */
  tags: number;
  /** Whether anything was pushed. */
  changed: boolean;
  /** The tags that are no releases' and lead elsewhere than at the sync before: they were mirrored like all others. */
  moved: Moved[];
}

export interface Moved {
  tag: string;
  from: string;
  commit: string;
}

export interface AskedAcceptance extends Accepted {
  tag: string;
  /** When it was asked for, in ISO 8601: by which it is known when it is asked for twice. */
  ts: string;
}

export interface MirrorsDependencies {
  config: Pick<Config, 'mirrors' | 'state'> & { limits: Pick<Config['limits'], 'fetch'> };
  run: ProcessRunner;
  ledger: Ledger;
  now(): Date;
  /** Ends the commands that workers which are gone left running. */
  endOrphans(): Promise<void>;
}

const MINUTE = 60_000;
const LOOK_MS = 2 * MINUTE;
const LOCAL_MS = 5 * MINUTE;
const TRANSFER_MS = 15 * MINUTE;

/** What git says when the system ends the part of it that writes (signal 25, SIGXFSZ), or refuses the write. */
const FILE_TOO_LARGE = /died of signal 25|file too large/i;

/** Many times what the largest recipe holds. */
const MOST_FILES = 10_000;
const MOST_BYTES = 200_000_000;

/** The file system takes 255 bytes in a name, and git adds `.lock`. */
const LONGEST_TAG_PART = 250;
const TAGS_NAMED = 5;

export function createMirrors({ config, run, ledger, now, endOrphans }: MirrorsDependencies): Mirrors {
  function workFolder(recipe: string): string {
    if (!isRecipeName(recipe)) throw new Fault('BadInput', `not a recipe name: ${JSON.stringify(recipe)}`);
    return path.join(config.state, 'work', `${recipe}.git`);
  }

  /** Of two that would sync, read or repair one recipe's repositories, in whichever worker, one waits. */
  async function locked<T>(recipe: string, task: () => Promise<T>): Promise<T> {
    const work = workFolder(recipe);
    return queueOf(work)(async () => {
      const lock = await step(recipe, 'waiting for its repositories', `Look at ${path.dirname(work)}.`, () =>
        lockRepository(work.replace(/git$/, 'lock'), { run, endOrphans }),
      );
      try {
        return await task();
      } finally {
        await lock.giveBack();
      }
    });
  }

  function keptFolder(recipe: string): string {
    workFolder(recipe);
    return path.join(config.state, 'canonicals', recipe);
  }

  function bundleOf(recipe: string, commit: string): string {
    return path.join(keptFolder(recipe), `${commit}${BUNDLE}`);
  }

  function mirrorOf(recipe: string): GitUrl {
    return place(mirrorUrl(config, recipe), `mirrors, for ${recipe}`);
  }

  /** A step of git's, whose failure says what was being done and what to do about it. */
  async function step<T>(recipe: string, doing: string, advice: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isFailure(error)) throw error;
      throw syncFault(recipe, `${doing}: ${error.message}`, advice, error);
    }
  }

  async function remoteRefs(remote: GitUrl): Promise<git.RemoteRefs> {
    const output = await run.output(
      remoteCommand(remote, { args: git.listRemoteArgs(remote.url), cwd: '/', timeoutMs: LOOK_MS }),
    );
    return git.parseRemoteRefs(output);
  }

  /** Null when there is no work repository, or it cannot be read. */
  async function workRefs(work: string): Promise<git.Refs | null> {
    if (!(await exists(work))) return null;
    return nullIfFailed(async () => git.parseRefs(await local(work, git.refsArgs())));
  }

  async function local(work: string, args: string[], more: Partial<Command> = {}): Promise<string> {
    return run.output({ file: 'git', args, cwd: work, timeoutMs: LOCAL_MS, ...more });
  }

  /** One push of a hundred gigabytes must not fill this host's disk: no file that git writes may be larger. */
  async function fetch(recipe: string, work: string, from: GitUrl): Promise<void> {
    const most = config.limits.fetch;
    const { args, ...command } = remoteCommand(from, {
      args: git.fetchArgs(from.url),
      cwd: work,
      timeoutMs: TRANSFER_MS,
    });
    try {
      await run.output({ ...command, file: 'prlimit', args: [`--fsize=${most}`, '--', 'git', ...args] });
    } catch (error) {
      if (!(error instanceof CommandFailed && FILE_TOO_LARGE.test(error.message))) throw error;
      // with what came of it
      await rm(work, { recursive: true, force: true });
      throw syncFault(
        recipe,
        `${from.url} holds more than ${most} bytes, the most that is fetched in one go`,
        'A recipe is a few small files: ask upstream to take the others out of its history, or set "limits.fetch".',
      );
    }
  }

  /** Begins beside and renames, so that a repository that is there is a whole one; never replaces one. */
  async function createBare(folder: string, commit: string): Promise<void> {
    const beside = `${folder}.new`;
    await mkdir(path.dirname(folder), { recursive: true });
    await rm(beside, { recursive: true, force: true });
    await run.output({
      file: 'git',
      args: git.initBareArgs(beside, commit),
      cwd: '/',
      timeoutMs: LOCAL_MS,
    });
    await rename(beside, folder);
  }

  /**
   * Makes the work repository hold exactly `wanted`. One that is missing, damaged, or locked by a git that was
   * killed, is made anew.
   */
  async function bringWork(recipe: string, from: GitUrl, wanted: git.Refs, main: string): Promise<void> {
    const work = workFolder(recipe);
    const before = await workRefs(work);
    if (before && sameRefs(before, wanted)) return;
    if (before && (await nullIfFailed(() => fetch(recipe, work, from).then(() => true)))) {
      const after = await workRefs(work);
      if (after && sameRefs(after, wanted)) return;
    }
    await rm(work, { recursive: true, force: true });
    await createBare(work, main);
    await fetch(recipe, work, from);
    const after = await workRefs(work);
    if (!after || !sameRefs(after, wanted)) {
      throw syncFault(
        recipe,
        `${from.url} changed while it was being read`,
        'Nothing was pushed. It is tried again by itself; if it stays, look at what keeps pushing there.',
      );
    }
  }

  /** Looks into the work repository; if what is looked for is not there, once more into one made anew. */
  async function inWork<T>(
    recipe: string,
    doing: string,
    look: (work: string) => Promise<T | null>,
  ): Promise<T> {
    const work = workFolder(recipe);
    const found = (await exists(work)) ? await nullIfFailed(() => look(work)) : null;
    if (found !== null) return found;
    const mirror = mirrorOf(recipe);
    return step(recipe, doing, `Sync ${recipe} again; if that does not help, mend its mirror.`, async () => {
      const refs = await remoteRefs(mirror);
      if (refs.main !== null) {
        await rm(work, { recursive: true, force: true });
        await bringWork(recipe, mirror, refs, refs.main);
        const second = await look(work);
        if (second !== null) return second;
      }
      throw syncFault(
        recipe,
        `${doing}: not on the mirror ${mirror.url}`,
        `Sync ${recipe} again; if that does not help, compare the mirror with upstream.`,
      );
    });
  }

  async function commitsOf(work: string, objects: readonly string[]): Promise<(string | null)[]> {
    if (objects.length === 0) return [];
    const input = objects.map((object) => `${object}\n`).join('');
    return git.parseCommits(await local(work, git.objectsArgs(), { input }));
  }

  /** The commit each tag leads to; a tag of a blob or a tree is left out. */
  async function taggedCommits(
    work: string,
    tags: ReadonlyMap<string, string>,
  ): Promise<{ tag: string; commit: string }[]> {
    const names = [...tags.keys()];
    const commits = await commitsOf(
      work,
      [...tags.values()].map((object) => `${object}^{commit}`),
    );
    return names.flatMap((tag, index) => {
      const commit = commits[index];
      return commit ? [{ tag, commit }] : [];
    });
  }

  /** A few small trees that name each other can stand for a billion files. */
  async function refuseHugeTree(recipe: string, work: string, commit: string): Promise<void> {
    const { files, bytes } = git.parseTree(await local(work, git.listTreeArgs(commit)));
    if (files <= MOST_FILES && bytes <= MOST_BYTES) return;
    throw syncFault(
      recipe,
      `commit ${commit} holds ${files} files of ${bytes} bytes, more than ${MOST_FILES} or ${MOST_BYTES}`,
      'A recipe is a few small files: ask upstream to take the others out.',
    );
  }

  /** What is new, and where tags that are no releases' moved to; answers the latter. */
  async function enterTags(
    recipe: string,
    upstream: git.RemoteRefs,
    recorded: ReadonlyMap<string, Recorded>,
  ): Promise<Moved[]> {
    const fresh = [...upstream.tags].filter(
      ([tag]) => recorded.get(tag)?.commit !== upstream.peeled.get(tag),
    );
    if (fresh.length === 0) return [];
    const tagged = await taggedCommits(workFolder(recipe), new Map(fresh));
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

  async function push(recipe: string, mirror: GitUrl, wanted: git.Refs, main: string): Promise<void> {
    const advice =
      `Check that the mirror exists, is reachable from this host, and lets us push main and tags by force ` +
      `(no branch or tag protection).`;
    await step(recipe, `pushing to the mirror ${mirror.url}`, advice, async () => {
      if (mirror.folder !== null && !(await exists(mirror.folder))) await createBare(mirror.folder, main);
      await run.output(
        remoteCommand(mirror, {
          args: git.pushArgs(mirror.url, main),
          cwd: workFolder(recipe),
          timeoutMs: TRANSFER_MS,
        }),
      );
      if (!sameRefs(await remoteRefs(mirror), wanted)) {
        throw syncFault(recipe, `the mirror ${mirror.url} does not hold what was just pushed to it`, advice);
      }
    });
  }

  /** Throws Fault MirrorSync also when it has no main. */
  async function upstreamRefs(
    recipe: string,
    from: GitUrl,
    advice: string,
  ): Promise<git.RemoteRefs & { main: string }> {
    const refs = await step(recipe, `reading upstream ${from.url}`, advice, () => remoteRefs(from));
    const { main } = refs;
    if (main !== null) return { ...refs, main };
    throw syncFault(
      recipe,
      `upstream ${from.url} has no branch main`,
      'Releases are tags on main: ask upstream for a main branch, or record the recipe as an exception.',
    );
  }

  async function syncNow(recipe: string, from: GitUrl, mirror: GitUrl): Promise<Synced> {
    const advice = `${checkUpstream(recipe)}; the recipe is not tested against an old mirror.`;
    const [known, reading, mirrored] = await Promise.allSettled([
      ledger.read(recipe),
      upstreamRefs(recipe, from, advice),
      step(
        recipe,
        `reading the mirror ${mirror.url}`,
        'Check that the mirror exists, is a git repository and is reachable from this host.',
        () => mirroredRefs(mirror),
      ),
    ]);
    const [recorded, upstream, before] = [settled(known), settled(reading), settled(mirrored)];
    const { main } = upstream;
    refuseUnusableTags(recipe, upstream);
    refuseMovedUpstream(recipe, upstream.peeled, recorded);
    const moved = await step(recipe, `fetching upstream ${from.url}`, advice, async () => {
      await bringWork(recipe, from, upstream, main);
      passBoundary('mirror-sync.after-fetch');
      const entered = await enterTags(recipe, upstream, recorded);
      passBoundary('mirror-sync.after-ledger');
      return entered;
    });
    const changed = !sameRefs(before, upstream);
    if (changed) {
      await push(recipe, mirror, upstream, main);
      passBoundary('mirror-sync.after-push');
    }
    return { main, tags: upstream.tags.size, changed, moved };
  }

  async function acceptNow(recipe: string, from: GitUrl, asked: AskedAcceptance): Promise<Moved> {
    const { tag, ts, by, reason } = asked;
    const known = (await ledger.read(recipe)).get(tag);
    if (known === undefined) throw notAccepted(recipe, tag, 'no sweep has seen it, so it did not move');
    const { accepted } = known;
    if (accepted?.by === by && accepted.reason === reason && known.ts === ts) {
      return { tag, from: accepted.from, commit: known.commit };
    }
    const advice = `${checkUpstream(recipe)}; nothing was accepted.`;
    const upstream = await upstreamRefs(recipe, from, advice);
    const commit = upstream.peeled.get(tag);
    const onRecord = `${known.commit}, on record since ${known.ts}`;
    if (commit === undefined) {
      throw notAccepted(recipe, tag, `upstream has it no longer; it was at ${onRecord}`);
    }
    if (commit === known.commit) throw notAccepted(recipe, tag, `it did not move: it is at ${onRecord}`);
    const beside = workFolder(recipe).replace(/git$/, 'accepted.git');
    await step(recipe, `fetching upstream ${from.url}`, advice, async () => {
      // Not into the cache, which is to hold what the mirror does.
      await rm(beside, { recursive: true, force: true });
      try {
        await createBare(beside, upstream.main);
        await fetch(recipe, beside, from);
        if ((await commitsOf(beside, [commit]))[0] !== commit) {
          throw notAccepted(recipe, tag, `it is at ${commit}, which is no commit, or it moves right now`);
        }
      } finally {
        await rm(beside, { recursive: true, force: true });
      }
    });
    await ledger.accept(recipe, { tag, from: known.commit, commit, ts, by, reason });
    return { tag, from: known.commit, commit };
  }

  /** A mirror on this host that does not exist yet is empty; it is made when there is something to push. */
  async function mirroredRefs(mirror: GitUrl): Promise<git.Refs> {
    if (mirror.folder !== null && !(await exists(mirror.folder))) return { main: null, tags: new Map() };
    return remoteRefs(mirror);
  }

  return {
    async sync(recipe, upstream) {
      const from = placeOfUpstream(recipe, upstream);
      const mirror = mirrorOf(recipe);
      return locked(recipe, () => syncNow(recipe, from, mirror));
    },

    async accept(recipe, upstream, asked) {
      if (parseVersion(asked.tag) === null) {
        throw notAccepted(recipe, asked.tag, "it is no release's (x.y.z+app): such a tag may move");
      }
      const from = placeOfUpstream(recipe, upstream);
      return locked(recipe, () => acceptNow(recipe, from, asked));
    },

    async releases(recipe) {
      return locked(recipe, async () => {
        const { main, tagged } = await inWork(recipe, 'reading the releases', async (work) => {
          const refs = git.parseRefs(await local(work, git.refsOnMainArgs()));
          return refs.main === null
            ? null
            : { main: refs.main, tagged: await taggedCommits(work, refs.tags) };
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
      });
    },

    async checkout(recipe, commit, folder) {
      if (!git.isObjectId(commit)) {
        throw new Fault('BadInput', `${recipe}: not a whole commit ID: ${JSON.stringify(commit)}`);
      }
      const target = path.resolve(folder);
      const work = workFolder(recipe);
      const kept = bundleOf(recipe, commit);
      const write = async (from: string): Promise<true | null> => {
        const has = async (): Promise<boolean> => (await commitsOf(from, [commit]))[0] === commit;
        if (!(await has()) && (await exists(kept))) await local(from, git.unbundleArgs(kept));
        if (!(await has())) return null;
        await refuseHugeTree(recipe, from, commit);
        await rm(target, { recursive: true, force: true });
        await mkdir(target, { recursive: true });
        await mkdir(path.join(from, 'info'), { recursive: true });
        await writeFile(path.join(from, 'info', 'attributes'), git.NO_CONVERSIONS);
        const index = path.join(from, `index-${randomBytes(6).toString('hex')}`);
        try {
          const env = { GIT_INDEX_FILE: index };
          await local(from, git.readTreeArgs(commit), { env });
          await local(from, git.checkoutIndexArgs(target), { env });
        } finally {
          await Promise.all([rm(index, { force: true }), rm(`${index}.lock`, { force: true })]);
        }
        return true;
      };
      await locked(recipe, async () => {
        // What is kept is to be had without the mirror, also where the work repository is lost or damaged.
        if ((await exists(kept)) && (await workRefs(work)) === null) {
          await rm(work, { recursive: true, force: true });
          await createBare(work, commit);
        }
        await inWork(recipe, `checking out ${commit}`, write);
      });
    },

    async keep(recipe, commit) {
      const work = workFolder(recipe);
      const file = bundleOf(recipe, commit);
      // It is made under another name, so that what is there is whole.
      if (await exists(file)) return true;
      return locked(recipe, async () => {
        const [found] = (await exists(work))
          ? ((await nullIfFailed(() => commitsOf(work, [commit]))) ?? [])
          : [];
        if (found !== commit) return false;
        const partial = `${file}.partial`;
        const advice = `Free space on this host, or mend ${path.dirname(file)}.`;
        await step(recipe, `keeping ${commit}`, advice, async () => {
          await mkdir(path.dirname(file), { recursive: true });
          await local(work, git.keepArgs(commit));
          await local(work, git.bundleArgs(partial));
          await syncFile(partial);
          await rename(partial, file);
          await syncFolder(path.dirname(file));
        });
        return true;
      });
    },

    async keepOnly(recipe, commit) {
      const folder = keptFolder(recipe);
      const names = (await exists(folder)) ? await readdir(folder) : [];
      for (const name of names) {
        const other = name.endsWith(BUNDLE) && name !== `${commit}${BUNDLE}`;
        if (other || name.endsWith(`${BUNDLE}.partial`)) await rm(path.join(folder, name), { force: true });
      }
    },
  };
}

const BUNDLE = '.bundle';

/** Mirrors are made for each attempt of a step; those of this process need not ask the kernel. */
const queues = new Map<string, Queue>();

function queueOf(work: string): Queue {
  const queue = queues.get(work) ?? createQueue();
  queues.set(work, queue);
  return queue;
}

function place(text: string, where: string): GitUrl {
  const checked = checkGitUrl(text);
  if (!checked.ok) throw new Fault('BadConfig', `${where}: ${checked.reason}`);
  return checked;
}

function placeOfUpstream(recipe: string, upstream: string): GitUrl {
  return place(upstream, `recipes/${recipe}/recipe.yml: upstream`);
}

function remoteCommand(remote: GitUrl, command: Pick<Command, 'args' | 'cwd' | 'timeoutMs'>): Command {
  return { file: 'git', ...git.withCredentials(remote.credentials), ...command };
}

async function nullIfFailed<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
    return null;
  }
}

/** A command or a system call that failed, or an answer that cannot be read; not the end of the attempt. */
function isFailure(error: unknown): error is Error {
  return (
    error instanceof CommandFailed ||
    error instanceof RangeError ||
    (error instanceof Error && 'syscall' in error)
  );
}

async function exists(folder: string): Promise<boolean> {
  try {
    await access(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

function sameRefs(a: git.Refs, b: git.Refs): boolean {
  return (
    a.main === b.main &&
    a.tags.size === b.tags.size &&
    [...a.tags].every(([tag, object]) => b.tags.get(tag) === object)
  );
}

/** Tags that no copy of ours could hold under their own name. */
function refuseUnusableTags(recipe: string, upstream: git.Refs): void {
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
function refuseMovedUpstream(
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
function refuseMovedOnMirror(
  recipe: string,
  commits: ReadonlyMap<string, string>,
  recorded: ReadonlyMap<string, Recorded>,
): void {
  const lines = movedReleases(commits, recorded, (tag) => `tag ${tag}`);
  if (lines === null) return;
  const what = `${recipe}: its mirror has a release's tag elsewhere than the ledger, so nothing is tested. Sync it again (recipe-sweep plan ${recipe}); if it stays, look at what else pushes to the mirror:`;
  throw new Fault('TagMoved', [what, ...lines].join('\n'));
}

function notAccepted(recipe: string, tag: string, why: string): Fault {
  return new Fault('BadInput', `${recipe}: nothing to accept of tag ${JSON.stringify(tag)}: ${why}`);
}

function checkUpstream(recipe: string): string {
  return `Check the upstream URL in recipes/${recipe}/recipe.yml and that it is reachable from this host`;
}

function syncFault(recipe: string, what: string, advice: string, cause?: unknown): Fault {
  const type: FaultType = /no space left on device|disk quota exceeded/i.test(what) ? 'Disk' : 'MirrorSync';
  const advised = type === 'Disk' ? 'Free space on this host; it is tried again by itself.' : advice;
  return new Fault(type, `${recipe}: ${what}\n${advised}`, { cause });
}
