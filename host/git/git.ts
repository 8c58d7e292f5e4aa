import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { GitUrl } from '../../domain/git-url.ts';
import { CommandFailed, type ProcessRunner } from '../machine/process.ts';
import * as argv from './commands.ts';
import { withCredentials } from './credentials.ts';
import { gitAt, type GitCommand } from './git-at.ts';

/**
 * What git is asked and told, one function each. Folders are bare repositories of ours. Each throws CommandFailed, and
 * RangeError for an answer that git does not write.
 */
export interface Git {
  /** Branches and tags of a remote, without fetching anything. */
  remoteRefs(remote: GitUrl): Promise<argv.RemoteRefs>;
  /** Makes main and tags of a repository those of a remote. No file that git writes is larger than what may be fetched. */
  fetch(folder: string, from: GitUrl): Promise<void>;
  /** Makes a remote's main this commit and its tags the repository's, by force; its other refs stay. */
  push(folder: string, to: GitUrl, main: string): Promise<void>;
  /**
   * Makes an empty repository for commits like this one. Begins beside and renames, so that a repository that is there
   * is a whole one; never replaces one.
   */
  create(folder: string, commit: string): Promise<void>;
  /** main and every tag; fails when an object of theirs is missing. */
  refs(folder: string): Promise<argv.Refs>;
  /** main, and the tags that are reachable on it. */
  refsOnMain(folder: string): Promise<argv.Refs>;
  /** For each object, in their order, itself if it is a commit, else null. `<id>^{commit}` stands for what a tag leads to. */
  commits(folder: string, objects: readonly string[]): Promise<(string | null)[]>;
  /** Whether the commit is there. */
  has(folder: string, commit: string): Promise<boolean>;
  /** How many files a commit has, and how many bytes they hold. */
  size(folder: string, commit: string): Promise<{ files: number; bytes: number }>;
  /** How the second commit's files differ, as git prints it; empty where they do not. */
  diff(folder: string, from: string, to: string): Promise<string>;
  /** The text of a file in a commit, by its path there; null where it has none. */
  text(folder: string, commit: string, file: string): Promise<string | null>;
  /** Writes every file of a commit into a folder, with the help of an index file that is not there yet. */
  writeFiles(folder: string, commit: string, target: string, index: string): Promise<void>;
  /** Makes a repository of one commit at `target`, where nothing is yet, with its files and no history. */
  writeRepository(folder: string, commit: string, target: string): Promise<void>;
  /** Writes a commit and its history to a file, for {@link Git.unbundle}. */
  bundle(folder: string, commit: string, file: string): Promise<void>;
  unbundle(folder: string, file: string): Promise<void>;
  /** Brings a commit, or the head of a pull request, under the ref of ours that the commit has; no larger than {@link Git.fetch}. */
  fetchHead(folder: string, from: GitUrl, commit: string, pullRequest: number | null): Promise<void>;
  /** Holds a commit that is there by that ref. */
  holdHead(folder: string, commit: string): Promise<void>;
  /** Whether a commit that is there is on main. */
  onMain(folder: string, commit: string): Promise<boolean>;
  /** Whether a merge of a commit that is there into main would leave main's files as they are; a conflict does not. */
  mergesToNothing(folder: string, commit: string): Promise<boolean>;
}

const MINUTE = 60_000;
const LOOK_MS = 2 * MINUTE;
const LOCAL_MS = 5 * MINUTE;
const TRANSFER_MS = 15 * MINUTE;
/** Of files that strangers wrote. */
const MERGE_MS = MINUTE / 2;

/** Null where git says no, which is exit status 1. */
async function nullIfNot(asked: Promise<string>): Promise<string | null> {
  return asked.catch((error: unknown) => {
    if (error instanceof CommandFailed && error.status === 1) return null;
    throw error;
  });
}

