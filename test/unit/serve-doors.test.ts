import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { request as ask, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { createDeliveries } from '../../serve/deliveries.ts';
import { createHealth, type Health } from '../../serve/health.ts';
import type { Became } from '../../serve/requests.ts';
import { createDoors, LIMITS, listen } from '../../serve/server.ts';
import { MOST_BYTES, type Hint } from '../../serve/webhook.ts';

/** The doors of `serve`, on a real port, and who knocks. */

const timingSafe = vi.hoisted(() => ({ calls: 0 }));
vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>();
  return {
    ...real,
    timingSafeEqual(a: NodeJS.ArrayBufferView, b: NodeJS.ArrayBufferView) {
      timingSafe.calls += 1;
      return real.timingSafeEqual(a, b);
    },
  };
});

const SECRET = 'a secret with a £ sign';
const FORGED = Buffer.from([0xff, 0xfe, 0x00, 0x80]);

let state: string;
let port: number;
let close: () => Promise<void>;
let lines: { level: string; message: string; [key: string]: unknown }[];
let hints: Hint[];
let became: (hint: Hint) => Promise<Became>;
let health: Health;
let left: number;

const limits = { ...LIMITS, headMs: 400, bodyMs: 300, idleMs: 1_000, answerMs: 1_500, takenMs: 200 };

beforeEach(async () => {
  state = await mkdtemp(path.join(os.tmpdir(), 'serve-'));
  [lines, hints, left] = [[], [], 0];
  health = { ok: true, temporal: 'ok', forge: 'ok' };
  became = async () => ({ became: 'a test', recipe: 'gitea', test: 'test-1' });
  const note = (level: string) => (about: object, message: string) =>
    void lines.push({ ...about, level, message });
  const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  const deliveries = createDeliveries({
    most: 3,
    async consider(hint) {
      hints.push(hint);
      return became(hint);
    },
    onLeft: () => void (left += 1),
    log,
  });
  const doors = createDoors({
    webhook: { secret: SECRET, deliveries },
    health: async () => health,
    metrics: async () => 'recipe_sweep_build_info 1\n',
    evidence: { state, host: 'ci-1' },
    log,
    limits,
  });
  const open = await listen(doors, '127.0.0.1:0', { limits, log });
  port = Number(open.address.split(':')[1]);
  close = open.close;
});

