import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { answers } from '../../domain/test-request.ts';
import { startForge, type ForgeFixture, type Person } from '../../fixtures/forge.ts';
import { createForge } from '../../forge/gitea.ts';
import type { Comment, Forge } from '../../forge/forge.ts';
import { readConfig } from '../../host/config/config.ts';
import { runServe } from '../../serve/main.ts';
import { commentTestWorkflowId } from '../../workflows/protocol.ts';
import { HOST, startWorkflowServer, type WorkflowServer } from '../workflow/server.ts';

/** The bridge between a real Gitea, whose webhooks come to it, and a real Temporal server, which nobody works for. */

const MIRROR = { owner: 'mirrors', name: 'custom-html' };
const SECRET = randomBytes(16).toString('hex');

let folder: string;
let gitea: ForgeFixture;
let server: WorkflowServer;
let port: number;
let bot: Forge;
let [writer, member, reader, stranger]: Person[] = [];
let stop: AbortController | null = null;
let ended = Promise.resolve();

const given = (person: Person | undefined): Person => {
  if (person === undefined) throw new Error('nobody');
  return person;
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'serve-e2e-'));
  [gitea, server, port] = await Promise.all([
    startForge(),
    startWorkflowServer(inject('temporal')),
    getPort(),
  ]);
  const { url, bot: account } = gitea;
  const tokenFile = path.join(folder, 'token');
  await writeFile(tokenFile, account.token);
  await writeFile(path.join(folder, 'webhook-secret'), `${SECRET}\n`);
  const recipe = path.join(folder, 'recipes', 'custom-html');
  await mkdir(recipe, { recursive: true });
  await writeFile(path.join(recipe, 'recipe.yml'), 'upstream: https://git.example.org/custom-html.git\n');
  await writeFile(
    path.join(folder, 'recipe-sweep.yml'),
    JSON.stringify({
      host: HOST,
      zone: 'ci.example.org',
      state: 'state',
      recipes: 'recipes',
      mirrors: `${url}/mirrors/{recipe}.git`,
      forge: { url, tokenFile },
      serve: { listen: `127.0.0.1:${port}`, webhookSecretFile: 'webhook-secret' },
      temporal: { address: server.address },
    }),
  );
  bot = createForge({ url, token: account.token, tokenFile, signal: new AbortController().signal });
  await bot.ensureRepository(MIRROR);
  await gitea.api(gitea.admin, 'POST', 'repos/mirrors/custom-html/contents/compose.yml', {
    content: Buffer.from('services: {}\n').toString('base64'),
    message: 'one',
    branch: 'main',
  });
  [writer, member, reader, stranger] = await Promise.all(
    ['anna', 'berta', 'carla', 'mallory'].map((login) => gitea.addPerson(login)),
  );
  await gitea.letIn(given(writer), MIRROR, 'write');
  await gitea.letIn(given(reader), MIRROR, 'read');
  await gitea.addTeam('maintainers', [given(member)]);
  await gitea.webhook(`http://127.0.0.1:${port}/webhook`, SECRET);
});

afterEach(stopServe);
afterAll(async () => {
  await gitea.stop();
  await server.close();
  await rm(folder, { recursive: true });
});

async function startServe(): Promise<void> {
  const config = await readConfig(path.join(folder, 'recipe-sweep.yml'));
  const { signal } = (stop = new AbortController());
  await new Promise((resolve, reject) => {
    ended = runServe(config, { signal, logFile: path.join(folder, 'log'), onReady: resolve });
    ended.catch(reject);
  });
}

async function stopServe(): Promise<void> {
  stop?.abort();
  await ended;
}

let branches = 0;
async function openPullRequest(): Promise<{ number: number; branch: string; head: string }> {
  const branch = `change-${++branches}`;
  const place = { repository: MIRROR, name: branch };
  const head = await gitea.push(given(writer), place, { 'compose.yml': `# ${branch}\nservices: {}\n` });
  return { number: await gitea.openPullRequest(given(writer), place), branch, head };
}

const say = (by: Person | undefined, pull: number, text: string): Promise<number> =>
  gitea.comment(given(by), MIRROR, pull, text);

