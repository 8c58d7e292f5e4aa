import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request as undici } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { brief } from '../../domain/outcome.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import {
  checkOutArgs,
  checkoutIndexArgs,
  diffArgs,
  fetchAloneArgs,
  fetchArgs,
  initArgs,
  initBareArgs,
  listRemoteArgs,
  listTreeArgs,
  objectsArgs,
  pushArgs,
  readTreeArgs,
  refsArgs,
  refsOnMainArgs,
} from '../../host/git/commands.ts';
import { createLedger, type Ledger } from '../../host/git/ledger.ts';
import { createMirrors, type Mirrors } from '../../host/git/mirrors.ts';
import { lockFile } from '../../host/machine/file-lock.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createGitRecorder, type GitRecorder } from '../fixtures/git-recorder.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';
import { serveGitOverHttp } from '../fixtures/git-over-http.ts';

const RECIPE = 'ghost';
const NOW = new Date('2025-01-05T03:00:00.000Z');

let root: string;
let state: string;
let commands: ProcessRunner;
let recorder: GitRecorder;
let ledger: Ledger;
let mirrors: Mirrors;
let upstream: GitRepo;
let mirror: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mirrors-'));
  state = path.join(root, 'state');
  mirror = path.join(root, 'mirrors', 'ghost.git');
  await mkdir(path.join(state, 'home'), { recursive: true });
  commands = runnerWithPath(process.env['PATH'] ?? '');
  recorder = await createGitRecorder(path.join(root, 'recorder'));
  ledger = createLedger(state);
  mirrors = mirrorsAt(path.join(root, 'mirrors', '{recipe}.git'), runnerWithPath(recorder.path));
  upstream = await createGitRepo(commands, path.join(root, 'upstream'));
  await upstream.commit({ 'compose.yml': 'version: "3.8"\n' });
});

afterEach(() => rm(root, { recursive: true }));

function runnerWithPath(searched: string): ProcessRunner {
  return processRunner({
    environment: declaredEnvironment({
      path: searched,
      state,
      docker: { socket: '/none', pull: 'missing' },
    }),
  });
}

function mirrorsAt(template: string, runner: ProcessRunner, fetch = 1e9): Mirrors {
  return createMirrors({
    config: { mirrors: template, state, limits: { fetch } },
    commands: runner,
    ledger,
    now: () => NOW,
    endOrphans: async () => undefined,
  });
}

function sync(): ReturnType<Mirrors['sync']> {
  return mirrors.sync(RECIPE, upstream.folder);
}

/** Every ref of a repository, with what it holds. */
async function refs(folder: string): Promise<Record<string, string>> {
  const output = await commands.output({
    file: 'git',
    args: ['for-each-ref', '--format=%(refname) %(objectname)'],
    cwd: folder,
  });
  return Object.fromEntries(
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  );
}

async function mainAndTags(folder: string): Promise<Record<string, string>> {
  const all = Object.entries(await refs(folder));
  return Object.fromEntries(all.filter(([ref]) => ref === 'refs/heads/main' || ref.startsWith('refs/tags/')));
}

async function expectFaithful(): Promise<void> {
  expect(await mainAndTags(mirror)).toEqual(await mainAndTags(upstream.folder));
}

/** The git commands since the last call: subcommands only. */
function subcommands(): string[] {
  const known = ['ls-remote', 'fetch', 'push', 'init', 'for-each-ref', 'cat-file'];
  return recorder.ran().flatMap(({ args }) => args.filter((arg) => known.includes(arg)));
}

const work = (): string => path.join(state, 'work', 'ghost.git');