afterEach(async () => {
  await close();
  await rm(state, { recursive: true });
});

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** Sends what it is told as it is: no client of ours tidies a path. */
async function send(
  method: string,
  target: string,
  headers: OutgoingHttpHeaders = {},
  body: Buffer | string = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = ask({ host: '127.0.0.1', port, method, path: target, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const signatureOf = (body: Buffer | string): string =>
  createHmac('sha256', SECRET).update(body).digest('hex');

const comment = (more: object = {}): string =>
  JSON.stringify({
    action: 'created',
    is_pull: true,
    comment: { id: 12, body: '!testme' },
    repository: { full_name: 'mirrors/gitea' },
    ...more,
  });

const signed = (body: Buffer | string, more: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({
  'content-type': 'application/json',
  'x-gitea-event': 'issue_comment',
  'x-gitea-signature': signatureOf(body),
  ...more,
});

const deliver = (body: Buffer | string = comment(), more: OutgoingHttpHeaders = {}): Promise<Answer> =>
  send('POST', '/webhook', signed(body, more), body);

const HINT: Hint = { repository: { owner: 'mirrors', name: 'gitea' }, comment: 12 };

describe('the webhook', () => {
  test('takes what is signed, and says what became of it', async () => {
    const { status, body, headers } = await deliver();
    expect([status, JSON.parse(body.toString())]).toEqual([
      200,
      { became: 'a test', recipe: 'gitea', test: 'test-1' },
    ]);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(hints).toEqual([HINT]);
    expect(lines).toMatchObject([{ level: 'info', repository: 'mirrors/gitea', comment: 12 }]);
  });

  test('knows a comment under a pull request by either name', async () => {
    await deliver(comment({ is_pull: undefined }), { 'x-gitea-event': 'pull_request_comment' });
    expect(hints).toEqual([HINT]);
  });

  test.each<[string, object, string]>([
    ['an edit', { action: 'edited' }, 'issue_comment'],
    ['a deletion', { action: 'deleted' }, 'issue_comment'],
    ['a comment under an issue', { is_pull: false }, 'issue_comment'],
    ['a comment of which nobody says where', { is_pull: undefined }, 'issue_comment'],
    ['another text', { comment: { id: 12, body: 'looks good' } }, 'issue_comment'],
    ['a push', {}, 'push'],
    ['a review', { action: 'reviewed' }, 'pull_request_comment'],
    ['an event without a name', {}, ''],
    ['an ID that is none', { comment: { id: '12/../../x', body: '!testme' } }, 'issue_comment'],
    ['a repository that is none', { repository: { full_name: 'a/b/c' } }, 'issue_comment'],
    ['a repository of strange names', { repository: { full_name: '../%2e' } }, 'issue_comment'],
    ['none of it', { comment: null }, 'issue_comment'],
  ])('has nothing to do for %s', async (_what, more, event) => {
    expect((await deliver(comment(more), { 'x-gitea-event': event })).status).toBe(200);
    expect(hints).toEqual([]);
  });

  test('checks the signature over the bytes, whatever they mean', async () => {
    const body = Buffer.concat([Buffer.from(comment()), FORGED]);
    expect((await deliver(body)).status).toBe(400);
    // What would be the same once it was decoded is not.
    const decoded = Buffer.from(body.toString('utf8'));
    expect(decoded.equals(body)).toBe(false);
    expect((await send('POST', '/webhook', signed(decoded), body)).status).toBe(403);
  });

  test('compares in constant time', async () => {
    const before = timingSafe.calls;
    await deliver();
    await send('POST', '/webhook', signed('something else'), comment());
    expect(timingSafe.calls - before).toBe(2);
  });

  test.each<[string, string]>([
    ['of another body', signatureOf('{}')],
    ['by another secret', createHmac('sha256', 'guessed').update(comment()).digest('hex')],
    ['that is empty', ''],
    ['that is cut', signatureOf(comment()).slice(0, 63)],
    ['that is too long', `${signatureOf(comment())}00`],
    ['with its kind before it', `sha256=${signatureOf(comment())}`],
    ['of no hex digits', 'z'.repeat(64)],
  ])('refuses a signature %s', async (_what, signature) => {
    const { status } = await send(
      'POST',
      '/webhook',
      { ...signed(''), 'x-gitea-signature': signature },
      comment(),
    );
    expect(status).toBe(403);
    expect(hints).toEqual([]);
  });

  test.each<[number, string, string, OutgoingHttpHeaders]>([
    [405, 'GET', '/webhook', {}],
    [405, 'PUT', '/webhook', {}],
    [405, 'DELETE', '/healthz', {}],
    [405, 'POST', '/metrics', {}],
    [405, 'POST', '/runs/a/b/', {}],
    [404, 'POST', '/', {}],
    [404, 'POST', '/webhook/', {}],
    [404, 'POST', '/hook', {}],
    [404, 'GET', '/runs', {}],
    [415, 'POST', '/webhook', { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, 'POST', '/webhook', { 'content-type': 'application/jsonp' }],
    [415, 'POST', '/webhook', { 'content-type': undefined }],
    [401, 'POST', '/webhook', { 'x-gitea-signature': undefined }],
  ])('answers %i to %s %s %j, in one line of the log', async (status, method, target, headers) => {
    const body = method === 'POST' ? 'SECRET-BODY' : '';
    const given = Object.fromEntries(
      Object.entries(signed(body, headers)).filter(([, value]) => value !== undefined),
    );
    const answer = await send(method, target, given, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.allow).toBe(
      status !== 405 ? undefined : target === '/webhook' ? 'POST' : 'GET, HEAD',
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'warn', status, method });
    expect(JSON.stringify(lines)).not.toContain('SECRET-BODY');
    expect(hints).toEqual([]);
  });

  test('shows what a path says so that it can be shown', async () => {
    await send('GET', '/%1b[31m%0a%e2%80%aex', {});
    expect(lines).toHaveLength(1);
    expect(String(lines[0]?.['path'])).toMatch(/^[\x20-\x7e]+$/);
  });

  test('refuses a body that says it is too big, and one that does not', async () => {
    expect((await deliver(randomBytes(MOST_BYTES + 1))).status).toBe(413);
    const body = Buffer.alloc(MOST_BYTES + 1);
    const { status } = await send('POST', '/webhook', signed(body, { 'transfer-encoding': 'chunked' }), body);
    expect(status).toBe(413);
    expect(lines.map(({ status }) => status)).toEqual([413, 413]);
  });

  test('takes one that is just not too big', async () => {
    const body = comment({ padding: '' });
    const whole = comment({ padding: 'x'.repeat(MOST_BYTES - body.length) });
    expect(whole).toHaveLength(MOST_BYTES);
    expect((await deliver(whole)).status).toBe(200);
  });

  /** Writes this, and then more of it every so often; answers what came back until the connection was ended. */
  async function drip(first: string, more: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      let came = '';
      socket.on('data', (chunk: Buffer) => void (came += chunk.toString()));
      socket.on('error', () => undefined);
      socket.write(first);
      const dripping = setInterval(() => socket.write(more), 20);
      socket.on('close', () => {
        clearInterval(dripping);
        resolve(came);
      });
    });
  }
  const HEAD = [
    'POST /webhook HTTP/1.1',
    'Host: x',
    'Content-Type: application/json',
    'X-Gitea-Signature: aa',
  ].join('\r\n');

  test('ends a body that does not come to its end', async () => {
    expect(await drip(`${HEAD}\r\nContent-Length: 1000\r\n\r\n`, '.')).toContain('408 Request Timeout');
    expect(lines).toMatchObject([{ level: 'warn', status: 408 }]);
  });

  test('ends a body that has no end', async () => {
    const kilobytes = 'x'.repeat(65_536);
    const came = await drip(`${HEAD}\r\nTransfer-Encoding: chunked\r\n\r\n`, `10000\r\n${kilobytes}\r\n`);
    expect(came).toMatch(/ (?:408|413) /);
    expect(lines).toHaveLength(1);
  });

  test('ends a body that nobody reads', async () => {
    await drip('POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n', '.');
    await drip('GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n', '.');
  });

  test('ends a head that does not come to its end', async () => {
    expect(await drip('POST /webhook HTTP/1.1\r\n', 'X: y\r\n')).toContain('408 Request Timeout');
    expect(lines).toMatchObject([{ level: 'warn', status: 408, message: 'no request' }]);
  });

  test('ends who says nothing', async () => {
    await new Promise((resolve) =>
      connect(port, '127.0.0.1')
        .on('close', resolve)
        .on('error', () => undefined)
        .resume(),
    );
  });

  test('refuses what is no HTTP', async () => {
    expect(await drip('EHLO mallory\r\n\r\n', '')).toContain('400 Bad Request');
    expect(lines).toMatchObject([{ level: 'warn', status: 400 }]);
  });

  test('says that it took what is not looked at in time', async () => {
    became = async () => {
      await sleep(2 * limits.takenMs);
      return { became: 'nothing', why: 'late' };
    };
    expect((await deliver()).status).toBe(202);
    await vi.waitFor(() => expect(lines).toMatchObject([{ why: 'late' }]));
  });

  test.each([new Fault('Network', 'the Temporal server'), new Fault('BadConfig', 'the token')])(
    'says so where it cannot be looked at, and has it looked at later: %s',
    async (fault) => {
      became = () => Promise.reject(fault);
      const { status, body } = await deliver();
      expect([status, body.toString()]).toEqual([503, 'this could not be looked at now, and will be\n']);
      expect(left).toBe(1);
      expect(lines).toMatchObject([{ level: 'warn', type: fault.type }]);
    },
  );

  test('takes no more than so many at a time, each in its turn', async () => {
    let [open, most] = [0, 0];
    let finish = (): void => undefined;
    const gate = new Promise<void>((resolve) => (finish = resolve));
    became = async () => {
      most = Math.max(most, ++open);
      await gate;
      open -= 1;
      return { became: 'nothing', why: 'a flood' };
    };
    const flood = await Promise.all(Array.from({ length: 20 }, () => deliver()));
    expect(flood.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      ...Array<number>(3).fill(202),
      ...Array<number>(17).fill(503),
    ]);
    finish();
    await vi.waitFor(() => expect(hints).toHaveLength(3));
    expect(most).toBe(1);
    became = async () => ({ became: 'nothing', why: 'later' });
    await vi.waitFor(async () => expect((await deliver()).status).toBe(200));
  });

  test('leaves those behind one that could not be looked at', async () => {
    let fail = (): void => undefined;
    const failed = new Promise<void>((resolve) => (fail = resolve));
    became = async () => {
      await failed;
      throw new Fault('Forge', 'away');
    };
    const waiting = [deliver(), deliver(), deliver()];
    await vi.waitFor(() => expect(hints).toHaveLength(1));
    await sleep(50);
    fail();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([503, 503, 503]);
    // The first alone was asked about.
    expect(hints).toHaveLength(1);
    became = async () => ({ became: 'nothing', why: 'it is back' });
    expect((await deliver()).status).toBe(200);
  });
});

test('metrics are text of Prometheus', async () => {
  const { status, headers, body } = await send('GET', '/metrics');
  expect([status, headers['content-type'], body.toString()]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    'recipe_sweep_build_info 1\n',
  ]);
  const head = await send('HEAD', '/metrics');
  expect([head.status, head.body.length]).toEqual([200, 0]);
});