const described = (comment: number) =>
  server.client.workflow.getHandle(commentTestWorkflowId(HOST, 'custom-html', comment)).describe();
const started = (comment: number) => vi.waitFor(() => described(comment), { timeout: 60_000, interval: 200 });

async function inputOf(comment: number): Promise<unknown> {
  const id = commentTestWorkflowId(HOST, 'custom-html', comment);
  const { events } = await server.client.workflow.getHandle(id).fetchHistory();
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return JSON.parse(Buffer.from(payload?.data ?? []).toString()) as unknown;
}

const said = async (): Promise<{ msg: string; comment?: number; became?: string; why?: string }[]> =>
  (await readFile(path.join(folder, 'log'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string });

/** What the log says became of it. */
const fateOf = (comment: number) =>
  vi.waitFor(
    async () => {
      const line = (await said()).find((one) => one.comment === comment);
      if (line === undefined) throw new Error(`nothing of ${comment}`);
      return [line.became, line.why];
    },
    { timeout: 60_000, interval: 200 },
  );

describe('a comment on a real forge', () => {
  test('by who may write becomes a test of the head, one', async () => {
    await startServe();
    const { number, head } = await openPullRequest();
    const [one, two] = [await say(writer, number, '!testme'), await say(member, number, '!testme --quick\n')];
    expect([await fateOf(one), await fateOf(two)]).toEqual([
      ['a test', undefined],
      ['a test', undefined],
    ]);
    expect(await inputOf(one)).toMatchObject({
      recipe: 'custom-html',
      pr: number,
      ref: head,
      quick: false,
      request: { comment: one, by: 'anna' },
    });
    expect(await inputOf(two)).toMatchObject({ ref: head, quick: true, request: { by: 'berta' } });
    await stopServe();
    // Its first look finds both again.
    await startServe();
    await sleep(2_000);
    expect((await said()).filter(({ became }) => became === 'a test')).toHaveLength(2);
  });

  test('by others becomes nothing', async () => {
    await startServe();
    const { number } = await openPullRequest();
    const comment = await say(reader, number, '!testme');
    expect(await fateOf(comment)).toEqual(['nothing', 'its author may not write there']);
    await expect(say(stranger, number, '!testme')).rejects.toThrow('404');
    await expect(described(comment)).rejects.toThrow('not found');
  });

  test('that is edited to ask becomes nothing, also for a look', async () => {
    await startServe();
    const { number } = await openPullRequest();
    const comment = await say(writer, number, 'looks good');
    await sleep(1_500);
    await gitea.api(given(writer), 'PATCH', `repos/mirrors/custom-html/issues/comments/${comment}`, {
      body: '!testme',
    });
    await stopServe();
    await startServe();
    expect(await fateOf(comment)).toEqual(['nothing', 'the comment was edited']);
    await expect(described(comment)).rejects.toThrow('not found');
  });

  test('that was made while nobody listened is found', async () => {
    const { number } = await openPullRequest();
    const comment = await say(writer, number, '!testme');
    await startServe();
    await started(comment);
  });

  test('of which the head was pushed to meanwhile is answered once', async () => {
    const { number, branch } = await openPullRequest();
    await sleep(1_500);
    const comment = await say(writer, number, '!testme');
    await sleep(1_500);
    await gitea.push(given(writer), { repository: MIRROR, name: branch }, { 'compose.yml': '# again\n' });
    await vi.waitFor(async () => {
      const { created } = (await bot.comment(MIRROR, comment)) as Comment;
      expect(await bot.pushedSince(MIRROR, number, new Date(created))).toBe(true);
    }, 60_000);
    await startServe();
    expect(await fateOf(comment)).toEqual(['an answer', 'the head was pushed to since the comment']);
    await stopServe();
    await rm(path.join(folder, 'state', 'serve'), { recursive: true });
    await startServe();
    await sleep(3_000);
    const ours = (await bot.commentsOf(MIRROR, number, 50)).filter(
      ({ author, body }: Comment) => author === gitea.bot.login && answers(body, comment),
    );
    expect(ours).toHaveLength(1);
    await expect(described(comment)).rejects.toThrow('not found');
  });
});