/** `mostFetched` is in bytes. */
export function createGit(commands: ProcessRunner, mostFetched: number): Git {
  async function local(folder: string, args: string[], more: Partial<GitCommand> = {}): Promise<string> {
    return gitAt(folder, { args, deadlineMs: LOCAL_MS, ...more }, commands.settings);
  }

  async function commits(folder: string, objects: readonly string[]): Promise<(string | null)[]> {
    if (objects.length === 0) return [];
    const input = objects.map((object) => `${object}\n`).join('');
    return argv.parseCommits(await local(folder, argv.objectsArgs(), { input }));
  }

  /** No file that it writes is larger than what may be fetched: one push of a hundred gigabytes must not fill this disk. */
  async function fetch(folder: string, credentials: GitUrl['credentials'], git: string[]): Promise<void> {
    const args = [`--fsize=${mostFetched}`, '--', 'git', ...git];
    await withCredentials(credentials, (given) =>
      commands.output({ file: 'prlimit', args, cwd: folder, timeoutMs: TRANSFER_MS, ...given }),
    );
  }

  return {
    async remoteRefs({ url, credentials }) {
      const args = argv.listRemoteArgs(url);
      return withCredentials(credentials, async (given) => {
        const command = { args, credentials: given, deadlineMs: LOOK_MS };
        return argv.parseRemoteRefs(await gitAt('/', command, commands.settings));
      });
    },

    async fetch(folder, { url, credentials }) {
      await fetch(folder, credentials, argv.fetchArgs(url));
    },

    async push(folder, { url, credentials }, main) {
      const args = argv.pushArgs(url, main);
      await withCredentials(credentials, (given) =>
        gitAt(folder, { args, credentials: given, deadlineMs: TRANSFER_MS }, commands.settings),
      );
    },

    async create(folder, commit) {
      const beside = `${folder}.new`;
      await mkdir(path.dirname(folder), { recursive: true });
      await rm(beside, { recursive: true, force: true });
      await local('/', argv.initBareArgs(beside, commit));
      await rename(beside, folder);
    },

    async refs(folder) {
      return argv.parseRefs(await local(folder, argv.refsArgs()));
    },

    async refsOnMain(folder) {
      return argv.parseRefs(await local(folder, argv.refsOnMainArgs()));
    },

    commits,

    async has(folder, commit) {
      return (await commits(folder, [commit]))[0] === commit;
    },

    async size(folder, commit) {
      return argv.parseTree(await local(folder, argv.listTreeArgs(commit)));
    },

    async diff(folder, from, to) {
      return local(folder, argv.diffArgs(from, to));
    },

    async text(folder, commit, file) {
      const input = `${commit}:${file}\n`;
      return argv.parseBlob(await local(folder, argv.contentArgs(), { input }));
    },

    async writeFiles(folder, commit, target, index) {
      const env = { GIT_INDEX_FILE: index };
      await local(folder, argv.readTreeArgs(commit), { env });
      await local(folder, argv.checkoutIndexArgs(target), { env });
    },

    async writeRepository(folder, commit, target) {
      await local('/', argv.initArgs(target, commit));
      const info = path.join(target, '.git', 'info');
      await mkdir(info, { recursive: true });
      await writeFile(path.join(info, 'attributes'), argv.NO_CONVERSIONS);
      await local(target, argv.fetchAloneArgs(folder, commit));
      await local(target, argv.checkOutArgs(commit));
    },

    async bundle(folder, commit, file) {
      await local(folder, argv.keepArgs(commit));
      await local(folder, argv.bundleArgs(file));
    },

    async unbundle(folder, file) {
      await local(folder, argv.unbundleArgs(file));
    },

    async fetchHead(folder, { url, credentials }, commit, pullRequest) {
      await fetch(folder, credentials, argv.fetchHeadArgs(url, commit, pullRequest));
    },

    async holdHead(folder, commit) {
      await local(folder, argv.holdHeadArgs(commit));
    },

    async onMain(folder, commit) {
      return (await nullIfNot(local(folder, argv.onMainArgs(commit)))) !== null;
    },

    async mergesToNothing(folder, commit) {
      const merged = await nullIfNot(local(folder, argv.mergeTreeArgs(commit), { deadlineMs: MERGE_MS }));
      return merged !== null && merged === (await local(folder, argv.mainTreeArgs()));
    },
  };
}
