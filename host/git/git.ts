import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { GitUrl } from '../../domain/git-url.ts';
import type { Command, ProcessRunner } from '../machine/process.ts';
import * as commands from './commands.ts';

/**
 * What git is asked and told, one function each. Folders are bare repositories of ours. Each throws CommandFailed, and
 * RangeError for an answer that git does not write.
 */
export interface Git {
  /** Branches and tags of a remote, without fetching anything. */
  remoteRefs(remote: GitUrl): Promise<commands.RemoteRefs>;
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
  refs(folder: string): Promise<commands.Refs>;
  /** main, and the tags that are reachable on it. */
  refsOnMain(folder: string): Promise<commands.Refs>;
  /** For each object, in their order, itself if it is a commit, else null. `<id>^{commit}` stands for what a tag leads to. */
  commits(folder: string, objects: readonly string[]): Promise<(string | null)[]>;
  /** How many files a commit has, and how many bytes they hold. */
  size(folder: string, commit: string): Promise<{ files: number; bytes: number }>;
  /** Writes every file of a commit into a folder, with the help of an index file that is not there yet. */
  writeFiles(folder: string, commit: string, target: string, index: string): Promise<void>;
  /** Writes a commit and its history to a file, for {@link Git.unbundle}. */
  bundle(folder: string, commit: string, file: string): Promise<void>;
  unbundle(folder: string, file: string): Promise<void>;
}

const MINUTE = 60_000;
const LOOK_MS = 2 * MINUTE;
const LOCAL_MS = 5 * MINUTE;
const TRANSFER_MS = 15 * MINUTE;

/** `mostFetched` is in bytes. */
export function createGit(run: ProcessRunner, mostFetched: number): Git {
  async function local(cwd: string, args: string[], more: Partial<Command> = {}): Promise<string> {
    return run.output({ file: 'git', args, cwd, timeoutMs: LOCAL_MS, ...more });
  }

  return {
    async remoteRefs({ url, credentials }) {
      const output = await run.output({
        file: 'git',
        args: commands.listRemoteArgs(url),
        cwd: '/',
        timeoutMs: LOOK_MS,
        ...commands.withCredentials(credentials),
      });
      return commands.parseRemoteRefs(output);
    },

    async fetch(folder, { url, credentials }) {
      // One push of a hundred gigabytes must not fill this host's disk.
      await run.output({
        file: 'prlimit',
        args: [`--fsize=${mostFetched}`, '--', 'git', ...commands.fetchArgs(url)],
        cwd: folder,
        timeoutMs: TRANSFER_MS,
        ...commands.withCredentials(credentials),
      });
    },

    async push(folder, { url, credentials }, main) {
      await run.output({
        file: 'git',
        args: commands.pushArgs(url, main),
        cwd: folder,
        timeoutMs: TRANSFER_MS,
        ...commands.withCredentials(credentials),
      });
    },

    async create(folder, commit) {
      const beside = `${folder}.new`;
      await mkdir(path.dirname(folder), { recursive: true });
      await rm(beside, { recursive: true, force: true });
      await local('/', commands.initBareArgs(beside, commit));
      await rename(beside, folder);
    },

    async refs(folder) {
      return commands.parseRefs(await local(folder, commands.refsArgs()));
    },

    async refsOnMain(folder) {
      return commands.parseRefs(await local(folder, commands.refsOnMainArgs()));
    },

    async commits(folder, objects) {
      if (objects.length === 0) return [];
      const input = objects.map((object) => `${object}\n`).join('');
      return commands.parseCommits(await local(folder, commands.objectsArgs(), { input }));
    },

    async size(folder, commit) {
      return commands.parseTree(await local(folder, commands.listTreeArgs(commit)));
    },

    async writeFiles(folder, commit, target, index) {
      const env = { GIT_INDEX_FILE: index };
      await local(folder, commands.readTreeArgs(commit), { env });
      await local(folder, commands.checkoutIndexArgs(target), { env });
    },

    async bundle(folder, commit, file) {
      await local(folder, commands.keepArgs(commit));
      await local(folder, commands.bundleArgs(file));
    },

    async unbundle(folder, file) {
      await local(folder, commands.unbundleArgs(file));
    },
  };
}
