import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, type Patience, type Question } from '../../forge/api.ts';

const TOKEN = 'a-token-0f-0ne';
const PATIENCE: Patience = { firstWait: 5, longestWait: 2_500, silence: 300, whole: 600 };

type Answerer = (request: IncomingMessage, response: ServerResponse, asked: number) => void;

let server: Server;
let asked: { url: string; method: string; headers: IncomingMessage['headers']; at: number }[];
let answer: Answerer;
let ending: AbortController;

beforeEach(async () => {
  asked = [];
  ending = new AbortController();
  server = createServer((request, response) => {
    const { url = '', method = '', headers } = request;
    asked.push({ url, method, headers, at: performance.now() });
    response.on('error', () => undefined);
    answer(request, response, asked.length);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function ask(more: Partial<Question> = {}, url = origin()) {
  const settings = { url, token: TOKEN, tokenFile: '/etc/token', signal: ending.signal };
  const api = createApi(settings, PATIENCE);
  return api.ask(
    { path: ['user'], right: 'to know whose it is (read:user)', ...more },
    z.looseObject({ login: z.string() }),
  );
}

function says(status: number, body: unknown = {}, headers: Record<string, string> = {}): Answerer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** The first answers, and the last one from then on. */
function inTurn(...answers: Answerer[]): Answerer {
  return (request, response, number) =>
    answers[Math.min(number, answers.length) - 1]?.(request, response, number);
}

const GOOD = says(200, { login: 'bot' });
const hangUp: Answerer = (request) => void request.socket.destroy();

describe('a forge that answers', () => {
  test('is asked below its API, with the token in the header and what is meant in the path', async () => {
    answer = GOOD;
    const reply = await ask(
      { path: ['repos', 'a/b', 'c?d#e', 7], query: { since: 'x&y' } },
      `${origin()}/git/`,
    );
    expect(reply).toEqual({ status: 200, body: { login: 'bot' }, total: null });
    expect(asked).toMatchObject([{ method: 'GET', url: '/git/api/v1/repos/a%2Fb/c%3Fd%23e/7?since=x%26y' }]);
    expect(asked[0]?.headers.authorization).toBe(`token ${TOKEN}`);
  });

  test.each(['..', '.', ''])('is not asked for a name that is a way elsewhere: %j', async (name) => {
    await expect(ask({ path: ['repos', name, 'x'] })).rejects.toMatchObject({ type: 'BadInput' });
    expect(asked).toEqual([]);
  });

  test.each([
    ['404, whatever it says', says(404, { message: 'not found' })],
    ['204', says(204, '')],
    ['a good status with nothing', says(200, '')],
    ['a status that is taken', says(412, { message: 'merged' })],
  ])('says nothing by %s', async (_, said) => {
    answer = said;
    expect((await ask({ taken: [412] })).body).toBeNull();
    expect(asked).toHaveLength(1);
  });

  test('says how many there are', async () => {
    answer = says(200, { login: 'bot' }, { 'x-total-count': '123' });
    expect((await ask()).total).toBe(123);
  });
});

describe('a forge that is in trouble', () => {
  test.each([
    ['500', says(500)],
    ['502 of a proxy, in HTML', says(502, '<html>Bad gateway</html>')],
    ['429', says(429)],
    ['a connection that it closes', hangUp],
    [
      'an answer that is cut off',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"login":');
        setTimeout(() => response.destroy(), 20);
      },
    ],
    ['no answer', () => undefined],
    ['an answer that stops in the middle', (_request, response) => void response.writeHead(200).write('{')],
  ] satisfies [string, Answerer][])('is asked again after %s', async (_, trouble) => {
    answer = inTurn(trouble, trouble, GOOD);
    expect((await ask()).body).toEqual({ login: 'bot' });
    expect(asked).toHaveLength(3);
  });

  test.each([429, 503])('is asked again when it says: %i with Retry-After, a POST too', async (status) => {
    answer = inTurn(says(status, {}, { 'retry-after': '1' }), GOOD);
    expect((await ask({ method: 'POST', body: {} })).body).toEqual({ login: 'bot' });
    const [first, second] = asked;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('is asked again at the time that it names', async () => {
    const soon = new Date(Date.now() + 1_500).toUTCString();
    answer = inTurn(says(429, {}, { 'retry-after': soon }), GOOD);
    expect((await ask()).body).toEqual({ login: 'bot' });
  });

  test('is not waited for longer than is worth it', async () => {
    answer = says(429, { message: 'slowly' }, { 'retry-after': '3600' });
    await expect(ask()).rejects.toMatchObject({
      type: 'Forge',
      message: expect.stringMatching(/429, slowly; it is not to be asked again for 3600 s/) as string,
    });
    expect(asked).toHaveLength(1);
  });

  test('is a Fault Forge after a few times', async () => {
    answer = says(500, { message: 'database is locked' });
    await expect(ask()).rejects.toMatchObject({
      type: 'Forge',
      message: `the forge: GET ${origin()}/api/v1/user: 500, database is locked; it was asked 5 times`,
    });
    expect(asked).toHaveLength(5);
  });

  test('is a Fault Forge where nobody listens', async () => {
    const nowhere = origin();
    server.close();
    await expect(ask({ method: 'POST' }, nowhere)).rejects.toMatchObject({
      type: 'Forge',
      message: expect.stringContaining('it was asked 5 times') as string,
    });
    server.listen(0);
  });

  test.each([
    ['500', says(500)],
    ['a connection that it closes', hangUp],
    ['no answer', () => undefined],
  ] satisfies [string, Answerer][])('is not told twice by a POST after %s', async (_, trouble) => {
    answer = trouble;
    await expect(ask({ method: 'POST', body: {} })).rejects.toMatchObject({ type: 'Forge' });
    expect(asked).toHaveLength(1);
  });

  test('is told twice by a POST that may be', async () => {
    answer = inTurn(hangUp, GOOD);
    await ask({ method: 'POST', body: {}, again: true });
    expect(asked).toHaveLength(2);
  });
});

describe('an answer that is none', () => {
  test('drips, and is ended', async () => {
    answer = (_request, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drip));
    };
    await expect(ask({ method: 'POST' })).rejects.toMatchObject({
      type: 'Forge',
      message: expect.stringContaining('no whole answer within 600 ms') as string,
    });
  });

  test('has no end, and is not read to it', async () => {
    const piece = Buffer.alloc(1024 * 1024, ' ');
    answer = (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    };
    await expect(ask()).rejects.toMatchObject({
      type: 'Forge',
      message: expect.stringContaining('more than 16777216 bytes') as string,
    });
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['no JSON', '<html>login</html>'],
    ['JSON of something else', { login: 7 }],
  ])('is %s', async (_, body) => {
    answer = says(200, body);
    await expect(ask()).rejects.toMatchObject({
      type: 'Forge',
      message: expect.stringContaining('no answer of a forge') as string,
    });
    expect(asked).toHaveLength(1);
  });
});

describe('what an operator can mend', () => {
  test.each([
    [401, {}, 'does not take the token in /etc/token (forge.tokenFile)'],
    [403, {}, 'it needs to know whose it is (read:user)'],
    [301, { location: 'https://new.example.org/' }, 'sends us on to https://new.example.org/'],
  ])('is a BadConfig, and nothing is asked again: %i', async (status, headers, words) => {
    answer = says(status, { message: 'no' }, headers);
    await expect(ask()).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.stringContaining(words) as string,
    });
    expect(asked).toHaveLength(1);
  });

  test.each([401, 403, 302, 422, 500])(
    'never quotes the token, which a server said back: %i',
    async (status) => {
      answer = says(status, { message: `you said ${TOKEN}` }, { location: `/?token=${TOKEN}` });
      const error = (await ask().catch((thrown: unknown) => thrown)) as Error;
      expect(error.message).toContain('***');
      expect(`${error.message} ${String(error.stack)} ${JSON.stringify(error)}`).not.toContain(TOKEN);
    },
  );

  test('is told without what steers a terminal', async () => {
    answer = says(422, { message: '\u001b[2Jgone\u202e' });
    await expect(ask()).rejects.toMatchObject({
      message: expect.stringContaining(String.raw`\u{1b}[2Jgone\u{202e}`) as string,
    });
  });
});

describe('the end of an attempt', () => {
  test.each([
    ['a question', () => undefined],
    ['a wait', says(429, {}, { 'retry-after': '2' })],
  ] satisfies [string, Answerer][])('is the end of %s', async (_, trouble) => {
    answer = trouble;
    const why = new Error('cancelled');
    setTimeout(() => ending.abort(why), 100);
    const begun = performance.now();
    await expect(ask()).rejects.toBe(why);
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(asked).toHaveLength(1);
  });
});
