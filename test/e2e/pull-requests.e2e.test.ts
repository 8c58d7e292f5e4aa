import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import getPort from 'get-port';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { recipeRunId } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { answers } from '../../domain/test-request.ts';
import { startForge, type ForgeFixture, type Person } from '../../fixtures/forge.ts';
import type { Service } from '../../host/machine/child.ts';
import { createResults } from '../../host/store/results.ts';
import type { recipeTestWorkflow, sweepWorkflow } from '../../workflows/index.ts';
import { commentTestWorkflowId, stepQuery, type Step } from '../../workflows/protocol.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { ofZone } from './engine.ts';
import { calm, startForgeProxy, type ForgeProxy } from './forge-proxy.ts';
import { startSystem, until, type System } from './system.ts';
import { STRUCK_WORKER, workerStrikes, type WorkerStrikes } from './worker-strikes.ts';

/**
 * From a comment on a real Gitea to the answer under it, through everything that is in between as operators have it. One
 * story, in order: each test finds the system as the one before left it.
 */

const RECIPE = 'custom-html';
/** Nobody made it a canonical. */
const UNPROVEN = 'custom-html-tiny';
const TIP = '1.1.1+1.26';
const [OLDER, CANONICAL, BUMPED, BROKEN] = ['1.0.0+1.22', '1.1.0+1.26', '1.1.1+1.26', '1.1.2+1.99'] as const;
const ANSWER_MS = 300_000;

interface PullRequest {
  recipe: string;
  number: number;
  head: string;
}

let forge: ForgeFixture;
let proxy: ForgeProxy;
let system: System;
let strikes: WorkerStrikes;
let worker: Service;
let serveUrl: string;
let maintainer: Person;
let contributor: Person;
/** By what they change. */
let bump: PullRequest;
let same: PullRequest;
let broken: PullRequest;
let nameless: PullRequest;
let unproven: PullRequest;
/** Comments that mean nothing. */
const meaningless: number[] = [];
/** The canonical's files, as the sweep left them. */
let proven: Record<string, string>;

beforeAll(async () => {
  forge = await startForge();
  proxy = await startForgeProxy(forge);
  const workerEnv: Record<string, string> = {};
  system = await startSystem(inject('temporal'), [RECIPE, UNPROVEN, 'unreleased'], {
    workerEnv,
    limits: { stable: '3s', tests_between: 2 },
  });
  strikes = workerStrikes(system);
  Object.assign(workerEnv, strikes.env);
  await system.upstreams.publish(RECIPE, OLDER);
  await system.upstreams.publish(RECIPE, CANONICAL);
  await system.upstreams.publish(UNPROVEN, TIP);
  await system.upstreams.publish('unreleased', 'v1.0.0');

  const secret = randomBytes(16).toString('hex');
  writeFileSync(path.join(system.folder, 'webhook-secret'), secret);
  writeFileSync(path.join(system.folder, 'token'), forge.bot.token);
  const listen = `127.0.0.1:${await getPort()}`;
  serveUrl = `http://${listen}`;
  await system.configure({
    mirrors: `${proxy.url}/mirrors/{recipe}.git`,
    forge: { url: proxy.url, tokenFile: './token' },
    serve: { listen, url: serveUrl, webhookSecretFile: './webhook-secret' },
  });
  [worker] = await Promise.all([system.startWorker(STRUCK_WORKER), system.startServe()]);
  await forge.webhook(`${serveUrl}/webhook`, secret);
  // It makes the mirrors.
  expect(await system.cli('plan')).toMatchObject({ status: 0 });

  maintainer = await forge.addPerson('maintainer');
  contributor = await forge.addPerson('contributor');
  await forge.addTeam('maintainers', [maintainer]);
  for (const name of [RECIPE, UNPROVEN]) {
    await forge.letIn(contributor, { owner: 'mirrors', name }, 'read');
  }
  const nginx = /nginx:1\.26/;
  bump = await propose(RECIPE, 'bump', (compose) => compose.replaceAll(CANONICAL, BUMPED));
  same = await propose(RECIPE, 'same', (compose) => compose.replace('interval: 2s', 'interval: 1s'));
  broken = await propose(RECIPE, 'broken', (compose) =>
    compose.replaceAll(CANONICAL, BROKEN).replace(nginx, 'nginx:1.99'),
  );
  nameless = await propose(RECIPE, 'nameless', (compose) => compose.replaceAll(CANONICAL, 'next'));
  unproven = await propose(UNPROVEN, 'unproven', (compose) =>
    compose.replaceAll(TIP, BROKEN).replace(nginx, 'nginx:1.99'),
  );
});

