import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { startForge, type ForgeFixture, type Person } from '../../fixtures/forge.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { Boundary } from '../../host/machine/boundary.ts';
import type { Service } from '../../host/machine/child.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';
import { calm, startForgeProxy, type ForgeProxy } from './forge-proxy.ts';
import { startSystem, type System } from './system.ts';
import { STRUCK_WORKER, workerStrikes, type WorkerStrikes } from './worker-strikes.ts';

/** Mirrors on a real Gitea, behind a proxy that makes its troubles; a recipe that nobody released yet, so nothing runs. */

const RECIPE = 'mirrored';
const REPOSITORY = { owner: 'mirrors', name: RECIPE };
const TEXT = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
/** The text with some lines changed, by their numbers. */
const changed = (...lines: number[]): string =>
  TEXT.map((line, index) => (lines.includes(index + 1) ? line.toUpperCase() : line)).join('\n');

let forge: ForgeFixture;
let proxy: ForgeProxy;
let system: System;
let upstream: GitRepo;
let maintainer: Person;
let strikes: WorkerStrikes;
let worker: Service;
let sweeps = 0;

beforeAll(async () => {
  forge = await startForge();
  maintainer = await forge.addPerson('maintainer');
  proxy = await startForgeProxy(forge);
  const { url } = proxy;
  const workerEnv: Record<string, string> = {};
  system = await startSystem(inject('temporal'), [], {
    images: 'local',
    workerEnv,
    limits: { headroom: '1MB' },
  });
  strikes = workerStrikes(system);
  Object.assign(workerEnv, strikes.env);
  const commands = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  upstream = await createGitRepo(commands, path.join(system.folder, 'upstreams', RECIPE));
  await upstream.commit({ 'compose.yml': changed() });
  const recipe = path.join(system.folder, 'recipes', RECIPE);
  mkdirSync(recipe, { recursive: true });
  writeFileSync(path.join(recipe, 'recipe.yml'), `upstream: ${upstream.folder}\n`);
  writeFileSync(path.join(system.folder, 'token'), forge.bot.token);
  await system.configure({
    mirrors: `${url}/mirrors/{recipe}.git`,
    forge: { url, tokenFile: './token' },
  });
  worker = await system.startWorker(STRUCK_WORKER);
});

afterAll(async () => {
  await system?.stop();
  proxy?.close();
  await forge?.stop();
});

/** Starts a sweep, strikes the worker at the boundary and starts another one, if so asked; answers what came of it. */
async function sweep(at?: Boundary): Promise<RecipeResult> {
  if (at !== undefined) strikes.arm(at);
  const workflowId = `forge-${++sweeps}`;
  const { client } = system.temporal;
  const { taskQueue } = system;
  const handle = await client.workflow.start('sweepWorkflow', {
    workflowId,
    taskQueue,
    args: [{ recipes: [RECIPE] }],
  });
  if (at !== undefined) {
    await strikes.struck();
    await worker.ended;
    worker = await system.startWorker(STRUCK_WORKER);
  }
  await handle.result();
  const file = path.join(system.state, 'runs', workflowId, RECIPE, 'result.json');
  return JSON.parse(readFileSync(file, 'utf8')) as RecipeResult;
}

const NOTHING_TO_TEST = { outcome: { kind: 'SKIP', because: 'never-released' } };

async function propose(
  name: string,
  text: string,
  more: { fork?: Person; base?: string; title?: string } = {},
) {
  const { fork, ...rest } = more;
  const branch = { repository: REPOSITORY, name, ...(fork === undefined ? {} : { fork }) };
  const by = fork ?? maintainer;
  await forge.push(by, branch, { 'compose.yml': text }, rest.base);
  return forge.openPullRequest(by, branch, rest);
}

async function stateOf(number: number): Promise<string> {
  const at = `repos/mirrors/${RECIPE}/pulls/${number}`;
  return (await forge.api<{ state: string }>(forge.admin, 'GET', at)).state;
}

async function commentsOf(number: number): Promise<string[]> {
  const at = `repos/mirrors/${RECIPE}/issues/${number}/comments`;
  return (await forge.api<{ body: string }[]>(forge.admin, 'GET', at)).map(({ body }) => body);
}

/** main's and the tags' commits of the mirror, as Gitea has them. */
async function mirrored(): Promise<Record<string, string>> {
  const at = `repos/mirrors/${RECIPE}`;
  type Named = { name: string; commit: { id?: string; sha?: string } };
  const branches = (await forge.api<Named[] | null>(forge.admin, 'GET', `${at}/branches`)) ?? [];
  const tags = await forge.api<Named[]>(forge.admin, 'GET', `${at}/tags`);
  return Object.fromEntries(
    [...branches.filter(({ name }) => name === 'main'), ...tags].map(({ name, commit }) => [
      name,
      commit.id ?? commit.sha ?? '',
    ]),
  );
}

/** Gitea takes note of a push a moment after that: until then it tells of no branch. */
async function expectMirrored(refs: Record<string, unknown>): Promise<void> {
  await vi.waitFor(async () => expect(await mirrored()).toEqual(refs), 30_000);
}

test('a mirror that is missing is made, private and without issues and wiki, whatever strikes then', async () => {
  await upstream.git('tag', 'old');
  expect(await sweep('mirror-sync.after-make')).toMatchObject(NOTHING_TO_TEST);
  expect(await forge.api(forge.admin, 'GET', `repos/mirrors/${RECIPE}`)).toMatchObject({
    private: true,
    has_issues: false,
    has_wiki: false,
    has_pull_requests: true,
    default_branch: 'main',
  });
  const main = await upstream.peel('main');
  await expectMirrored({ main, old: main });
  await forge.letIn(maintainer, REPOSITORY, 'write');
});

