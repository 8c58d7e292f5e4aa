import { createHmac } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createRelay, type AddressInfo, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../../host/config/config.ts';
import { runServe } from '../../serve/main.ts';
import { openTemporal, type Temporal } from '../../serve/temporal.ts';
import { commentTestWorkflowId, TEST_WORKFLOW } from '../../workflows/protocol.ts';
import { openWorkflowServer } from './open-server.ts';
import { HOST } from './server.ts';

/** `serve` between a real Temporal server, which is away at times, and a stand-in of a forge's API. */

const HEAD = 'c0ffee'.padEnd(40, '0');
const SECRET = 'sesame';
const CREATED = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000).toISOString();

const server = await openWorkflowServer();
/** The way to the Temporal server, which can be cut. */
let relay: { port: number; isCut: boolean; close(): void };

beforeAll(async () => {
  relay = await relayTo(server.address);
});
afterAll(() => relay.close());

async function relayTo(address: string): Promise<typeof relay> {
  const [host = '', port = ''] = address.split(':');
  const open = new Set<Socket>();
  const listener = createRelay((socket) => {
    if (cut) return void socket.destroy();
    const behind = connect(Number(port), host);
    socket.pipe(behind).pipe(socket);
    for (const end of [socket, behind]) {
      open.add(end);
      end.on('error', () => undefined).on('close', () => [socket, behind].map((one) => one.destroy()));
    }
    return undefined;
  });
  let cut = false;
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    get isCut() {
      return cut;
    },
    set isCut(wanted) {
      cut = wanted;
      if (cut) for (const socket of open) socket.destroy();
    },
    close() {
      for (const socket of open) socket.destroy();
      listener.close();
    },
  };
}

afterEach(() => {
  relay.isCut = false;
});

const temporalAt = (port: number): Promise<Temporal> =>
  openTemporal({
    host: HOST,
    temporal: { address: `127.0.0.1:${port}`, namespace: 'default', ui: 'http://127.0.0.1:8233' },
  });

describe('the Temporal server', () => {
  const input = { recipe: 'gitea', pr: 7, ref: HEAD, request: { comment: 1, by: 'anna', at: CREATED } };

  test('starts one test of an ID, also after that one has ended', async () => {
    const temporal = await temporalAt(relay.port);
    const id = commentTestWorkflowId(HOST, 'gitea', 1);
    expect(await temporal.isThere(id)).toBe(false);
    expect(await temporal.start(id, input)).toBe(true);
    expect(await temporal.start(id, input)).toBe(false);
    expect(await temporal.isThere(id)).toBe(true);
    await server.client.workflow.getHandle(id).terminate();
    expect(await temporal.start(id, input)).toBe(false);
    expect(await temporal.isThere(id)).toBe(true);
    await temporal.close();
  });

  test('may be away, and come back', async () => {
    relay.isCut = true;
    const temporal = await temporalAt(relay.port);
    await expect(temporal.look()).rejects.toMatchObject({ name: 'Fault', type: 'Network' });
    await expect(temporal.isThere('x')).rejects.toMatchObject({ type: 'Network' });
    await expect(temporal.start('x', input)).rejects.toMatchObject({ type: 'Network' });
    relay.isCut = false;
    await vi.waitFor(() => temporal.look(), { timeout: 30_000, interval: 500 });
    expect(await temporal.isThere('x')).toBe(false);
    await temporal.close();
  });
});

