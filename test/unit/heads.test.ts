import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors, type Mirrors } from '../../host/git/mirrors.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { serveGitOverHttp } from '../fixtures/git-over-http.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';

/** Heads of pull requests, on a mirror that has them beside main and tags. */

const RECIPE = 'ghost';
const GONE = 'd'.repeat(40);

let root: string;
let state: string;
let commands: ProcessRunner;
let upstream: GitRepo;
let mirror: string;
let mirrors: Mirrors;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'heads-'));
  state = path.join(root, 'state');
  mirror = path.join(root, 'mirrors', 'ghost.git');
  const searched = { path: process.env['PATH'] ?? '', state };
  const docker = { socket: '/none', pull: 'missing' } as const;
  commands = processRunner({ environment: declaredEnvironment({ ...searched, docker }) });
  upstream = await createGitRepo(commands, path.join(root, 'upstream'));
  await upstream.commit({ 'compose.yml': 'one\ntwo\nthree\nfour\nfive\n' });
  mirrors = mirrorsOf();
  await mirrors.sync(RECIPE, upstream.folder);
});

afterEach(() => rm(root, { recursive: true }));

function mirrorsOf(more: { template?: string; fetch?: number; tokenFile?: string } = {}): Mirrors {
  const { template = path.join(root, 'mirrors', '{recipe}.git'), fetch = 1e9, tokenFile } = more;
  const forge = tokenFile === undefined ? {} : { forge: { url: new URL(template).origin, tokenFile } };
  return createMirrors({
    config: { mirrors: template, state, limits: { fetch }, ...forge },
    commands,
    ledger: createLedger(state),
    now: () => new Date(),
    endOrphans: async () => undefined,
  });
}

async function git(folder: string, ...args: string[]): Promise<string> {
  return (await commands.output({ file: 'git', args, cwd: folder })).trim();
}

/** A branch with these files changed, as the head of a pull request of that number; answers its commit. */
async function propose(number: number, files: Record<string, string>, from = 'main'): Promise<string> {
  await upstream.git('checkout', '--quiet', '-B', `pr-${number}`, from);
  const commit = await upstream.commit(files);
  await upstream.git('push', '--quiet', '--force', mirror, `pr-${number}:refs/pull/${number}/head`);
  await upstream.git('checkout', '--quiet', 'main');
  return commit;
}

const work = (): string => path.join(state, 'work', 'ghost.git');

async function refs(folder: string): Promise<string[]> {
  return (await git(folder, 'for-each-ref', '--format=%(refname)')).split('\n').filter((ref) => ref !== '');
}

async function checkedOut(commit: string): Promise<Record<string, string>> {
  const folder = path.join(root, 'tree');
  await mirrors.checkout(RECIPE, commit, folder);
  const names = await readdir(folder);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name), 'utf8')])),
  ) as Record<string, string>;
}