describe('health', () => {
  test('is told as it is', async () => {
    const well = await send('GET', '/healthz');
    expect([well.status, JSON.parse(well.body.toString())]).toEqual([200, health]);
    health = { ok: false, temporal: 'does not answer', forge: 'ok' };
    const ill = await send('GET', '/healthz');
    expect([ill.status, JSON.parse(ill.body.toString())]).toEqual([503, health]);
    const head = await send('HEAD', '/healthz');
    expect([head.status, head.body.length]).toEqual([503, 0]);
  });

  test('is in our own words, and asked for no more often than this', async () => {
    let [asked, nowMs] = [0, 0];
    let trouble: Error | null = null;
    const look = createHealth(
      {
        temporal: async () => {
          asked += 1;
          if (trouble) throw trouble;
        },
        forge: async () => 'recipe-sweep',
      },
      5_000,
      () => nowMs,
    );
    expect(await Promise.all([look(), look()])).toEqual([
      { ok: true, temporal: 'ok', forge: 'ok' },
      { ok: true, temporal: 'ok', forge: 'ok' },
    ]);
    expect(asked).toBe(1);
    trouble = new Fault('Network', 'connect ECONNREFUSED 10.0.0.3:7233');
    nowMs = 4_999;
    expect(await look()).toMatchObject({ ok: true });
    nowMs = 5_000;
    expect(await look()).toEqual({ ok: false, temporal: 'does not answer', forge: 'ok' });
    trouble = new Fault('BadConfig', 'token 1234');
    nowMs = 10_000;
    expect(await look()).toEqual({ ok: false, temporal: 'does not let us in', forge: 'ok' });
  });
});