afterAll(async () => {
  await system?.stop();
  proxy?.close();
  await forge?.stop();
  if (system !== undefined) {
    expect(await ofZone(system.docker, system.zone)).toEqual([]);
    expect(existsSync(system.folder)).toBe(false);
  }
});

/** Of main's compose.yml changed, from a fork of somebody who may not write to the mirror. */
async function propose(
  recipe: string,
  name: string,
  change: (compose: string) => string,
): Promise<PullRequest> {
  const shown = await execa('git', ['-C', system.upstreams.url(recipe), 'show', 'main:compose.yml']);
  const branch = { repository: { owner: 'mirrors', name: recipe }, name, fork: contributor };
  const head = await forge.push(contributor, branch, { 'compose.yml': `${change(shown.stdout)}\n` });
  return { recipe, number: await forge.openPullRequest(contributor, branch), head };
}

/** A comment that asks for a test, with where that test is found. */
interface Asked {
  pull: PullRequest;
  comment: number;
  id: string;
}

async function ask(pull: PullRequest, body: string): Promise<Asked> {
  const { recipe, number } = pull;
  const comment = await forge.comment(maintainer, { owner: 'mirrors', name: recipe }, number, body);
  return { pull, comment, id: commentTestWorkflowId(system.host, recipe, comment) };
}

const handleOf = ({ id }: Asked) => system.temporal.client.workflow.getHandle<typeof recipeTestWorkflow>(id);

async function answersTo({
  pull: { recipe, number },
  comment,
}: Asked): Promise<{ id: number; body: string }[]> {
  const at = `repos/mirrors/${recipe}/issues/${number}/comments`;
  type Comment = { id: number; body: string; user: { login: string } };
  return (await forge.api<Comment[]>(forge.admin, 'GET', at)).filter(
    ({ body, user }) => user.login === forge.bot.login && answers(body, comment),
  );
}

/** Waits for an answer that says so. There is never more than one. */
async function answered(asked: Asked, what: string | RegExp, withinMs = ANSWER_MS): Promise<string> {
  let last = 'nothing';
  const isSo = async (): Promise<boolean> => {
    const found = await answersTo(asked);
    expect(found.length).toBeLessThanOrEqual(1);
    last = found[0]?.body ?? last;
    return typeof what === 'string' ? last.includes(what) : what.test(last);
  };
  await until(isSo, withinMs, 300).catch(() => undefined);
  if (typeof what === 'string') expect(last).toContain(what);
  else expect(last).toMatch(what);
  return last;
}

/** The head's status of that name, as the forge shows it. */
async function statusOf({ recipe, head }: PullRequest, mode: 'cold' | 'quick') {
  type Shown = { context: string; status: string; description: string; target_url: string };
  const at = `repos/mirrors/${recipe}/commits/${head}/status`;
  const { statuses } = await forge.api<{ statuses: Shown[] }>(forge.admin, 'GET', at);
  return statuses.find(({ context }) => context === `recipe-sweep/${mode}`);
}

const expectStatus = (pull: PullRequest, mode: 'cold' | 'quick', state: string) =>
  expect.poll(async () => (await statusOf(pull, mode))?.status, { timeout: 120_000 }).toBe(state);

async function stepOf(asked: Asked): Promise<Step | null> {
  return handleOf(asked)
    .query(stepQuery)
    .then(({ step }) => step)
    .catch(() => null);
}

const resultOf = ({ id, pull: { recipe } }: Asked): Promise<RecipeResult | null> =>
  createResults(system.state).read(recipeRunId(id, recipe));