describe('sync', () => {
  test('makes a mirror that does not exist yet, with HEAD on main', async () => {
    const main = await upstream.peel('main');
    expect(await sync()).toEqual({ main, releases: [], tags: 0, changed: true, moved: [] });
    await expectFaithful();
    expect(await readFile(path.join(mirror, 'HEAD'), 'utf8')).toBe('ref: refs/heads/main\n');
  });

  test('keeps annotated, lightweight and nested tags, and tags of blobs, as they are', async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    await upstream.git('tag', '-a', '-m', 'notes', '1.1.0+5.1.0');
    await upstream.git('tag', '-a', '-m', 'nested', '1.2.0+5.2.0', '1.1.0+5.1.0');
    await upstream.git('tag', 'a-blob', 'main:compose.yml');
    const commit = await upstream.peel('main');
    expect(await sync()).toMatchObject({
      releases: ['1.0.0+5.0.0', '1.1.0+5.1.0', '1.2.0+5.2.0'].map((version) => ({ version, commit })),
      tags: 4,
      changed: true,
    });
    await expectFaithful();
    const ts = NOW.toISOString();
    expect(await ledger.read(RECIPE)).toEqual(
      new Map(['1.0.0+5.0.0', '1.1.0+5.1.0', '1.2.0+5.2.0'].map((tag) => [tag, { commit, ts }])),
    );
  });

  test('follows a force-pushed main, a deleted tag, and a tag whose name became a folder', async () => {
    await upstream.git('tag', 'old');
    await upstream.git('tag', 'name');
    await sync();
    await upstream.git('checkout', '--quiet', '--orphan', 'rewritten');
    await upstream.commit({ 'other.yml': '' });
    await upstream.git('branch', '--force', 'main', 'rewritten');
    await upstream.git('tag', '--delete', 'old');
    await upstream.git('tag', '--delete', 'name');
    await upstream.git('tag', 'name/deeper');
    expect(await sync()).toMatchObject({ tags: 1, changed: true });
    await expectFaithful();
  });

  test('leaves other branches and refs of the mirror alone, and takes none from upstream', async () => {
    await sync();
    const main = await upstream.peel('main');
    for (const ref of ['refs/heads/renovate/x', 'refs/pull/1/head']) {
      await commands.output({ file: 'git', args: ['update-ref', ref, main], cwd: mirror });
    }
    await upstream.git('branch', 'feature');
    await upstream.git('tag', 'v1');
    await sync();
    expect(Object.keys(await refs(mirror)).sort()).toEqual([
      'refs/heads/main',
      'refs/heads/renovate/x',
      'refs/pull/1/head',
      'refs/tags/v1',
    ]);
  });

  test('takes back what somebody else did to the mirror', async () => {
    await upstream.git('tag', 'v1');
    await sync();
    const tree = await commands.output({ file: 'git', args: ['rev-parse', 'main^{tree}'], cwd: mirror });
    const strange = await upstream.git('commit-tree', '-m', 'merged on the mirror', tree.trim());
    await upstream.git('push', '--quiet', '--force', mirror, `${strange}:refs/heads/main`);
    await upstream.git('push', '--quiet', mirror, `${strange}:refs/tags/ours`);
    expect(await sync()).toMatchObject({ changed: true });
    await expectFaithful();
  });

  test('tells a branch from a tag of the same name', async () => {
    await upstream.git('tag', 'main');
    await upstream.git('tag', 'feature');
    await upstream.commit({ 'later.yml': '' });
    await upstream.git('branch', 'feature', 'refs/heads/main');
    const { main } = await sync();
    expect(main).toBe(await upstream.peel('refs/heads/main'));
    expect(main).not.toBe(await upstream.peel('refs/tags/main'));
    await expectFaithful();
  });

  test.each(['$(id)', 'HEAD', '-f', '--upload-pack=id', "a'b;c", 'x\u202ey', '1.0.0+$(id)', 'ä'.repeat(125)])(
    'mirrors a tag named %j as it is',
    async (tag) => {
      const main = await upstream.peel('main');
      await upstream.git('update-ref', `refs/tags/${tag}`, main);
      expect((await sync()).releases).toEqual([]);
      await expectFaithful();
      expect((await ledger.read(RECIPE)).get(tag)?.commit).toBe(main);
      const named = recorder
        .ran()
        .flatMap(({ args }) => args)
        .filter((arg) => arg === tag || arg.includes(`tags/${tag}`));
      expect(named).toEqual([]);
    },
  );

  test('a second one at once only looks: no fetch, no push', async () => {
    await upstream.git('tag', '-a', '-m', 'notes', '1.0.0+5.0.0');
    await sync();
    subcommands();
    expect(await sync()).toMatchObject({ changed: false });
    expect(subcommands().sort()).toEqual([
      'cat-file',
      'for-each-ref',
      'for-each-ref',
      'ls-remote',
      'ls-remote',
    ]);
  });

  test('two at once do one after the other', async () => {
    const both = await Promise.all([sync(), sync()]);
    expect(both.map(({ changed }) => changed)).toEqual([true, false]);
    await expectFaithful();
  });

  test('a sha256 upstream gets a sha256 mirror', async () => {
    await rm(upstream.folder, { recursive: true });
    await mkdir(upstream.folder);
    await upstream.git('init', '--quiet', '--initial-branch=main', '--object-format=sha256', '.');
    const main = await upstream.commit({ 'compose.yml': '' });
    expect(main).toHaveLength(64);
    await upstream.git('tag', '1.0.0+1');
    expect((await sync()).releases).toEqual([{ version: '1.0.0+1', commit: main }]);
    await expectFaithful();
  });
});

describe("a release's tag that moved upstream", () => {
  async function moved(): Promise<{ first: string; second: string }> {
    const first = await upstream.peel('main');
    await upstream.git('tag', '1.0.0+5.0.0');
    await sync();
    const second = await upstream.commit({ 'compose.yml': 'changed' });
    await upstream.git('tag', '--force', '1.0.0+5.0.0');
    return { first, second };
  }

  test('is refused, and nothing is changed anywhere', async () => {
    const { first, second } = await moved();
    await upstream.git('tag', '1.1.0+5.1.0');
    const before = [await refs(mirror), await refs(work()), await ledger.read(RECIPE)];
    subcommands();
    const refused = expect.objectContaining({ type: 'TagMoved' });
    const error: unknown = await sync().catch((thrown: unknown) => thrown);
    expect(error).toEqual(refused);
    const command = 'recipe-sweep ledger accept ghost 1.0.0+5.0.0 --reason "<why>"';
    for (const part of [first, second, NOW.toISOString(), 'Ask upstream', command]) {
      expect((error as Error).message).toContain(part);
    }
    // Whole also where a sweep's end cuts its reasons.
    expect(brief(`at mirror-sync: ${(error as Error).message}`)).toContain(NOW.toISOString());
    expect(subcommands().sort()).toEqual(['ls-remote', 'ls-remote']);
    expect([await refs(mirror), await refs(work()), await ledger.read(RECIPE)]).toEqual(before);
  });

  test('is refused after the mirror and the work repository were lost', async () => {
    await moved();
    await rm(path.dirname(mirror), { recursive: true });
    await rm(work(), { recursive: true });
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
    await expect(access(mirror)).rejects.toThrow();
  });

  test('is refused when it was deleted in between', async () => {
    await moved();
    await upstream.git('tag', '--delete', '1.0.0+5.0.0');
    await sync();
    await upstream.git('tag', '1.0.0+5.0.0');
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
  });

  test('is refused with the first few of many named, and how to accept each of those', async () => {
    const tags = Array.from({ length: 7 }, (_, index) => `1.0.${index}+5.0.0`);
    for (const tag of tags) await upstream.git('tag', tag);
    await sync();
    await upstream.commit({ 'compose.yml': 'changed' });
    for (const tag of tags) await upstream.git('tag', '--force', tag);
    const { message } = (await sync().catch((thrown: unknown) => thrown)) as Error;
    expect(message.match(/ledger accept ghost 1\.0\.\d\+5\.0\.0 /g)).toHaveLength(5);
    expect(message).toContain('and 2 more');
  });

  test('is refused also where the mirror and the cache have it there already', async () => {
    await moved();
    for (const ours of [mirror, work()]) {
      await upstream.git('push', '--quiet', '--force', ours, 'main', 'refs/tags/1.0.0+5.0.0');
    }
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
  });

  test('is refused also where it is the ledger that has it elsewhere, and stays refused', async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    await sync();
    const file = path.join(state, 'ledger', `${RECIPE}.jsonl`);
    const good = await readFile(file, 'utf8');
    await writeFile(file, good.replace(/"commit":"[0-9a-f]{40}"/, `"commit":"${'b'.repeat(40)}"`));
    for (const _again of [1, 2]) await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
  });

  test('with another message but the same commit has not moved', async () => {
    await upstream.git('tag', '-a', '-m', 'one', '1.0.0+5.0.0');
    await sync();
    await upstream.git('tag', '--force', '-a', '-m', 'two', '1.0.0+5.0.0');
    expect(await sync()).toMatchObject({ changed: true });
    await expectFaithful();
  });
});