test('what main has by now is closed with one comment, and every other stays as it is', async () => {
  const stranger = await forge.addPerson('stranger');
  await forge.letIn(stranger, REPOSITORY, 'read');
  await forge.push(maintainer, { repository: REPOSITORY, name: 'stable' }, {});
  const merged = await propose('merged', changed(1));
  const others = {
    diverged: await propose('diverged', changed(5)),
    conflicting: await propose('conflicting', changed(9).replace('NINE', 'otherwise')),
    draft: await propose('draft', changed(1), { title: 'WIP: a draft' }),
    fork: await propose('of-a-fork', changed(1), { fork: stranger }),
    other: await propose('other-target', changed(1), { base: 'stable' }),
  };
  await upstream.commit({ 'compose.yml': changed(1, 9) });
  const main = await upstream.peel('main');
  // A forge that is busy, and one that breaks.
  const asked = new Map<string, number>();
  proxy.trouble = async ({ url = '' }) => {
    const of = /\/(pulls\?|timeline|comments)/.exec(url)?.[1];
    if (of === undefined) return null;
    asked.set(of, (asked.get(of) ?? 0) + 1);
    if (of === 'pulls?' && asked.get(of) === 1) return { status: 429, retryAfter: '1' };
    return of === 'timeline' && (asked.get(of) ?? 0) <= 2 ? { status: 500 } : null;
  };
  expect(await sweep('mirror-sync.after-comment')).toMatchObject(NOTHING_TO_TEST);
  proxy.trouble = calm;
  expect(await stateOf(merged)).toBe('closed');
  expect(await commentsOf(merged)).toEqual([expect.stringContaining(main)]);
  for (const [what, number] of Object.entries(others)) {
    expect([what, await stateOf(number)]).toEqual([what, 'open']);
    expect(await commentsOf(number)).toEqual([]);
  }
});

test('one that somebody opens again stays open, and one that is struck once closed stays closed', async () => {
  const reopened = 1;
  await forge.api(maintainer, 'PATCH', `repos/mirrors/${RECIPE}/pulls/${reopened}`, { state: 'open' });
  const second = await propose('second', changed(1, 2, 9));
  await upstream.commit({ 'compose.yml': changed(1, 2, 9) });
  expect(await sweep('mirror-sync.after-close')).toMatchObject(NOTHING_TO_TEST);
  expect(await stateOf(second)).toBe('closed');
  expect(await commentsOf(second)).toHaveLength(1);
  expect(await stateOf(reopened)).toBe('open');
  expect(await commentsOf(reopened)).toHaveLength(1);
});

test('a forge that dies between the push and the closing costs the sync nothing; the next one closes', async () => {
  const late = await propose('late', changed(1, 2, 3, 9));
  await upstream.commit({ 'compose.yml': changed(1, 2, 3, 9) });
  proxy.trouble = async ({ url = '' }) => (url.includes('/pulls') ? 'hang up' : null);
  expect(await sweep()).toMatchObject(NOTHING_TO_TEST);
  proxy.trouble = calm;
  await expectMirrored({ main: await upstream.peel('main'), old: expect.any(String) });
  expect(await stateOf(late)).toBe('open');
  expect(await sweep()).toMatchObject(NOTHING_TO_TEST);
  expect(await stateOf(late)).toBe('closed');
  expect(await commentsOf(late)).toHaveLength(1);
});

test('one that somebody closes meanwhile is no error; a main written anew and a tag that is gone are followed', async () => {
  const closed = await propose('closed', changed(1, 2, 3, 4, 9));
  await upstream.commit({ 'compose.yml': changed(1, 2, 3, 4, 9) });
  proxy.trouble = async ({ method, url = '' }) => {
    if (method === 'POST' && url.endsWith(`/issues/${closed}/comments`)) {
      proxy.trouble = calm;
      const at = `repos/mirrors/${RECIPE}/pulls/${closed}`;
      await forge.api(maintainer, 'PATCH', at, { state: 'closed' });
    }
    return null;
  };
  expect(await sweep()).toMatchObject(NOTHING_TO_TEST);
  expect(proxy.trouble).toBe(calm);
  expect(await stateOf(closed)).toBe('closed');

  await upstream.git('checkout', '--quiet', '--orphan', 'anew');
  await upstream.commit({ 'compose.yml': 'another beginning' });
  await upstream.git('branch', '--force', 'main', 'anew');
  await upstream.git('tag', '--delete', 'old');
  expect(await sweep('mirror-sync.after-push')).toMatchObject(NOTHING_TO_TEST);
  await expectMirrored({ main: await upstream.peel('main') });
  expect(await stateOf(2)).toBe('open');
});

test('doctor says that the forge takes the token, and the token is nowhere', async () => {
  const { stdout } = await system.cli('doctor', '--json');
  const findings = JSON.parse(stdout) as { name: string; ok: boolean; found: string }[];
  expect(findings.find(({ name }) => name === 'forge')).toMatchObject({
    ok: true,
    found: expect.stringContaining('takes the token, of recipe-sweep') as string,
  });
  for (const at of ['temporal.db', 'worker-1.log']) {
    const file = path.join(system.folder, at);
    expect(existsSync(file)).toBe(true);
    expect(readFileSync(file).includes(forge.bot.token)).toBe(false);
  }
});