describe('a head', () => {
  test('is brought by its ID, checked out, and pushed nowhere', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(true);
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: null })).toBe(true);
    expect(await checkedOut(commit)).toMatchObject({ 'new.yml': 'new' });
    expect(await refs(work())).toEqual(['refs/heads/main', `refs/recipe-sweep/heads/${commit}`]);
    expect(await mirrors.onMain(RECIPE, commit)).toBe(false);
    await upstream.commit({ 'later.yml': '' });
    expect(await mirrors.sync(RECIPE, upstream.folder)).toMatchObject({ changed: true });
    expect(await refs(mirror)).toEqual(['refs/heads/main', 'refs/pull/3/head']);
  });

  test('is let go of by the next sync, and is still there for whoever tests it', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 });
    expect(await mirrors.sync(RECIPE, upstream.folder)).toMatchObject({ changed: false });
    expect(await refs(work())).toEqual(['refs/heads/main']);
    expect(await checkedOut(commit)).toMatchObject({ 'new.yml': 'new' });
  });

  test('is brought although the work repository is lost, with main', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await rm(work(), { recursive: true });
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(true);
    expect(await mirrors.onMain(RECIPE, await upstream.peel('main'))).toBe(true);
    expect(await checkedOut(commit)).toMatchObject({ 'new.yml': 'new' });
  });

  test('is checked out although the work repository was lost since', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 });
    await rm(work(), { recursive: true });
    expect(await checkedOut(commit)).toMatchObject({ 'new.yml': 'new' });
  });

  test('that was pushed over is brought as long as the mirror has it', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await propose(3, { 'other.yml': 'other' });
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(true);
    await rm(work(), { recursive: true });
    await git(mirror, 'prune', '--expire=now');
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(false);
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: null })).toBe(false);
    expect(await refs(work())).toEqual(['refs/heads/main']);
  });

  test('of a pull request that there is not is not brought', async () => {
    expect(await mirrors.bringCommit(RECIPE, { commit: GONE, pullRequest: 9 })).toBe(false);
    expect(await mirrors.onMain(RECIPE, GONE)).toBe(false);
    expect(await mirrors.mergesToNothing(RECIPE, GONE)).toBe(false);
  });

  test('of a mirror without main is not brought', async () => {
    await rm(work(), { recursive: true });
    await git(mirror, 'update-ref', '-d', 'refs/heads/main');
    expect(await mirrors.bringCommit(RECIPE, { commit: GONE, pullRequest: 9 })).toBe(false);
  });

  test('cannot be had of a mirror that cannot be reached', async () => {
    await rm(mirror, { recursive: true });
    await expect(mirrors.bringCommit(RECIPE, { commit: GONE, pullRequest: 9 })).rejects.toMatchObject({
      type: 'MirrorSync',
    });
  });

  test.each(['', 'main', '--upload-pack=id', 'D'.repeat(40), `${GONE}\n`])(
    'is named by a whole commit ID, not %j',
    async (commit) => {
      const refused = { type: 'BadInput' };
      await expect(mirrors.bringCommit(RECIPE, { commit, pullRequest: 1 })).rejects.toMatchObject(refused);
      await expect(mirrors.onMain(RECIPE, commit)).rejects.toMatchObject(refused);
      await expect(mirrors.mergesToNothing(RECIPE, commit)).rejects.toMatchObject(refused);
    },
  );

  test('that is too large is refused, and nothing of it stays', async () => {
    // Of random letters, which no compression makes smaller.
    const letters = (await commands.output({ file: 'openssl', args: ['rand', '-base64', '2000000'] })).trim();
    const commit = await propose(3, { large: letters });
    const before = await readdir(path.join(work(), 'objects', 'pack'));
    const small = mirrorsOf({ fetch: 1e6 });
    await expect(small.bringCommit(RECIPE, { commit, pullRequest: 3 })).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringMatching(/more than 1000000 bytes.*"limits.fetch"/) as string,
    });
    expect(await readdir(path.join(work(), 'objects', 'pack'))).toEqual(before);
    expect(await refs(work())).toEqual(['refs/heads/main']);
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(true);
  });

  test('that git refuses is refused by name, and nothing of it stays', async () => {
    const tree = path.join(root, 'tree-text');
    const blob = await git(upstream.folder, 'hash-object', '-w', 'compose.yml');
    const raw = Buffer.concat([Buffer.from('100644 .git\0'), Buffer.from(blob, 'hex')]);
    await writeFile(tree, raw);
    const id = await git(upstream.folder, 'hash-object', '-w', '-t', 'tree', '--literally', tree);
    const commit = await upstream.git('commit-tree', '-m', 'evil', id);
    await upstream.git('push', '--quiet', mirror, `${commit}:refs/pull/4/head`);
    await expect(mirrors.bringCommit(RECIPE, { commit, pullRequest: 4 })).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('refused as malformed') as string,
    });
    expect(
      (await readdir(path.join(work(), 'objects', 'pack'))).filter((name) => name.startsWith('tmp_')),
    ).toEqual([]);
    expect(await refs(work())).toEqual(['refs/heads/main']);
  });

  test('is brought although a git that was killed left its lock and half a pack', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 });
    const [lock, half] = [`refs/recipe-sweep/heads/${commit}.lock`, 'objects/pack/tmp_pack_AbCdEf'];
    for (const left of [lock, half]) await writeFile(path.join(work(), left), '');
    expect(await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 })).toBe(true);
    expect(existsSync(path.join(work(), half))).toBe(false);
  });
});