describe("a release's tag that moved at a server that denies it", () => {
  test('is refused by where it leads, and nothing is pushed', async () => {
    const first = await upstream.peel('main');
    await upstream.git('tag', '1.0.0+5.0.0');
    await sync();
    const before = [await refs(mirror), await ledger.read(RECIPE)];
    const second = await upstream.commit({ 'compose.yml': 'changed' });
    await upstream.git('tag', '--force', '-a', '-m', 'moved', '1.0.0+5.0.0');
    const real = await serveGitOverHttp(root, 'bot', 'token');
    // What git asks first is where the refs are and what tags lead to: that is all it says otherwise.
    const liar = createServer((request, response) => {
      void (async () => {
        const { body } = await undici(`${real.origin}${request.url}`, {
          method: request.method === 'POST' ? 'POST' : 'GET',
          headers: {
            authorization: `Basic ${Buffer.from('bot:token').toString('base64')}`,
            'content-type': request.headers['content-type'] ?? '',
            'git-protocol': String(request.headers['git-protocol'] ?? ''),
          },
          body: request.method === 'POST' ? Buffer.concat(await request.toArray()) : null,
        });
        const said = Buffer.from(await body.arrayBuffer()).toString('latin1');
        response.setHeader('content-type', `application/x-git-upload-pack-${kindOf(request.url)}`);
        response.end(said.replaceAll(`peeled:${second}`, `peeled:${first}`), 'latin1');
      })();
    }).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    try {
      const { port } = liar.address() as AddressInfo;
      const asked = mirrors.sync(RECIPE, `http://127.0.0.1:${port}/upstream/.git`);
      await expect(asked).rejects.toMatchObject({
        type: 'TagMoved',
        message: expect.stringContaining(`now ${second}, was ${first}`),
      });
      expect([await refs(mirror), await ledger.read(RECIPE)]).toEqual(before);
    } finally {
      liar.close();
      real.close();
    }
  });

  function kindOf(url = ''): string {
    return url.includes('info/refs') ? 'advertisement' : 'result';
  }
});

describe("a tag that is no release's and moved upstream", () => {
  test.each(['stable', '1.0.0', '-f', '$(id)', 'v\u202e1', `1.0.0+${'x'.repeat(130)}`])(
    '%s is mirrored to where it is now and told once, and blocks nothing',
    async (tag) => {
      const ref = `refs/tags/${tag}`;
      const from = await upstream.peel('main');
      await upstream.git('tag', '1.0.0+5.0.0');
      await upstream.git('update-ref', ref, from);
      expect((await sync()).moved).toEqual([]);
      const releases = [{ version: '1.0.0+5.0.0', commit: from }];
      const commit = await upstream.commit({ 'compose.yml': 'changed' });
      await upstream.git('update-ref', ref, commit);
      expect(await sync()).toMatchObject({ releases, changed: true, moved: [{ tag, from, commit }] });
      await expectFaithful();
      expect((await ledger.read(RECIPE)).get(tag)).toEqual({ commit, ts: NOW.toISOString() });
      expect(await sync()).toMatchObject({ releases, changed: false, moved: [] });
    },
  );

  test('onto a file instead of a commit keeps what is on record', async () => {
    const from = await upstream.peel('main');
    await upstream.git('tag', 'stable');
    await sync();
    const blob = await upstream.git('rev-parse', 'main:compose.yml');
    await upstream.git('tag', '--force', 'stable', blob);
    for (const changed of [true, false]) expect(await sync()).toMatchObject({ changed, moved: [] });
    await expectFaithful();
    expect((await ledger.read(RECIPE)).get('stable')?.commit).toBe(from);
  });

  test("does not come through beside a release's that moved", async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    await upstream.git('tag', 'stable');
    await sync();
    const before = [await refs(mirror), await ledger.read(RECIPE)];
    await upstream.commit({ 'compose.yml': 'changed' });
    for (const tag of ['1.0.0+5.0.0', 'stable']) await upstream.git('tag', '--force', tag);
    await expect(sync()).rejects.toMatchObject({
      type: 'TagMoved',
      message: expect.not.stringContaining('stable'),
    });
    expect([await refs(mirror), await ledger.read(RECIPE)]).toEqual(before);
  });
});