describe('serve', () => {
  let folder: string;
  let forge: Server;
  /** What the forge answers, by its path below /api/v1/. */
  let answers: Record<string, unknown>;
  let stop: AbortController;
  let ended: Promise<void>;
  let url: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'serve-'));
    answers = { user: { login: 'recipe-sweep' } };
    forge = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '', 'http://forge');
      const answer = answers[pathname.slice('/api/v1/'.length)];
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? { message: 'not found' }));
    });
    await new Promise<void>((resolve) => forge.listen(0, '127.0.0.1', resolve));
    const { port } = forge.address() as AddressInfo;
    await writeFile(path.join(folder, 'token'), 'secret-token\n');
    await writeFile(path.join(folder, 'webhook-secret'), `${SECRET}\n`);
    await mkdir(path.join(folder, 'recipes', 'gitea'), { recursive: true });
    await writeFile(
      path.join(folder, 'recipes', 'gitea', 'recipe.yml'),
      'upstream: https://git.example.org/gitea.git\n',
    );
    await writeFile(
      path.join(folder, 'recipe-sweep.yml'),
      JSON.stringify({
        host: HOST,
        zone: 'ci.example.org',
        state: 'state',
        recipes: 'recipes',
        mirrors: `http://127.0.0.1:${port}/mirrors/{recipe}.git`,
        forge: { url: `http://127.0.0.1:${port}`, tokenFile: 'token' },
        serve: { listen: '127.0.0.1:0', webhookSecretFile: 'webhook-secret' },
        temporal: { address: `127.0.0.1:${relay.port}` },
      }),
    );
  });
  afterEach(async () => {
    forge.closeAllConnections();
    await new Promise((resolve) => forge.close(resolve));
    await rm(folder, { recursive: true });
  });

  async function start(): Promise<void> {
    const config = await readConfig(path.join(folder, 'recipe-sweep.yml'));
    stop = new AbortController();
    url = await new Promise((resolve, reject) => {
      ended = runServe(config, {
        signal: stop.signal,
        logFile: path.join(folder, 'log'),
        onReady: (address) => resolve(`http://${address}`),
      });
      ended.catch(reject);
    });
  }

  /** A comment that the forge has. */
  function write(id: number, author: string): object {
    const comment = {
      id,
      user: { login: author },
      body: '!testme --quick',
      created_at: CREATED,
      updated_at: CREATED,
      html_url: `http://forge/mirrors/gitea/pulls/7#issuecomment-${id}`,
      pull_request_url: 'http://forge/mirrors/gitea/pulls/7',
    };
    Object.assign(answers, {
      [`repos/mirrors/gitea/issues/comments/${id}`]: comment,
      [`repos/mirrors/gitea/collaborators/${author}/permission`]: { permission: 'write' },
      'repos/mirrors/gitea/issues/7/timeline': [],
      'repos/mirrors/gitea/pulls/7': {
        number: 7,
        title: 'Update',
        state: 'open',
        html_url: 'http://forge/mirrors/gitea/pulls/7',
        head: { label: 'update', sha: HEAD, repo_id: 1 },
        base: { ref: 'main', repo_id: 1 },
      },
    });
    return comment;
  }

  async function deliver(id: number): Promise<number> {
    const body = JSON.stringify({
      action: 'created',
      is_pull: true,
      comment: { id, body: '!testme --quick' },
      repository: { full_name: 'mirrors/gitea' },
    });
    const { status } = await fetch(`${url}/webhook`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-gitea-event': 'issue_comment',
        'x-gitea-signature': createHmac('sha256', SECRET).update(body).digest('hex'),
      },
      body,
    });
    return status;
  }

  async function logged(): Promise<Record<string, unknown>[]> {
    const lines = (await readFile(path.join(folder, 'log'), 'utf8')).trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  const started = (id: number) =>
    server.client.workflow.getHandle(commentTestWorkflowId(HOST, 'gitea', id)).describe();

  test('starts the test that a delivery asks for, and one that nobody told of', async () => {
    answers['repos/mirrors/gitea/issues/comments'] = [write(21, 'anna')];
    await start();
    await vi.waitFor(() => started(21), 30_000);
    write(22, 'anna');
    // 202 where the machine is slow.
    expect([200, 202]).toContain(await deliver(22));
    expect([200, 202]).toContain(await deliver(22));
    await vi.waitFor(async () => expect(await logged()).toHaveLength(4), 30_000);
    expect((await started(22)).type).toBe(TEST_WORKFLOW);
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { ok: true, temporal: 'ok', forge: 'ok' }]);
    stop.abort();
    await ended;
    expect(await readFile(path.join(folder, 'log'), 'utf8')).not.toMatch(/sesame|secret-token/);
    expect(
      (await logged()).map(({ msg, became }) => [msg, ...(became === undefined ? [] : [became])]),
    ).toEqual([
      ['serve listens'],
      ['comment', 'a test'],
      ['comment', 'a test'],
      ['comment', 'the same test'],
      ['serve ends'],
    ]);
  });

  test('says so where neither answers, and starts nothing', async () => {
    relay.isCut = true;
    write(31, 'anna');
    await start();
    // 202 where the machine is slow: it finds out afterwards.
    expect([202, 503]).toContain(await deliver(31));
    await vi.waitFor(
      async () => expect((await logged()).map(({ msg }) => msg)).toContain('comment was not looked at'),
      20_000,
    );
    await expect(started(31)).rejects.toThrow(WorkflowNotFoundError);
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([
      503,
      { ok: false, temporal: 'does not answer', forge: 'ok' },
    ]);
    stop.abort();
    await ended;
  });

  test.each([
    [{ serve: {} }, 'serve.webhookSecretFile: not set'],
    [
      { serve: { webhookSecretFile: 'missing' } },
      /serve\.webhookSecretFile: ENOENT.*docs\/pull-requests\.md says how/,
    ],
    [
      { serve: { webhookSecretFile: 'webhook-secret', listen: '192.0.2.1:8080' } },
      'serve.listen: 192.0.2.1:8080: not an address of this host',
    ],
  ])('does not start with %j, and says why', async (change, why) => {
    const file = path.join(folder, 'recipe-sweep.yml');
    const config = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...config, ...change }));
    await expect(start()).rejects.toThrow(why);
  });
});