test('an upstream that is too large says so, however many objects it has', async () => {
  const letters = await commands.output({ file: 'openssl', args: ['rand', '-base64', '2000000'] });
  const files = Array.from({ length: 120 }, (_, index) => [`file-${index}`, `${index}`] as const);
  await upstream.commit({ large: letters, ...Object.fromEntries(files) });
  await expect(mirrorsOf({ fetch: 1e6 }).sync(RECIPE, upstream.folder)).rejects.toMatchObject({
    type: 'MirrorSync',
    message: expect.stringContaining('more than 1000000 bytes') as string,
  });
});

describe('a merge into main', () => {
  async function mergesToNothing(commit: string): Promise<boolean> {
    await mirrors.sync(RECIPE, upstream.folder);
    await mirrors.bringCommit(RECIPE, { commit, pullRequest: 3 });
    return mirrors.mergesToNothing(RECIPE, commit);
  }

  test('changes nothing once main has the commit itself', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    expect(await mergesToNothing(commit)).toBe(false);
    await upstream.git('merge', '--quiet', '--ff-only', commit);
    expect(await mergesToNothing(commit)).toBe(true);
    expect(await mirrors.onMain(RECIPE, commit)).toBe(true);
  });

  test('changes nothing once main has the same by another commit, and went on', async () => {
    const commit = await propose(3, { 'compose.yml': 'ONE\ntwo\nthree\nfour\nfive\n' });
    await upstream.commit({ 'compose.yml': 'ONE\ntwo\nthree\nfour\nFIVE\n', 'other.yml': '' });
    expect(await mergesToNothing(commit)).toBe(true);
    expect(await mirrors.onMain(RECIPE, commit)).toBe(false);
  });

  test('changes something where main has only part of it', async () => {
    const commit = await propose(3, { 'a.yml': '', 'b.yml': '' });
    await upstream.commit({ 'a.yml': '' });
    expect(await mergesToNothing(commit)).toBe(false);
  });

  test('that conflicts does not change nothing', async () => {
    const commit = await propose(3, { 'compose.yml': 'ONE\ntwo\nthree\nfour\nfive\n' });
    await upstream.commit({ 'compose.yml': 'another\ntwo\nthree\nfour\nfive\n' });
    expect(await mergesToNothing(commit)).toBe(false);
  });

  test('is one with nothing in common after upstream was written anew', async () => {
    const commit = await propose(3, { 'new.yml': 'new' });
    await upstream.git('checkout', '--quiet', '--orphan', 'anew');
    await upstream.commit({ 'other.yml': '' });
    await upstream.git('branch', '--force', 'main', 'anew');
    await upstream.git('checkout', '--quiet', 'main');
    expect(await mergesToNothing(commit)).toBe(false);
  });
});

test('the token is said for a mirror on the forge, and only there', async () => {
  const served = await serveGitOverHttp(path.join(root, 'mirrors'), 'recipe-sweep', 's3cret-token');
  try {
    const tokenFile = path.join(root, 'token');
    await writeFile(tokenFile, 's3cret-token\n');
    await git(mirror, 'config', 'http.receivepack', 'true');
    // Forges have an owner before the name.
    await mkdir(path.join(root, 'mirrors', 'ours'));
    await rename(mirror, path.join(root, 'mirrors', 'ours', 'ghost.git'));
    const template = `${served.origin}/ours/{recipe}.git`;
    await upstream.commit({ 'later.yml': '' });
    mirrors = mirrorsOf({ template, tokenFile });
    expect(await mirrors.sync(RECIPE, upstream.folder)).toMatchObject({ changed: true });
    await writeFile(tokenFile, 'another');
    const error = (await mirrors.sync(RECIPE, upstream.folder).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ type: 'MirrorSync' });
    expect(error.message).not.toContain('another');
  } finally {
    served.close();
  }
});