describe('an operator who accepts that a tag moved', () => {
  const TAG = '1.0.0+5.0.0';
  const LATER = '2025-01-06T08:00:00.000Z';
  const asked = { tag: TAG, by: 'ada@ci', reason: 'only the notes changed', ts: LATER };
  const accept = (more: Partial<typeof asked> = {}): ReturnType<Mirrors['accept']> =>
    mirrors.accept(RECIPE, upstream.folder, { ...asked, ...more });

  async function moved(...tags: string[]): Promise<{ from: string; commit: string }> {
    const from = await upstream.peel('main');
    for (const tag of [TAG, ...tags]) await upstream.git('tag', tag);
    await sync();
    const commit = await upstream.commit({ 'compose.yml': 'changed' });
    for (const tag of [TAG, ...tags]) {
      await upstream.git('tag', '--force', '--annotate', '--message', tag, tag);
    }
    return { from, commit };
  }

  async function ledgerText(): Promise<string> {
    return readFile(path.join(state, 'ledger', `${RECIPE}.jsonl`), 'utf8');
  }

  test('has it on record with who, when and why, and the next sync goes on', async () => {
    const { from, commit } = await moved();
    const before = [await refs(mirror), await refs(work())];
    expect(await accept()).toEqual({ tag: TAG, from, commit });
    expect((await ledger.read(RECIPE)).get(TAG)).toEqual({
      commit,
      ts: LATER,
      accepted: { from, by: asked.by, reason: asked.reason },
    });
    // Until then mirror and cache are as a run that goes on beside found them.
    expect([await refs(mirror), await refs(work())]).toEqual(before);
    expect((await readdir(path.join(state, 'work'))).sort()).toEqual(['ghost.git', 'ghost.lock']);
    const releases = [{ version: TAG, commit }];
    expect(await sync()).toMatchObject({ releases, changed: true, moved: [] });
    await expectFaithful();
  });

  test('accepts that very commit: one that moves again before the sync is refused again', async () => {
    const { commit } = await moved();
    await accept();
    const third = await upstream.commit({ 'compose.yml': 'changed again' });
    await upstream.git('tag', '--force', TAG);
    const { message } = (await sync().catch((thrown: unknown) => thrown)) as Error;
    expect(message).toContain(`now ${third}, was ${commit} since ${LATER}`);
  });

  test('and finds it put back where it was: that is a move as well', async () => {
    const { from, commit } = await moved();
    await accept();
    await upstream.git('tag', '--force', TAG, from);
    await expect(sync()).rejects.toMatchObject({ type: 'TagMoved' });
    expect(await accept({ ts: '2025-01-07T08:00:00.000Z' })).toEqual({
      tag: TAG,
      from: commit,
      commit: from,
    });
    await sync();
    await expectFaithful();
  });

  test('in an attempt that died after it was on record has it there once', async () => {
    const { from, commit } = await moved();
    await accept();
    const before = await ledgerText();
    expect(await accept()).toEqual({ tag: TAG, from, commit });
    expect(await ledgerText()).toBe(before);
    await expect(accept({ ts: '2025-01-07T08:00:00.000Z' })).rejects.toMatchObject({ type: 'BadInput' });
  });

  test('of several accepts each on its own', async () => {
    await moved('1.1.0+5.1.0');
    await accept();
    await expect(sync()).rejects.toMatchObject({ message: expect.not.stringContaining(TAG) });
    await accept({ tag: '1.1.0+5.1.0' });
    await sync();
    await expectFaithful();
  });

  test.each<[string, () => Promise<unknown>, string, string]>([
    ['did not move', () => upstream.git('tag', '--force', TAG, 'main~1'), TAG, 'it did not move'],
    ['was never seen', () => upstream.git('tag', '2.0.0+6.0.0'), '2.0.0+6.0.0', 'no sweep has seen it'],
    ['is gone upstream', () => upstream.git('tag', '--delete', TAG), TAG, 'upstream has it no longer'],
    ["is no release's", () => upstream.git('tag', '--force', 'stable'), 'stable', "no release's"],
    [
      'leads to no commit any more',
      async () => upstream.git('tag', '--force', TAG, await upstream.git('rev-parse', 'main:compose.yml')),
      TAG,
      'which is no commit',
    ],
    ['is an option', async () => undefined, '--reason', "no release's"],
    ['climbs', async () => undefined, '../../1.0.0+1', "no release's"],
    ['would be run by a shell', async () => undefined, '1.0.0+1$(id)', "no release's"],
    ['steers a terminal', async () => undefined, '1.0.0+\u001b[2J\u202e', "no release's"],
  ])('is refused where the tag %s, and nothing is on record', async (_what, prepare, tag, says) => {
    await moved('stable');
    await prepare();
    const before = await ledgerText();
    const error = (await accept({ tag }).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ type: 'BadInput' });
    expect(error.message).toContain(says);
    expect(error.message).not.toMatch(/[\u001b\u202e]/);
    expect(await ledgerText()).toBe(before);
    expect((await readdir(path.join(state, 'work'))).sort()).toEqual(['ghost.git', 'ghost.lock']);
  });

  test('waits for a sync that goes on', async () => {
    const { commit } = await moved();
    const lock = await lockFile(path.join(state, 'work', `${RECIPE}.lock`), {
      commands,
      endOrphans: async () => undefined,
    });
    const before = await ledgerText();
    const waiting = accept();
    await sleep(500);
    expect(await ledgerText()).toBe(before);
    await lock.giveBack();
    expect(await waiting).toMatchObject({ commit });
  });

  test('while upstream is away is told so', async () => {
    await moved();
    await rm(upstream.folder, { recursive: true });
    await expect(accept()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('nothing was accepted'),
    });
  });
});

describe('a sync that cannot be done', () => {
  test('upstream gone: says which command failed, how, and what to check', async () => {
    await sync();
    const before = await refs(mirror);
    await rm(upstream.folder, { recursive: true });
    const error = (await sync().catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ type: 'MirrorSync' });
    expect(error.message).toMatch(/^ghost: reading upstream .*ls-remote.*exit status 128\n/);
    expect(error.message).toContain('recipes/ghost/recipe.yml');
    expect(await refs(mirror)).toEqual(before);
  });

  test('upstream without main', async () => {
    await upstream.git('branch', '--move', 'main', 'master');
    await expect(sync()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('no branch main'),
    });
    await expect(access(mirror)).rejects.toThrow();
  });

  test('a mirror that refuses the push', async () => {
    await sync();
    await commands.output({
      file: 'git',
      args: ['config', 'receive.denyNonFastForwards', 'true'],
      cwd: mirror,
    });
    await upstream.git('commit', '--quiet', '--amend', '--message', 'rewritten');
    await expect(sync()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('force'),
    });
    await expect(sync()).rejects.toMatchObject({ type: 'MirrorSync' });
  });

  test('a mirror that says yes and keeps something else', async () => {
    await sync();
    const hook = path.join(mirror, 'hooks', 'post-receive');
    await mkdir(path.dirname(hook), { recursive: true });
    await writeFile(hook, '#!/bin/sh\ngit update-ref -d refs/tags/v1\n', { mode: 0o755 });
    await upstream.git('tag', 'v1');
    await expect(sync()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('does not hold what was just pushed'),
    });
  });

  test('a tag whose name is not UTF-8 is refused in one clear line', async () => {
    const packed = `${await upstream.peel('main')} refs/tags/v`;
    await writeFile(
      path.join(upstream.folder, '.git', 'packed-refs'),
      Buffer.concat([Buffer.from(packed), Buffer.from([0xff, 0x0a])]),
    );
    await expect(sync()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('is not UTF-8'),
    });
    await expect(access(mirror)).rejects.toThrow();
  });

  test('a tag whose name no file can have is refused in one clear line', async () => {
    const tag = 'x'.repeat(251);
    const packed = `${await upstream.peel('main')} refs/tags/${tag}\n`;
    await writeFile(path.join(upstream.folder, '.git', 'packed-refs'), packed);
    await expect(sync()).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('longer than 250 bytes'),
    });
  });

  test.each(['ext::sh -c id', '-oProxyCommand=id', '--upload-pack=id', 'https://bot:hunter2@host/x?y'])(
    'upstream %j is refused before git sees it, and not quoted',
    async (url) => {
      const error = (await mirrors.sync(RECIPE, url).catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ type: 'BadConfig' });
      expect(error.message).not.toContain(url);
      expect(recorder.ran()).toEqual([]);
    },
  );

  test('a recipe name that is a path is refused', async () => {
    await expect(mirrors.sync('../ghost', upstream.folder)).rejects.toMatchObject({ type: 'BadInput' });
  });

  test('a mirror whose server does not answer', async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    const away = mirrorsAt('http://127.0.0.1:1/{recipe}.git', commands);
    await expect(away.sync(RECIPE, upstream.folder)).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('reading the mirror http://127.0.0.1:1/ghost.git'),
    });
    expect(await ledger.read(RECIPE)).toEqual(new Map());
  });

  test('the end of the attempt is not taken for a failed sync, nor for a failed checkout', async () => {
    const { main } = await sync();
    const ended = new Error('cancelled');
    const runner = processRunner({ environment: {}, signal: AbortSignal.abort(ended) });
    const ending = mirrorsAt(path.join(root, 'mirrors', '{recipe}.git'), runner);
    await expect(ending.sync(RECIPE, upstream.folder)).rejects.toBe(ended);
    await expect(ending.checkout(RECIPE, main, path.join(root, 'checkout'))).rejects.toBe(ended);
  });
});