/** Who waits for the host, as `status` says it. */
async function waiting(): Promise<string[]> {
  const { stdout } = await system.cli('status', '--json');
  return (parseDocument('status', stdout).waiting ?? []).map(({ workflowId }) => workflowId);
}

/** Of every file of the canonical, but for the mark that its data is in use. */
function canonicalFiles(): Record<string, string> {
  const folder = path.join(system.state, 'canonicals', RECIPE);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'attached.json')
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    files.map((file) => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]),
  );
}

/** What is on the engine between two tests: data of the canonical, and nothing that runs. */
async function expectOnlyCanonicalData(): Promise<void> {
  const ours = await system.ours();
  expect(ours.filter((thing) => !/^(volume|secret) warm-custom-html_/.test(thing))).toEqual([]);
}

const closedMs = async (handle: { describe(): Promise<{ closeTime?: Date }> }): Promise<number> =>
  (await handle.describe()).closeTime?.getTime() ?? Number.NaN;

const short = (commit: string): string => `\`${commit.slice(0, 10)}\``;

// Tried once: what it begins with, a recipe that nobody swept yet, is gone then.
test(
  'comments while a sweep has the host wait, say behind whom, and come between two of its recipes',
  { retry: 0 },
  async () => {
    const { client } = system.temporal;
    const sweep = await client.workflow.start<typeof sweepWorkflow>('sweepWorkflow', {
      workflowId: 'sweep-with-tests',
      taskQueue: system.taskQueue,
      args: [{ recipes: [RECIPE, 'unreleased'] }],
    });
    await until(async () => (await system.cli('pause', sweep.workflowId)).status === 0, ANSWER_MS, 1_000);

    const cold = await ask(bump, '!testme');
    await answered(cold, '**waits for its turn, behind the recipe that a sweep is at**');
    const deleted = await ask(same, '!testme');
    await answered(deleted, `the recipe that a sweep is at, test of custom-html\\#${bump.number}`);
    await expectStatus(same, 'cold', 'pending');
    const [theirs] = await answersTo(deleted);
    await forge.api(forge.admin, 'DELETE', `repos/mirrors/${RECIPE}/issues/comments/${theirs?.id}`);
    const aborted = await ask(unproven, '!testme');
    await answered(aborted, `test of custom-html\\#${same.number}`);
    expect(await waiting()).toEqual([cold.id, deleted.id, aborted.id]);

    // What means nothing.
    const say = async (by: Person, body: string): Promise<void> => {
      meaningless.push(await forge.comment(by, { owner: 'mirrors', name: RECIPE }, broken.number, body));
    };
    await say(maintainer, '!testmexyz');
    await say(maintainer, '> !testme');
    await say(contributor, '!testme');
    await say(maintainer, 'Looks good to me.');
    // A forge counts in seconds.
    await sleep(1_500);
    await forge.api(maintainer, 'PATCH', `repos/mirrors/${RECIPE}/issues/comments/${meaningless.at(-1)}`, {
      body: '!testme',
    });
    const bots = await fetch(`${forge.url}/api/v1/repos/mirrors/${RECIPE}/issues/${broken.number}/comments`, {
      method: 'POST',
      headers: { authorization: `token ${forge.bot.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ body: '!testme' }),
    });
    meaningless.push(((await bots.json()) as { id: number }).id);

    expect(await system.cli('abort', aborted.id)).toMatchObject({ status: 0 });
    await answered(aborted, '**ERROR cancelled**');
    await expectStatus(unproven, 'cold', 'error');
    expect(await waiting()).toEqual([cold.id, deleted.id]);

    // The same once more, later: in the place of the older.
    const sameAgain = await ask(same, '!testme --quick');
    const quick = await ask(bump, '!testme --quick');
    expect(await answered(cold, '**SKIP superseded**')).toContain(quick.id);
    await handleOf(deleted).result();
    expect((await resultOf(deleted))?.outcome).toMatchObject({ kind: 'SKIP', because: 'superseded' });
    expect(await answersTo(deleted)).toEqual([]);
    const withoutCanonical = await ask(unproven, '!testme --quick');
    await answered(withoutCanonical, 'waits for its turn');
    expect(await waiting()).toEqual([quick.id, sameAgain.id, withoutCanonical.id]);

    // The recipe ends, and the pause holds what comes next.
    await until(async () => (await system.canonical(RECIPE))?.version === CANONICAL, ANSWER_MS);
    const run = client.workflow.getHandle(recipeRunId(sweep.workflowId, RECIPE));
    expect(await run.result()).toMatchObject({ outcome: { kind: 'PASS', promoted: CANONICAL } });
    proven = canonicalFiles();
    expect(await system.cli('resume', sweep.workflowId)).toMatchObject({ status: 0 });

    const { recipes } = await sweep.result();
    expect(recipes.map(({ outcome }) => outcome)).toEqual([
      `PASS (promoted ${CANONICAL})`,
      'SKIP never-released',
    ]);
    for (const one of [quick, sameAgain]) {
      await handleOf(one).result();
      expect((await resultOf(one))?.outcome).toEqual({ kind: 'PASS', promoted: null });
    }
    // Two of them, and then the sweep before the third.
    const third = await handleOf(withoutCanonical).result();
    const other = await client.workflow.getHandle(recipeRunId(sweep.workflowId, 'unreleased')).describe();
    const began = other.startTime.getTime();
    for (const one of [quick, sameAgain]) {
      const { ended } = (await resultOf(one)) as RecipeResult;
      expect(Date.parse(ended)).toBeLessThanOrEqual(began);
    }
    expect(await closedMs(handleOf(withoutCanonical))).toBeGreaterThan(await closedMs(sweep));

    const canonical = (await system.canonical(RECIPE))?.commit ?? '';
    const text = await answered(quick, '**PASS**');
    expect(text).toContain(`Quick lane of ${RECIPE} at ${short(bump.head)}.`);
    expect(text).toContain(`Base ${CANONICAL} (${short(canonical)}) → head ${BUMPED} (${short(bump.head)}).`);
    expect(text).toMatch(
      /\| install \| pass \| \d+ s \|.*\n\| upgrade \| pass \|.*\n\| backup \| skipped \|/,
    );
    expect(text).toContain('lower confidence');
    await expectStatus(bump, 'quick', 'success');
    await expectEvidence(text, quick);

    const [older] = (
      await execa('git', ['-C', system.upstreams.url(RECIPE), 'rev-parse', `${OLDER}^{commit}`])
    ).stdout.split('\n');
    const instead = await answered(sameAgain, '**PASS**');
    expect(instead).toContain(
      `Cold test of ${RECIPE} at ${short(same.head)}. The quick lane was asked for: the head's version is the canonical's, ${CANONICAL}.`,
    );
    expect(instead).toContain(
      `Base ${OLDER} (${short(older ?? '')}) → head ${CANONICAL} (${short(same.head)}).`,
    );
    await expectStatus(same, 'quick', 'success');

    expect(third.outcome).toMatchObject({ kind: 'FAIL', tier: 'upgrade' });
    const main = (await execa('git', ['-C', system.upstreams.url(UNPROVEN), 'rev-parse', 'main'])).stdout;
    const from = await answered(withoutCanonical, '**FAIL**');
    expect(from).toContain('there is no canonical whose data could be attached');
    expect(from).toContain(`Base ${TIP} (${short(main)}) → head ${BROKEN} (${short(unproven.head)}).`);
    await expectStatus(unproven, 'quick', 'failure');
    expect(await system.canonical(UNPROVEN)).toBeNull();
    expect(canonicalFiles()).toEqual(proven);
    await expectOnlyCanonicalData();
  },
);

/** The answer's link opens, and what is there is plain. */
async function expectEvidence(text: string, { id, pull }: Asked): Promise<void> {
  const url = /\[Evidence\]\(([^)]+)\)/.exec(text)?.[1] ?? '';
  expect(url).toBe(`${serveUrl}/runs/${id}/${pull.recipe}/`);
  // A listing of what is there so far, and then the report site's page of the run.
  await until(async () => (await (await fetch(url)).text()).includes('<span class="mark pass">PASS</span>'));
  const page = await fetch(url);
  expect([page.status, page.headers.get('content-security-policy')]).toEqual([
    200,
    expect.stringContaining("default-src 'none'"),
  ]);
  const file = await fetch(`${url}result.json`);
  expect([file.status, file.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  expect(parseDocument('result.json', await file.text())).toMatchObject({
    recipe: pull.recipe,
    asked: { by: 'test', id },
    outcome: { kind: 'PASS', promoted: null },
  });
}

test('a cold test starts from the canonical, and leaves nothing', async () => {
  const asked = await ask(bump, '!testme');
  const text = await answered(asked, '**PASS**');
  expect(text).toContain(`Cold test of ${RECIPE} at ${short(bump.head)}.\n`);
  expect(text).toContain(`Base ${CANONICAL}`);
  expect(text).toContain(`→ head ${BUMPED}`);
  expect(text).toMatch(/\| backup \| pass \|.*\n\| restore \| pass \|/);
  expect(text).not.toContain('lower confidence');
  await expectStatus(bump, 'cold', 'success');
  await handleOf(asked).result();
  expect(canonicalFiles()).toEqual(proven);
  await expectOnlyCanonicalData();
});

test('one that breaks is red, and a forge that is away delays the words alone', async () => {
  const asked = await ask(broken, '!testme');
  await until(async () => (await stepOf(asked))?.startsWith('cold-test: ') === true, ANSWER_MS);
  proxy.trouble = async () => ({ status: 500 });
  await until(async () => (await resultOf(asked)) !== null, ANSWER_MS);
  expect((await resultOf(asked))?.outcome).toMatchObject({
    kind: 'FAIL',
    tier: 'upgrade',
    version: BROKEN,
    canonical: CANONICAL,
  });
  const [before] = await answersTo(asked);
  expect(before?.body).not.toContain('FAIL');
  expect((await statusOf(broken, 'cold'))?.status).toBe('pending');
  proxy.trouble = calm;
  const text = await answered(asked, '**FAIL**');
  expect(text.split('cannot be pulled')).toHaveLength(2);
  await expectStatus(broken, 'cold', 'failure');
  await handleOf(asked).result();
  expect(canonicalFiles()).toEqual(proven);
  await expectOnlyCanonicalData();
});

test('a worker that is killed while it answers answers once, with the last word', async () => {
  strikes.arm('answer.after-comment');
  const asked = await ask(nameless, '!testme');
  for (const next of ['answer.after-status', null] as const) {
    await strikes.struck();
    await worker.ended;
    if (next !== null) strikes.arm(next);
    worker = await system.startWorker(STRUCK_WORKER);
  }
  const text = await answered(asked, '**FAIL**');
  expect(text).toContain('which is no x.y.z+app');
  await expectStatus(nameless, 'cold', 'failure');
  await handleOf(asked).result();
  expect(await answersTo(asked)).toHaveLength(1);
});

test('by hand the same is tested, and nobody is answered', async () => {
  const byHand = await system.cli('test', RECIPE, '--pr', `${nameless.number}`);
  expect(byHand.status).toBe(1);
  expect(byHand.stdout).toContain('x.y.z+app');
  const { status, stdout } = await system.cli('test', RECIPE, '--ref', bump.head, '--quick', '--json');
  expect(status).toBe(0);
  expect(parseDocument('test', stdout)).toMatchObject({
    recipe: RECIPE,
    outcome: { kind: 'PASS', promoted: null },
    tested: {
      mode: 'quick',
      pullRequest: null,
      head: { version: BUMPED, commit: bump.head },
      base: { version: CANONICAL },
    },
  });
  expect(canonicalFiles()).toEqual(proven);
  await expectOnlyCanonicalData();
});

test('what means nothing became nothing, and the token is nowhere', async () => {
  expect(meaningless).toHaveLength(5);
  for (const comment of meaningless) {
    const asked = { pull: broken, comment, id: commentTestWorkflowId(system.host, RECIPE, comment) };
    await expect(handleOf(asked).describe()).rejects.toThrow('not found');
    expect(await answersTo(asked)).toEqual([]);
  }
  for (const at of ['temporal.db', 'worker-1.log', 'serve-1.log']) {
    expect(readFileSync(path.join(system.folder, at)).includes(forge.bot.token)).toBe(false);
  }
});
