import { lstat, mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';

/**
 * Where a hostile case is tried: our root with the state in it, and a folder beside it that nothing may touch. It
 * lies deep in a folder of its own, so that a path which climbs out ends where it is seen, and not among what
 * others do on this machine; a file written with a bare name is seen too, since everything runs in `outside`.
 */
export interface Surroundings {
  root: string;
  /** Ours: whatever is written here is fine. */
  state: string;
  /** Not ours. Holds `secret`, and may come to hold `canary` when something was run that must not be. */
  outside: string;
  /** As the worker's commands are run. */
  commands: ProcessRunner;
  /** An upstream repository to be made hostile, with a release 1.0.0+1 on main. */
  upstream(name: string): Promise<GitRepo>;
  /** Fails unless everything outside our root is as it was when the surroundings were made. */
  expectUntouched(): Promise<void>;
  remove(): Promise<void>;
}

/** More folders than any hostile path climbs. */
const DEPTH = Array.from({ length: 12 }, (_, level) => `level-${level}`);

export const SECRET = 'what-only-the-host-may-read';

export async function makeSurroundings(): Promise<Surroundings> {
  const top = await mkdtemp(path.join(tmpdir(), 'hostile-'));
  const root = path.join(top, ...DEPTH);
  const state = path.join(root, 'ours', 'state');
  const outside = path.join(root, 'outside');
  await mkdir(path.join(state, 'home'), { recursive: true });
  await mkdir(outside);
  const cwd = process.cwd();
  process.chdir(outside);
  await writeFile(path.join(outside, 'secret'), `${SECRET}\n`);
  const commands = processRunner({
    environment: declaredEnvironment({
      path: process.env['PATH'] ?? '',
      state,
      docker: { socket: '/nonexistent.sock', pull: 'missing' },
    }),
  });
  const ours = path.relative(top, path.join(root, 'ours'));
  const before = await listing(top, ours);
  return {
    root,
    state,
    outside,
    commands,
    upstream: (name) => createGitRepo(commands, path.join(root, 'ours', 'upstreams', name)),
    async expectUntouched() {
      expect(await listing(top, ours)).toEqual(before);
    },
    async remove() {
      process.chdir(cwd);
      await rm(top, { recursive: true, force: true });
    },
  };
}

/**
 * Everything below a folder: path, kind and mode, owner, links, size, time of its last change, target of a
 * link. Links are not followed (readdir's own recursion follows them). One folder below may be left out.
 */
export async function listing(folder: string, leftOut?: string): Promise<string[]> {
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
    for (const child of (await readdir(file)).sort()) {
      const below = path.join(name, child);
      if (below !== leftOut) await look(below);
    }
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