describe('the work repository', () => {
  test.each([
    ['lost', (folder: string) => rm(folder, { recursive: true })],
    ['without its HEAD', (folder: string) => rm(path.join(folder, 'HEAD'))],
    ['without objects', (folder: string) => rm(path.join(folder, 'objects'), { recursive: true })],
    ['half made', (folder: string) => rm(path.join(folder, 'refs'), { recursive: true })],
    ['with a cut main', (folder: string) => writeFile(path.join(folder, 'refs/heads/main'), '')],
  ])('%s, is made anew by the next sync', async (_what, damage) => {
    await upstream.git('tag', '-a', '-m', 'notes', '1.0.0+5.0.0');
    const { main } = await sync();
    await damage(work());
    const releases = [{ version: '1.0.0+5.0.0', commit: main }];
    expect(await sync()).toMatchObject({ main, releases, changed: false });
  });

  test('with a damaged commit, is made anew by the next sync', async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    const { releases } = await sync();
    const packs = path.join(work(), 'objects', 'pack');
    const pack = path.join(packs, (await readdir(packs)).find((name) => name.endsWith('.pack')) ?? '');
    // The first object of a pack is the newest commit; what it is stands in the first bytes of it.
    const bytes = await readFile(pack);
    await chmod(pack, 0o644);
    await writeFile(pack, bytes.fill(0, 30, 60));
    expect(releases).toHaveLength(1);
    for (const _again of [1, 2]) expect(await sync()).toMatchObject({ releases, changed: false });
  });

  test('locked by a git that was killed, is made anew', async () => {
    await upstream.git('tag', 'v1');
    await sync();
    await writeFile(path.join(work(), 'refs', 'heads', 'main.lock'), '');
    await writeFile(path.join(work(), 'packed-refs.lock'), '');
    const main = await upstream.commit({ 'compose.yml': 'changed' });
    await upstream.git('tag', '--delete', 'v1');
    expect(await sync()).toMatchObject({ main, tags: 0, changed: true });
    await expectFaithful();
    expect((await readdir(work())).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  test('is never looked for in the folders above', async () => {
    await createGitRepo(commands, root).then((outer) => outer.commit({ 'mine.txt': 'mine' }));
    const before = await refs(root);
    await sync();
    await rm(path.join(work(), 'HEAD'));
    await sync();
    expect(await refs(root)).toEqual(before);
  });

  test('lost between a sync and a checkout, is made anew from the mirror', async () => {
    await upstream.git('tag', '1.0.0+5.0.0');
    const { main } = await sync();
    await rm(work(), { recursive: true });
    await rm(upstream.folder, { recursive: true });
    const folder = path.join(root, 'checkout');
    await mirrors.checkout(RECIPE, main, folder);
    expect(await readdir(folder)).toEqual(['compose.yml']);
  });

  test('with a damaged file of the commit, is made anew from the mirror', async () => {
    const { main } = await sync();
    const packs = path.join(work(), 'objects', 'pack');
    const pack = path.join(packs, (await readdir(packs)).find((name) => name.endsWith('.pack')) ?? '');
    // The last object of a pack is a file's; a checksum of 20 bytes stands behind it.
    const bytes = await readFile(pack);
    await chmod(pack, 0o644);
    await writeFile(pack, bytes.fill(0, bytes.length - 30, bytes.length - 20));
    const folder = path.join(root, 'checkout');
    await mirrors.checkout(RECIPE, main, folder);
    expect(await readFile(path.join(folder, 'compose.yml'), 'utf8')).toBe('version: "3.8"\n');
  });
});

describe('releases', () => {
  test('are the release tags reachable on main, oldest first, with the commit each leads to', async () => {
    const commits: Record<string, string> = {};
    for (const tag of ['1.10.0+5.2.0', '1.9.0+5.1.0', 'not-a-release', '1.9.0+5.0.0-rc1']) {
      commits[tag] = await upstream.commit({ 'compose.yml': tag });
      await upstream.git('tag', '-a', '-m', tag, tag);
    }
    await upstream.git('checkout', '--quiet', '-b', 'side');
    await upstream.commit({ 'compose.yml': 'side' });
    await upstream.git('tag', '9.0.0+9.0.0');
    await upstream.git('checkout', '--quiet', 'main');
    const main = await upstream.commit({ 'compose.yml': 'untagged' });
    expect(await sync()).toMatchObject({
      main,
      releases: ['1.9.0+5.0.0-rc1', '1.9.0+5.1.0', '1.10.0+5.2.0'].map((version) => ({
        version,
        commit: commits[version],
      })),
    });
  });

  describe.each<[string, () => Promise<void>]>([
    ['', async () => undefined],
    [', with the cache lost', () => rm(work(), { recursive: true })],
  ])('that somebody else pushed to our copies%s', (_what, lose) => {
    async function push(...refspecs: string[]): Promise<void> {
      for (const ours of [mirror, work()])
        await upstream.git('push', '--quiet', '--force', ours, ...refspecs);
      await lose();
    }

    test('are none, and go', async () => {
      await sync();
      await push('main:refs/tags/1.0.0+5.0.0');
      expect(await sync()).toMatchObject({ releases: [], tags: 0, changed: true });
      await expectFaithful();
      expect(await ledger.read(RECIPE)).toEqual(new Map());
    });

    test('are where upstream has them, if they moved only here', async () => {
      await upstream.git('tag', '1.0.0+5.0.0');
      const { releases, main } = await sync();
      const elsewhere = await upstream.git('commit-tree', '-m', 'elsewhere', '-p', main, `${main}^{tree}`);
      await push(`${elsewhere}:refs/heads/main`, `${elsewhere}:refs/tags/1.0.0+5.0.0`);
      expect(await sync()).toMatchObject({ main, releases, changed: true });
      expect(releases).toEqual([{ version: '1.0.0+5.0.0', commit: main }]);
      await expectFaithful();
    });
  });
});

describe('a checkout', () => {
  const folder = (): string => path.join(root, 'checkout');

  test('holds exactly the files of the commit: modes, links, and what attributes would change or leave out', async () => {
    await writeFile(path.join(upstream.folder, 'hook'), '#!/bin/sh\n', { mode: 0o755 });
    await upstream.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},submodule`);
    const link = await commands.output({
      file: 'git',
      args: ['hash-object', '-w', '--stdin'],
      cwd: upstream.folder,
      input: '/etc/passwd',
    });
    await upstream.git('add', 'hook');
    for (const [name, text] of Object.entries({
      'secret.txt': 'kept\n',
      'crlf.txt': 'a\nb\n',
      'id.txt': '$Id$\n',
      'a.bin': 'version https://git-lfs.github.com/spec/v1\n',
      'wide.txt': 'plain\n',
      'deep/er/file': 'x',
    })) {
      await mkdir(path.dirname(path.join(upstream.folder, name)), { recursive: true });
      await writeFile(path.join(upstream.folder, name), text);
      await upstream.git('add', name);
    }
    await writeFile(
      path.join(upstream.folder, '.gitattributes'),
      'secret.txt export-ignore\ncrlf.txt text eol=crlf\nid.txt ident\nwide.txt text working-tree-encoding=UTF-16\n*.bin filter=lfs\n',
    );
    await upstream.git('add', '.gitattributes');
    await upstream.git('update-index', '--add', '--cacheinfo', `120000,${link.trim()},link`);
    await upstream.git('commit', '--quiet', '--message', 'traps');
    const { main } = await sync();
    await upstream.git('commit', '--quiet', '--allow-empty', '--message', 'later');
    await sync();

    await mirrors.checkout(RECIPE, main, folder());

    expect((await readdir(folder(), { recursive: true })).sort()).toEqual(
      [
        '.gitattributes',
        'a.bin',
        'compose.yml',
        'crlf.txt',
        'deep',
        'deep/er',
        'deep/er/file',
        'hook',
        'id.txt',
        'link',
        'secret.txt',
        'submodule',
        'wide.txt',
      ].sort(),
    );
    expect((await lstat(path.join(folder(), 'hook'))).mode & 0o111).toBe(0o111);
    expect((await lstat(path.join(folder(), 'compose.yml'))).mode & 0o111).toBe(0);
    expect(await readlink(path.join(folder(), 'link'))).toBe('/etc/passwd');
    expect(await readFile(path.join(folder(), 'crlf.txt'), 'utf8')).toBe('a\nb\n');
    expect(await readFile(path.join(folder(), 'id.txt'), 'utf8')).toBe('$Id$\n');
    expect(await readFile(path.join(folder(), 'wide.txt'), 'utf8')).toBe('plain\n');
  });

  test('empties the folder first and leaves no index behind', async () => {
    const { main } = await sync();
    await mkdir(folder());
    await writeFile(path.join(folder(), 'dirt'), '');
    await mirrors.checkout(RECIPE, main, folder());
    expect(await readdir(folder())).toEqual(['compose.yml']);
    expect((await readdir(work())).filter((name) => name.startsWith('index'))).toEqual([]);
  });

  test('is a git repository as well where that is asked for, of that commit and no other', async () => {
    await writeFile(path.join(upstream.folder, '.gitattributes'), '* text eol=crlf\n');
    await upstream.git('add', '.gitattributes');
    await upstream.git('commit', '--quiet', '--message', 'later');
    const { main } = await sync();
    await upstream.commit({ 'compose.yml': 'version: "3.9"\n' });
    await sync();
    const repository = path.join(root, 'beside', 'recipes', 'ghost');
    for (const _ of ['once', 'again']) {
      await mirrors.checkout(RECIPE, main, folder(), repository);
      const git = (...args: string[]): string =>
        execFileSync('git', args, { cwd: repository, encoding: 'utf8' }).trim();
      expect(git('rev-parse', 'HEAD')).toBe(main);
      expect(git('rev-list', '--all', '--count')).toBe('1');
      expect(git('status', '--porcelain')).toBe('');
      expect(git('remote')).toBe('');
      expect((await readdir(repository)).sort()).toEqual(['.git', '.gitattributes', 'compose.yml']);
      expect(await readFile(path.join(repository, 'compose.yml'), 'utf8')).toBe('version: "3.8"\n');
      await writeFile(path.join(repository, 'dirt'), '');
    }
    expect((await lstat(path.join(root, 'beside'))).mode & 0o077).toBe(0);
  });

  test('of a commit that is not there says so', async () => {
    await sync();
    await expect(mirrors.checkout(RECIPE, 'f'.repeat(40), folder())).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringContaining('f'.repeat(40)),
    });
    await expect(access(folder())).rejects.toThrow();
  });

  test('of the object of an annotated tag is not one of a commit', async () => {
    await upstream.git('tag', '-a', '-m', 'notes', 'v1');
    await sync();
    const object = await upstream.git('rev-parse', 'refs/tags/v1');
    await expect(mirrors.checkout(RECIPE, object, folder())).rejects.toMatchObject({ type: 'MirrorSync' });
  });

  test.each(['main', '--output=x', 'abc123', 'F'.repeat(40)])('of %j is refused', async (commit) => {
    await expect(mirrors.checkout(RECIPE, commit, folder())).rejects.toMatchObject({ type: 'BadInput' });
    expect(recorder.ran()).toEqual([]);
  });
});

describe('credentials in a URL', () => {
  test('reach the server that asks for them, and no command line or message', async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      const { authorization } = request.headers;
      const said = Buffer.from(authorization?.replace('Basic ', '') ?? '', 'base64').toString();
      if (authorization) seen.push(said);
      response
        .writeHead(authorization ? 403 : 401, {
          'www-authenticate': 'Basic realm="mirror"',
          'content-type': 'text/plain',
        })
        .end(`no entry for ${said} with ${authorization}\n`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const error = (await mirrors
        .sync(RECIPE, `http://bot:p%40ss%22$(id)@127.0.0.1:${port}/ghost.git`)
        .catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ type: 'MirrorSync' });
      expect(error.message).toContain(`http://127.0.0.1:${port}/ghost.git`);
      expect(new Set(seen)).toEqual(new Set(['bot:p@ss"$(id)']));
      expect(error.message).not.toContain('p@ss');
      expect(error.message).not.toContain('p%40ss');
      expect(error.message).toContain('***');
      // What a process listing shows: arguments and environment.
      const ran = recorder.ran();
      expect(ran.flatMap(({ args }) => args)).toContain('ls-remote');
      expect(JSON.stringify(ran)).not.toMatch(/p@ss|p%40ss|cEBzcyI/);
    } finally {
      server.close();
    }
  });
});

