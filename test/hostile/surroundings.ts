import { lstat, mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { declaredEnvironment } from '../../host/config.ts';
import { processRunner, type ProcessRunner } from '../../host/process.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';

/** Where a hostile case is tried: our root with the state in it, and a folder beside it that nothing may touch. */
export interface Surroundings {
  root: string;
  /** Ours: whatever is written here is fine. */
  state: string;
  /** Not ours. Holds `secret`, and may come to hold `canary` when something was run that must not be. */
  outside: string;
  /** As the worker's commands are run. */
  run: ProcessRunner;
  /** An upstream repository to be made hostile, with a release 1.0.0+1 on main. */
  upstream(name: string): Promise<GitRepo>;
  /** Fails unless everything outside our root is as it was when the surroundings were made. */
  expectUntouched(): Promise<void>;
  remove(): Promise<void>;
}

export const SECRET = 'what-only-the-host-may-read';

export async function makeSurroundings(): Promise<Surroundings> {
  const root = await mkdtemp(path.join(tmpdir(), 'hostile-'));
  const state = path.join(root, 'ours', 'state');
  const outside = path.join(root, 'outside');
  await mkdir(path.join(state, 'home'), { recursive: true });
  await mkdir(outside);
  await writeFile(path.join(outside, 'secret'), `${SECRET}\n`);
  const run = processRunner({
    environment: declaredEnvironment({
      path: process.env['PATH'] ?? '',
      state,
      docker: { socket: '/nonexistent.sock', pull: 'missing' },
    }),
  });
  const before = await everyPlace(root);
  return {
    root,
    state,
    outside,
    run,
    upstream: (name) => createGitRepo(run, path.join(root, 'ours', 'upstreams', name)),
    async expectUntouched() {
      expect(await everyPlace(root)).toEqual(before);
    },
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** Folders in which commands may be run, so that a file written with a bare name lands there, and ours. */
async function everyPlace(root: string): Promise<string[]> {
  const [outside, beside, top, cwd] = await Promise.all([
    listing(path.join(root, 'outside')),
    readdir(root),
    readdir('/'),
    readdir(process.cwd()),
  ]);
  return [...outside, ...beside.sort(), ...top.sort(), ...cwd.filter((name) => name !== '.git').sort()];
}

/**
 * Everything below a folder: path, kind and mode, owner, links, size, time of its last change, target of a
 * link. Links are not followed (readdir's own recursion follows them).
 */
export async function listing(folder: string): Promise<string[]> {
  const lines: string[] = [];
  const look = async (name: string): Promise<void> => {
    const file = path.join(folder, name);
    const seen = await lstat(file);
    const target = seen.isSymbolicLink() ? ` -> ${await readlink(file)}` : '';
    const owner = `${seen.uid}:${seen.gid}`;
    lines.push(
      `${name} ${seen.mode.toString(8)} ${owner} ${seen.nlink} ${seen.rdev} ${seen.isFile() ? seen.size : '-'} ${seen.mtimeMs}${target}`,
    );
    if (!seen.isDirectory()) return;
    for (const child of (await readdir(file)).sort()) await look(path.join(name, child));
  };
  await look('.');
  return lines;
}

/**
 * Fails unless a message is what an operator can read: it has the words, begins with one line that says what
 * is wrong (a second may say what to do), and holds no stack, no secret and nothing that steers a terminal.
 */
export function expectClear(message: string, words: string): void {
  const [first = '', ...rest] = message.split('\n');
  expect(message).toContain(words);
  expect(first.length).toBeLessThan(1_000);
  expect(rest.length).toBeLessThan(20);
  expect(message).not.toMatch(/\n\s+at /);
  expect(message).not.toMatch(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/u);
  expect(message).not.toContain(SECRET);
}
