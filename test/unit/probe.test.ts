import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANY_ANSWER, type HttpProbe } from '../../domain/recipe-settings.ts';
import { httpService } from '../../host/probe.ts';
import { askHttp } from '../../host/probe/http.ts';

let server: Server;
let reply: { status: number; body: string; headers?: Record<string, string> };
let asked: { host: string | undefined; url: string | undefined };

beforeEach(async () => {
  server = createServer((request, response) => {
    asked = { host: request.headers.host, url: request.url };
    response.writeHead(reply.status, reply.headers).end(reply.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => server.close());

function question(probe: Partial<HttpProbe> = {}, proxied = false) {
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    domain: 'app.example.org',
    probe: { ...ANY_ANSWER, ...probe },
    proxied,
    timeoutMs: 2_000,
    signal: new AbortController().signal,
  };
}

describe('an app', () => {
  it.each<[string, typeof reply, Partial<HttpProbe>, boolean, true | RegExp]>([
    ['serves with any 2xx', { status: 204, body: '' }, {}, false, true],
    [
      'serves with a redirect, which is not followed',
      { status: 302, body: '', headers: { location: '/x' } },
      {},
      false,
      true,
    ],
    ['does not serve with a 404', { status: 404, body: 'nope' }, {}, false, /: 404, not a 2xx or 3xx$/],
    ['does not serve with a 500', { status: 500, body: '' }, {}, false, /: 500, not a 2xx or 3xx$/],
    [
      'serves with a status its recipe accepts',
      { status: 401, body: '' },
      { status: [401, 403] },
      true,
      true,
    ],
    [
      'does not serve with a 200 its recipe does not accept',
      { status: 200, body: '' },
      { status: [401] },
      false,
      /: 200, not 401$/,
    ],
    [
      'serves what its recipe looks for',
      { status: 200, body: 'say hello' },
      { contains: 'hello' },
      false,
      true,
    ],
    [
      'does not serve without it',
      { status: 200, body: 'say' },
      { contains: 'hello' },
      false,
      /: 200, without "hello" in its body$/,
    ],
    [
      "is not the proxy's own 404, even where a 404 is accepted",
      { status: 404, body: '404 page not found\n' },
      { status: [404] },
      true,
      /: 404, the proxy's own page$/,
    ],
    [
      "is not the proxy's own 503",
      { status: 503, body: 'no available server\n' },
      { status: [503] },
      true,
      /the proxy's own page$/,
    ],
    ['may answer 404 itself', { status: 404, body: 'no index yet' }, { status: [404] }, true, true],
  ])('%s', async (_, answer, probe, proxied, expected) => {
    reply = answer;
    const given = await askHttp(question(probe, proxied));
    if (expected === true) expect(given).toMatchObject({ serves: true });
    else expect(given).toMatchObject({ serves: false, why: expect.stringMatching(expected) });
  });

  it('is asked for its path by its own name', async () => {
    reply = { status: 200, body: '' };
    await askHttp(question({ path: '/health?x=1' }));
    expect(asked).toEqual({ host: 'app.example.org', url: '/health?x=1' });
  });

  it('that nobody listens for does not serve', async () => {
    const given = await askHttp({ ...question(), origin: 'http://127.0.0.1:9' });
    expect(given).toMatchObject({ serves: false, why: expect.stringContaining('ECONNREFUSED') });
  });

  it('that says nothing in time does not serve', async () => {
    server.removeAllListeners('request');
    const given = await askHttp({ ...question(), timeoutMs: 50 });
    expect(given).toMatchObject({ serves: false });
  });
});

describe('the service that speaks HTTP', () => {
  const label = 'traefik.http.services.stack.loadbalancer.server.port';
  const labelled = (name: string, port?: string) => ({
    name,
    labels: new Map(port === undefined ? [] : [[label, port]]),
  });

  it.each([
    [
      'is the one with a port label',
      [labelled('app'), labelled('web', '80')],
      { service: 'web', port: 80, scheme: 'http' },
    ],
    [
      'is app when several have one',
      [labelled('web', '80'), labelled('app', '81')],
      { service: 'app', port: 81, scheme: 'http' },
    ],
    ['is none without a label', [labelled('app')], null],
    ['is none when the label is no port', [labelled('app', 'http')], null],
  ])('%s', (_, services, expected) => {
    expect(httpService(services)).toEqual(expected);
  });
});