describe('how two commits differ', () => {
  const commitOf = async (): Promise<string> => (await upstream.git('rev-parse', 'HEAD')).trim();

  test('is what git says, whatever attributes of theirs ask for', async () => {
    const from = await commitOf();
    await upstream.commit({ 'compose.yml': 'other\n', '.gitattributes': '* diff=evil\n*.yml -diff\n' });
    const to = await commitOf();
    await sync();
    const diff = await mirrors.diff(RECIPE, from, to);
    expect(diff).toContain('+++ b/.gitattributes');
    expect(diff).toContain('diff --git a/compose.yml b/compose.yml');
    expect(await mirrors.diff(RECIPE, to, to)).toBe('');
  });

  test('is not known of one that is not here', async () => {
    await sync();
    expect(await mirrors.diff(RECIPE, 'a'.repeat(40), await commitOf())).toBe(null);
  });

  test('is asked of no name', async () => {
    await sync();
    await expect(mirrors.diff(RECIPE, '--output=/tmp/x', await commitOf())).rejects.toMatchObject({
      type: 'BadInput',
    });
  });
});

describe('what git is given', () => {
  const safe = ['-c', 'core.hooksPath=/dev/null', '-c', 'protocol.ext.allow=never', '-c', 'gc.auto=0'];
  const network = [...safe, '-c', 'http.lowSpeedLimit=1000', '-c', 'http.lowSpeedTime=60'];
  const refspecs = ['+refs/heads/main:refs/heads/main', '+refs/tags/*:refs/tags/*'];
  const commit = 'c'.repeat(40);

  test('whole argument lists', () => {
    expect(listRemoteArgs('https://host/x')).toEqual([
      ...network,
      ...['ls-remote', '--heads', '--tags', '--', 'https://host/x'],
    ]);
    expect(fetchArgs('https://host/x')).toEqual([
      ...network,
      ...['-c', 'transfer.fsckObjects=true', '--git-dir=.', 'fetch', '--quiet', '--no-tags', '--prune'],
      ...['--no-write-fetch-head', '--no-recurse-submodules', '--', 'https://host/x', ...refspecs],
    ]);
    expect(pushArgs('https://host/x', commit)).toEqual([
      ...network,
      ...['--git-dir=.', 'push', '--quiet', '--prune', '--no-verify', '--', 'https://host/x'],
      ...[`+${commit}:refs/heads/main`, '+refs/tags/*:refs/tags/*'],
    ]);
    expect(initBareArgs('/x', commit)).toEqual([
      ...safe,
      ...['init', '--quiet', '--bare', '--template=', '--initial-branch=main', '--object-format=sha1'],
      ...['--', '/x'],
    ]);
    expect(initArgs('/x', commit)).toEqual([
      ...safe,
      ...['init', '--quiet', '--template=', '--initial-branch=main', '--object-format=sha1', '--', '/x'],
    ]);
    expect(diffArgs(commit, commit)).toEqual([
      ...safe,
      ...['--git-dir=.', 'diff', '--no-color', '--no-ext-diff', '--no-textconv', commit, commit, '--'],
    ]);
    const files = ['--git-dir=.git', '--work-tree=.'];
    expect(fetchAloneArgs('/work', commit)).toEqual([
      ...[...safe, '-c', 'protocol.version=2', ...files],
      ...['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--depth=1'],
      ...['--', '/work', `+${commit}:refs/recipe-sweep/canonical`],
    ]);
    expect(checkOutArgs(commit)).toEqual([
      ...[...safe, ...files, 'checkout', '--quiet', '--force', '--detach', commit],
    ]);
    const format = '--format=%(objectname) %(objecttype) %(refname)';
    expect(refsArgs()).toEqual([
      ...safe,
      ...['--git-dir=.', 'for-each-ref', format, 'refs/heads/main', 'refs/tags'],
    ]);
    expect(refsOnMainArgs()).toEqual([
      ...safe,
      ...['--git-dir=.', 'for-each-ref', format, '--merged=refs/heads/main', 'refs/heads/main', 'refs/tags'],
    ]);
    expect(objectsArgs()).toEqual([...safe, '--git-dir=.', 'cat-file', '--batch-check']);
    expect(listTreeArgs(commit)).toEqual([
      ...safe,
      ...['--git-dir=.', 'ls-tree', '-r', '-l', '-z', '--full-tree', commit],
    ]);
    expect(readTreeArgs(commit)).toEqual([...safe, '--git-dir=.', 'read-tree', commit]);
    expect(checkoutIndexArgs('/x')).toEqual([
      ...safe,
      ...['--git-dir=.', '--work-tree=/x', 'checkout-index', '--quiet', '--all'],
    ]);
  });

  test.each(['-u', 'HEAD', 'refs/tags/v1', 'c'.repeat(41)])('%j is no commit to read', (text) => {
    expect(() => readTreeArgs(text)).toThrow(RangeError);
  });
});