describe('evidence', () => {
  const TEST_RUN = 'test-ci-1-gitea-comment-12';
  const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex');
  const HOSTILE = '<script>alert(1)</script>';

  async function put(file: string, content: string | Buffer): Promise<void> {
    const place = path.join(state, 'runs', file);
    await mkdir(path.dirname(place), { recursive: true });
    await writeFile(place, content);
  }

  beforeEach(async () => {
    await put(`${TEST_RUN}/gitea/result.json`, JSON.stringify({ asked: { by: 'test', id: TEST_RUN } }));
    await put(`${TEST_RUN}/gitea/install/app.log`, 'it came up\n');
    await put(`${TEST_RUN}/gitea/install/page.html`, HOSTILE);
    await put(`${TEST_RUN}/gitea/install/page.png`, PNG);
    await put(`${TEST_RUN}/gitea/install/not.png`, HOSTILE);
    await put(`${TEST_RUN}/gitea/install/picture.svg`, `<svg onload="${HOSTILE}"/>`);
    await put(`${TEST_RUN}/gitea/install/bytes`, Buffer.from([1, 0, 2]));
    await put(`${TEST_RUN}/gitea/install/latin`, Buffer.from([0xe9, 0x20, 0x41]));
    await put(`${TEST_RUN}/gitea/install/empty`, '');
    await put(`${TEST_RUN}/gitea/install/<img src=x onerror=alert(1)>&"'#?%`, 'x');
    await put('sweep-ci-1/gitea/result.json', JSON.stringify({ asked: { by: 'sweep', id: 'sweep-ci-1' } }));
    await put('sweep-ci-1/gitea/install/app.log', 'of a sweep');
    await put('outside.log', 'outside');
    await writeFile(path.join(state, 'secret'), 'secret');
  });

  const RUN = `/runs/${TEST_RUN}/gitea`;

  test.each([
    ['app.log', 'text/plain; charset=utf-8'],
    ['page.html', 'text/plain; charset=utf-8'],
    ['picture.svg', 'text/plain; charset=utf-8'],
    ['not.png', 'text/plain; charset=utf-8'],
    ['page.png', 'image/png'],
    ['bytes', 'application/octet-stream'],
    ['latin', 'application/octet-stream'],
    ['empty', 'text/plain; charset=utf-8'],
  ])('%s is shown as %s, and as nothing else', async (name, type) => {
    const { status, headers, body } = await send('GET', `${RUN}/install/${name}`);
    expect([status, headers['content-type']]).toEqual([200, type]);
    expect(headers['content-length']).toBe(String(body.length));
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['content-security-policy']).toMatch(/default-src 'none'.*sandbox/);
    expect(headers['content-disposition']).toBe(type.endsWith('stream') ? 'attachment' : undefined);
    const head = await send('HEAD', `${RUN}/install/${name}`);
    expect([head.status, head.headers['content-type'], head.body.length]).toEqual([200, type, 0]);
    expect(head.headers['content-length']).toBe(String(body.length));
  });

  test('a folder is a page of links, in which names are text', async () => {
    const { status, headers, body } = await send('GET', `${RUN}/install/`);
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=UTF-8']);
    expect(headers['content-security-policy']).toMatch(/default-src 'none'.*sandbox/);
    const page = body.toString();
    expect(page).toContain('<a href="./app.log">app.log</a> (11 bytes)');
    expect(page).not.toMatch(/<img|<script/);
    const [, link = ''] = /href="\.\/(%3Cimg[^"]*)"/.exec(page) ?? [];
    const name = link.replaceAll('&#39;', "'");
    expect((await send('GET', `${RUN}/install/${name}`)).body.toString()).toBe('x');
    expect((await send('GET', `${RUN}/`)).body.toString()).toContain('<a href="./install/">install/</a>');
  });

  test('a folder without its slash is asked for with it', async () => {
    for (const target of [RUN, `${RUN}/install`]) {
      const { status, headers } = await send('GET', target);
      expect([status, headers.location]).toEqual([308, `${target}/`]);
    }
  });

  test('what runs has no result yet, and is known by its name', async () => {
    await put('test-ci-1-gitea-comment-13/gitea/install/app.log', 'under way');
    await put('test-ci-10-gitea-comment-13/gitea/install/app.log', "another host's");
    const target = (name: string): string => `/runs/${name}/gitea/install/app.log`;
    expect((await send('GET', target('test-ci-1-gitea-comment-13'))).body.toString()).toBe('under way');
    expect((await send('GET', target('test-ci-10-gitea-comment-13'))).status).toBe(404);
  });

  test('what has a name of its own is known by its result', async () => {
    await put('mine%2Fown/gitea/result.json', JSON.stringify({ asked: { by: 'test', id: 'mine/own' } }));
    expect((await send('GET', '/runs/mine%252Fown/gitea/result.json')).status).toBe(200);
    expect((await send('GET', '/runs/mine%2Fown/gitea/result.json')).status).toBe(404);
  });

  test.each([
    '/runs/',
    `/runs/${TEST_RUN}`,
    `/runs/${TEST_RUN}/`,
    '/runs/outside.log',
    '/runs/sweep-ci-1/gitea/',
    '/runs/sweep-ci-1/gitea/result.json',
    '/runs/sweep-ci-1/gitea/install/app.log',
    `${RUN}/../../sweep-ci-1/gitea/result.json`,
    `${RUN}/%2e%2e/%2e%2e/sweep-ci-1/gitea/result.json`,
    `${RUN}/..%2f..%2fsweep-ci-1/gitea/result.json`,
    `${RUN}/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret`,
    `${RUN}/..%5c..%5csecret`,
    `${RUN}/install/..%2f..%2f..%2f..%2fsecret`,
    `/runs/${TEST_RUN}/..%2f..%2fsecret`,
    '/runs/..%2fsecret',
    '/runs/%2e%2e/secret',
    '/runs//etc/passwd',
    `${RUN}//etc/passwd`,
    `${RUN}/%2fetc%2fpasswd`,
    `${RUN}/install/app.log/`,
    `${RUN}/install/app.log%00.png`,
    `${RUN}/install/%`,
    `${RUN}/install/%ff`,
    `${RUN}/install/nothing`,
    `${RUN}/${'x'.repeat(5_000)}`,
  ])('there is nothing at %s', async (target) => {
    const { status, body } = await send('GET', target);
    expect([status, body.toString()]).toEqual([404, 'nothing is here\n']);
  });

  test('there is nothing before the first run', async () => {
    await rm(path.join(state, 'runs'), { recursive: true });
    expect((await send('GET', `${RUN}/`)).status).toBe(404);
  });

  test('no link is followed, and no pipe waited for', async () => {
    const folder = path.join(state, 'runs', TEST_RUN, 'gitea');
    await symlink(path.join(state, 'secret'), path.join(folder, 'link'));
    await symlink(state, path.join(folder, 'folder'));
    await symlink(path.join(state, 'runs/sweep-ci-1'), path.join(state, 'runs/test-ci-1-x'));
    for (const target of [
      `${RUN}/link`,
      `${RUN}/folder/`,
      `${RUN}/folder/secret`,
      '/runs/test-ci-1-x/gitea/',
    ]) {
      expect((await send('GET', target)).status).toBe(404);
    }
    expect((await send('GET', `${RUN}/`)).body.toString()).not.toContain('link');
  });

  /** What of this test's files this process has open. */
  async function openFiles(): Promise<string[]> {
    const all = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return all.filter((file) => file.startsWith(state));
  }

  test('nothing stays open, whoever asks and however they leave', async () => {
    await put(`${TEST_RUN}/gitea/long.log`, Buffer.alloc(20_000_000, 'x'));
    for (const [method, target] of [
      ['HEAD', `${RUN}/install/app.log`],
      ['HEAD', `${RUN}/long.log`],
      ['HEAD', `${RUN}/install/`],
      ['GET', `${RUN}/install/app.log`],
      ['GET', `${RUN}/install/empty`],
      ['GET', `${RUN}/install/`],
      ['GET', `${RUN}/nothing`],
      ['GET', RUN],
    ] as const) {
      await send(method, target);
    }
    await vi.waitFor(async () => expect(await openFiles()).toEqual([]));
    await new Promise<void>((resolve, reject) => {
      const asked = ask({ host: '127.0.0.1', port, path: `${RUN}/long.log`, agent: false }, (answer) => {
        answer.once('data', () => {
          answer.destroy();
          resolve();
        });
      });
      asked.on('error', reject);
      asked.end();
    });
    await vi.waitFor(async () => expect(await openFiles()).toEqual([]));
  });

  test('a slow reader is ended', async () => {
    await put(`${TEST_RUN}/gitea/long.log`, Buffer.alloc(20_000_000, 'x'));
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET ${RUN}/long.log HTTP/1.1\r\nHost: x\r\n\r\n`);
    const reading = setInterval(() => socket.read(1), 20);
    await vi.waitFor(async () => expect(await openFiles()).toHaveLength(1));
    await vi.waitFor(async () => expect(await openFiles()).toEqual([]), { timeout: 3 * limits.answerMs });
    clearInterval(reading);
    socket.destroy();
  });
});