describe('a commit that is kept', () => {
  const folder = (): string => path.join(root, 'checkout');

  test('is there when upstream withdrew it and the work repository is gone', async () => {
    await upstream.commit({ 'compose.yml': 'withdrawn\n' });
    await upstream.git('tag', '1.1.0+1');
    const commit = (await upstream.git('rev-parse', 'HEAD')).trim();
    await sync();
    expect(await mirrors.keep(RECIPE, commit)).toBe(true);
    await upstream.git('tag', '--delete', '1.1.0+1');
    await upstream.git('reset', '--quiet', '--hard', 'HEAD~1');
    await sync();
    await expectFaithful();
    await rm(path.join(state, 'work'), { recursive: true });
    await mirrors.checkout(RECIPE, commit, folder());
    expect(await readFile(path.join(folder(), 'compose.yml'), 'utf8')).toBe('withdrawn\n');
    // and the next sync still makes the mirror what upstream is
    await upstream.commit({ 'compose.yml': 'new\n' });
    await sync();
    await expectFaithful();
    expect(Object.keys(await refs(mirror)).filter((ref) => ref.includes('recipe-sweep'))).toEqual([]);
  });

  test.each([
    ['lost', () => rm(path.join(state, 'work'), { recursive: true })],
    ['damaged', () => rm(path.join(state, 'work', 'ghost.git', 'objects'), { recursive: true })],
  ])('is there without the mirror, when the work repository is %s', async (_how, spoil) => {
    await sync();
    const commit = (await upstream.git('rev-parse', 'HEAD')).trim();
    await mirrors.keep(RECIPE, commit);
    await spoil();
    await rm(path.join(root, 'mirrors'), { recursive: true });
    await mirrors.checkout(RECIPE, commit, folder());
    expect(await readdir(folder())).toEqual(['compose.yml']);
    expect((await sync()).main).toBe(commit);
    await expectFaithful();
  });

  test('cannot be kept when it is gone already, which is no failure; without a mirror nobody knows', async () => {
    await expect(mirrors.keep(RECIPE, 'a'.repeat(40))).rejects.toMatchObject({ type: 'MirrorSync' });
    await sync();
    expect(await mirrors.keep(RECIPE, 'a'.repeat(40))).toBe(false);
  });

  test('is kept also where the work repository is lost, or a git that was killed left its locks', async () => {
    await sync();
    const commit = (await upstream.git('rev-parse', 'HEAD')).trim();
    const kept = path.join(state, 'canonicals', RECIPE, `${commit}.bundle`);
    await rm(path.join(state, 'work'), { recursive: true });
    expect(await mirrors.keep(RECIPE, commit)).toBe(true);
    await rm(kept);
    // As it is made for a commit that is kept itself.
    await rm(path.join(state, 'work'), { recursive: true });
    await createGitRepo(commands, path.join(root, 'empty'));
    await cp(path.join(root, 'empty', '.git'), path.join(state, 'work', `${RECIPE}.git`), {
      recursive: true,
    });
    expect(await mirrors.keep(RECIPE, commit)).toBe(true);
    await rm(kept);
    await writeFile(`${kept}.partial.lock`, '');
    await writeFile(path.join(state, 'work', `${RECIPE}.git`, 'refs/recipe-sweep/canonical.lock'), '');
    expect(await mirrors.keep(RECIPE, commit)).toBe(true);
    expect(await readdir(path.dirname(kept))).toEqual([`${commit}.bundle`]);
    await writeFile(`${kept}.partial.lock`, '');
    await mirrors.keepOnly(RECIPE, commit);
    expect(await readdir(path.dirname(kept))).toEqual([`${commit}.bundle`]);
  });

  test('is let go of when another one is kept', async () => {
    await sync();
    const first = (await upstream.git('rev-parse', 'HEAD')).trim();
    await mirrors.keep(RECIPE, first);
    await upstream.commit({ 'compose.yml': 'second\n' });
    await sync();
    const second = (await upstream.git('rev-parse', 'HEAD')).trim();
    await mirrors.keep(RECIPE, second);
    await mirrors.keepOnly(RECIPE, second);
    expect(await readdir(path.join(state, 'canonicals', RECIPE))).toEqual([`${second}.bundle`]);
    await mirrors.keepOnly(RECIPE, null);
    expect(await readdir(path.join(state, 'canonicals', RECIPE))).toEqual([]);
  });
});

describe('two workers', () => {
  test('never touch one recipe at once: who comes second waits, and finds what the first one left', async () => {
    await upstream.git('tag', '1.0.0+v1');
    const lock = await lockFile(path.join(state, 'work', `${RECIPE}.lock`), {
      commands,
      endOrphans: async () => undefined,
    });
    const waiting = [sync(), sync()];
    await sleep(500);
    expect(await readdir(path.join(state, 'work'))).toEqual([`${RECIPE}.lock`]);
    await expect(refs(mirror)).rejects.toThrow();
    await lock.giveBack();
    const [first, second] = await Promise.all(waiting);
    expect(first).toMatchObject({ changed: true });
    expect(second).toMatchObject({ releases: [{ version: '1.0.0+v1' }], changed: false });
    await expectFaithful();
  });
});

describe('an upstream that is too large', () => {
  test('is refused with the limit, and nothing of it stays', async () => {
    await sync();
    const before = await mainAndTags(mirror);
    await writeFile(path.join(upstream.folder, 'large.bin'), randomBytes(3_000_000));
    await upstream.git('add', '--all');
    await upstream.git('commit', '--quiet', '--message', 'large');
    const small = mirrorsAt(path.join(root, 'mirrors', '{recipe}.git'), commands, 1_000_000);
    await expect(small.sync(RECIPE, upstream.folder)).rejects.toMatchObject({
      type: 'MirrorSync',
      message: expect.stringMatching(/holds more than 1000000 bytes.*"limits.fetch"/s),
    });
    expect(await readdir(path.join(state, 'work'))).toEqual([`${RECIPE}.lock`]);
    expect(await mainAndTags(mirror)).toEqual(before);
    await sync();
    await expectFaithful();
  });
});

test.runIf(process.getuid?.() === 0)('a mirror on this host may belong to another user', async () => {
  await sync();
  execFileSync('chown', ['--recursive', '1234:1234', mirror, upstream.folder]);
  await upstream.commit({ 'compose.yml': 'next\n' }).catch(() => undefined);
  execFileSync('chown', ['--recursive', '1234:1234', upstream.folder]);
  const { main } = await sync();
  expect(await refs(mirror)).toMatchObject({ 'refs/heads/main': main });
});
