import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createSocketServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ANY_ANSWER, type HttpProbe } from '../../domain/recipe-settings.ts';
import type { Answer } from '../../host/probe/answer.ts';
import { trustedAuthorities } from '../../host/probe/certificate.ts';
import { askHttp, type HttpQuestion } from '../../host/probe/http.ts';
import { authority, selfSigned, type Authority, type Certificate } from '../fixtures/certificates.ts';

/** The question over HTTP, put to servers that tell the truth, and to servers that lie. */

const DOMAIN = 'app.example.org';
let close: (() => void)[] = [];

afterEach(() => {
  for (const one of close) one();
  close = [];
});

async function listening(server: Server | ReturnType<typeof createSocketServer>): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => open.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

type Asking = Partial<Omit<HttpQuestion, 'probe'>> & { probe?: Partial<HttpProbe> };

function ask(origin: string, { probe, ...rest }: Asking = {}): Promise<Answer> {
  return askHttp({
    origin,
    domain: DOMAIN,
    probe: { ...ANY_ANSWER, ...probe },
    proxied: false,
    timeoutMs: 2_000,
    signal: new AbortController().signal,
    ...rest,
  });
}

async function served(answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(answer))}`;
}

/** Sends these bytes once it was asked, and leaves the connection open. */
async function speaking(speak: (connection: Socket) => void): Promise<string> {
  const server = createSocketServer((connection) => {
    connection.on('error', () => undefined);
    connection.once('data', () => speak(connection));
  });
  return `http://127.0.0.1:${await listening(server)}`;
}

interface Reply {
  status?: number;
  body?: string;
  headers?: Record<string, string>;
}

async function replying({ status = 200, body = '', headers = {} }: Reply): Promise<string> {
  return served((_, response) => response.writeHead(status, headers).end(body));
}

const yes = { serves: true };
const no = (why: RegExp | string): object => ({
  serves: false,
  why: typeof why === 'string' ? expect.stringContaining(why) : expect.stringMatching(why),
});

describe('an answer', () => {
  it.each<[string, Reply, Partial<HttpProbe>, object]>([
    ['of any 2xx serves', { status: 204 }, {}, yes],
    ['that redirects serves', { status: 302, headers: { location: '/x' } }, {}, yes],
    ['of 404 does not', { status: 404, body: 'nope' }, {}, no(/: 404, not a 2xx or 3xx$/)],
    ['of 500 does not', { status: 500 }, {}, no(/: 500, not a 2xx or 3xx$/)],
    ['of a status that the recipe accepts serves', { status: 401 }, { status: [401, 403] }, yes],
    ['of 200 where another is asked for does not', {}, { status: [401] }, no(/: 200, not 401$/)],
    ['with the text that is looked for serves', { body: 'say hello' }, { contains: 'hello' }, yes],
    [
      'without it does not',
      { body: 'say' },
      { contains: 'hello' },
      no(/: 200, without "hello" in its body$/),
    ],
  ])('%s', async (_, reply, probe, expected) => {
    expect(await ask(await replying(reply), { probe })).toMatchObject(expected);
  });

  it('of any kind will do where only that is asked', async () => {
    const origin = await replying({ status: 500, body: 'oops', headers: { age: '3', location: '/' } });
    expect(await ask(origin, { anyAnswer: true, probe: { status: [200], contains: 'x' } })).toMatchObject(
      yes,
    );
  });

  it('is told by its status and its title', async () => {
    const origin = await replying({ body: '<html><TITLE lang=en>\n My  App </TITLE>' });
    expect(await ask(origin)).toEqual({
      serves: true,
      status: 200,
      what: `GET ${origin}/ (Host ${DOMAIN}): 200 "My App"`,
    });
  });

  it('is looked at up to its first MiB', async () => {
    const page = (before: number): Promise<string> => replying({ body: `${'x'.repeat(before)}hello` });
    expect(await ask(await page(1_000_000), { probe: { contains: 'hello' } })).toMatchObject(yes);
    expect(await ask(await page(2_000_000), { probe: { contains: 'hello' } })).toMatchObject(
      no('without "hello"'),
    );
  });
});

describe('the question', () => {
  const asked: IncomingMessage[] = [];
  const origin = (): Promise<string> =>
    served((request, response) => {
      asked.push(request);
      response.end();
    });

  it('names the path and the domain, and asks caches to stand aside', async () => {
    await ask(await origin(), { probe: { path: '/health?x=1' }, proxied: true });
    const { url, headers } = asked.pop() ?? {};
    expect(url).toBe('/health?x=1');
    expect(headers).toMatchObject({ host: DOMAIN, 'cache-control': 'no-cache', pragma: 'no-cache' });
    expect(headers).not.toHaveProperty('x-forwarded-proto');
  });

  it('reaches the task as the proxy would put it', async () => {
    await ask(await origin());
    expect(asked.pop()?.headers).toMatchObject({
      host: DOMAIN,
      'x-forwarded-proto': 'https',
      'x-forwarded-host': DOMAIN,
    });
  });
});

describe('nobody is fooled by', () => {
  const nginx = (title: string): string =>
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n`;
  const haproxy = (title: string, text: string): string =>
    `<html><body><h1>${title}</h1>\n${text}\n</body></html>\n`;

  it.each<[string, Reply & { status: number }]>([
    ["traefik's 404", { status: 404, body: '404 page not found\n' }],
    ["traefik's 502", { status: 502, body: 'Bad Gateway' }],
    ["traefik's 503", { status: 503, body: 'no available server\n' }],
    ["traefik's 504", { status: 504, body: 'Gateway Timeout' }],
    ["nginx's 502", { status: 502, body: nginx('502 Bad Gateway') }],
    ["nginx's 503", { status: 503, body: nginx('503 Service Temporarily Unavailable') }],
    ["nginx's 504", { status: 504, body: nginx('504 Gateway Time-out') }],
    [
      "haproxy's 503",
      {
        status: 503,
        body: haproxy('503 Service Unavailable', 'No server is available to handle this request.'),
      },
    ],
    [
      "haproxy's 502",
      {
        status: 502,
        body: haproxy('502 Bad Gateway', 'The server returned an invalid or incomplete response.'),
      },
    ],
    ["Caddy's 502", { status: 502, headers: { server: 'Caddy' } }],
  ])("%s, the proxy's own page, even where its status is accepted", async (_, reply) => {
    const origin = await replying(reply);
    const probe = { status: [reply.status] };
    expect(await ask(origin, { proxied: true, probe })).toMatchObject(no(/, the proxy's own page$/));
    // From the task itself it is the app's word.
    expect(await ask(origin, { proxied: false, probe })).toMatchObject(yes);
  });

  it("the app's own 404 and 502, which are its own", async () => {
    const missing = await replying({ status: 404, body: 'no index yet' });
    expect(await ask(missing, { proxied: true, probe: { status: [404] } })).toMatchObject(yes);
    const broken = await replying({ status: 502, body: '{"error":"no federation"}' });
    expect(await ask(broken, { proxied: true, probe: { status: [502] } })).toMatchObject(yes);
  });

  it.each([
    ["nginx's", '<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>', 'nginx'],
    ["Debian's of nginx", '<html><head><title>Welcome to nginx on Debian!</title>', 'nginx'],
    ["Debian's of Apache", '<html>\n<title>Apache2 Debian Default Page: It works</title>', 'Apache'],
    ["Apache's", '<html><body><h1>It works!</h1></body></html>\n', 'Apache'],
    ["Apache's newer", '<html><head><title>It works! Apache httpd</title></head>', 'Apache'],
    ["Fedora's", '<title>Test Page for the Apache HTTP Server on Fedora</title>', 'Apache'],
    ["Caddy's", '<html>\n    <title>Caddy works!</title>', 'Caddy'],
    ["lighttpd's", '<title>Welcome page</title>\n<h1> Placeholder page </h1>', 'lighttpd'],
    ["traefik's dashboard", '<html><head><title>Traefik Proxy</title>', 'traefik'],
  ])('the default page, %s, unless it is looked for', async (_, body, server) => {
    const origin = await replying({ body });
    expect(await ask(origin)).toMatchObject(no(`: 200, the default page of ${server}`));
    expect(await ask(origin, { probe: { contains: 'my app' } })).toMatchObject(no('the default page'));
    expect(await ask(origin, { probe: { contains: body.slice(-20) } })).toMatchObject(yes);
  });

  it.each([
    'How to get rid of the page "Welcome to nginx!"',
    'It works!',
    'Traefik dashboards, a guide',
    'Placeholder page',
    'Apache HTTP server at home',
  ])('a page that only speaks of one, which is an answer: %s', async (title) => {
    const body = `<html><title>${title}</title><h1>It works!</h1><p>Welcome to nginx!</p></html>`;
    expect(await ask(await replying({ body }))).toMatchObject(yes);
  });

  it.each<[string, string]>([
    ['age', '34'],
    ['age', '34, 2'],
    ['x-cache', 'HIT'],
    ['x-cache', 'Hit from cloudfront'],
    ['x-cache', 'MISS, HIT'],
    ['x-cache', 'TCP_HIT from proxy.example'],
    ['x-cache-status', 'STALE'],
    ['x-proxy-cache', 'HIT'],
    ['cf-cache-status', 'UPDATING'],
    ['cache-status', 'ExampleCache; hit; ttl=100'],
  ])('an answer out of a cache (%s: %s)', async (name, value) => {
    const origin = await replying({ headers: { [name]: value } });
    expect(await ask(origin)).toMatchObject(no(`an answer out of a cache (${name}: ${value})`));
  });

  it.each<[string, string]>([
    ['age', '0'],
    ['x-cache', 'MISS'],
    ['x-cache', 'MISS from white-hit.example'],
    ['cf-cache-status', 'DYNAMIC'],
    ['cache-status', 'ExampleCache; fwd=miss; stored'],
  ])('what passed a cache and came from the app, which is an answer (%s: %s)', async (name, value) => {
    expect(await ask(await replying({ headers: { [name]: value } }))).toMatchObject(yes);
  });
});

describe('a redirect that is followed', () => {
  const follow = { redirects: 'follow' as const };

  async function redirecting(
    where: (url: string, origin: string) => string | null,
    status = 302,
  ): Promise<{ origin: string; urls: string[] }> {
    const urls: string[] = [];
    let origin = '';
    origin = await served((request, response) => {
      urls.push(request.url ?? '');
      const location = where(request.url ?? '', origin);
      if (location === null) response.end('arrived');
      else response.writeHead(status, { location }).end();
    });
    return { origin, urls };
  }

  it.each([
    ['a path', '/login?next=%2F'],
    ['its domain', `https://${DOMAIN}/login?next=%2F`],
    ['its domain without TLS, as an app behind a proxy may say', `http://${DOMAIN}/login?next=%2F`],
    ['a relative path', 'login?next=%2F#top'],
  ])('may lead to %s, and is asked where the first question went', async (_, location) => {
    const { origin, urls } = await redirecting((url) => (url === '/' ? location : null));
    expect(await ask(origin, { probe: { ...follow, contains: 'arrived' } })).toMatchObject(yes);
    expect(urls).toEqual(['/', '/login?next=%2F']);
  });

  it('is judged where it ends', async () => {
    const { origin } = await redirecting((url) => (url === '/' ? '/gone' : null));
    const answer = await ask(origin, { probe: { ...follow, contains: 'welcome' } });
    expect(answer).toMatchObject(no(/GET \S+\/gone \(Host \S+\): 200, without "welcome"/));
  });

  it.each([
    'https://neighbour.example.org/',
    `https://${DOMAIN}.example.com/`,
    `https://${DOMAIN}:8443/`,
    `https://${DOMAIN}@example.com/`,
    '//example.com/',
    'http://127.0.0.1/',
    'file:///etc/passwd',
    'https://[/',
  ])('may not lead away from the app: %s', async (location) => {
    const { origin, urls } = await redirecting(() => location);
    const away = no(`: 302, a redirect away from the app to ${JSON.stringify(location)}`);
    expect(await ask(origin, { probe: follow })).toMatchObject(away);
    expect(urls).toEqual(['/']);
    expect(await ask(origin, { probe: { ...follow, status: [302] } })).toMatchObject(yes);
    expect(await ask(origin, { probe: { ...follow, status: [200] } })).toMatchObject(away);
  });

  it('may not go round in circles', async () => {
    const { origin, urls } = await redirecting((url) => (url === '/a' ? '/b' : '/a'));
    const circle = no(': 302, still a redirect after 5 of them');
    expect(await ask(origin, { probe: follow })).toMatchObject(circle);
    expect(urls).toHaveLength(6);
  });

  it.each([301, 303, 307, 308])('has the status %i as well', async (status) => {
    const { origin } = await redirecting((url) => (url === '/' ? '/x' : null), status);
    expect(await ask(origin, { probe: { ...follow, status: [200] } })).toMatchObject(yes);
  });

  it('quotes a location of any length as a short line', async () => {
    const { origin } = await redirecting(() => `https://example.com/${'x'.repeat(8_000)}`);
    const answer = await ask(origin, { probe: follow });
    expect(answer).toMatchObject(no('a redirect away'));
    expect(answer.serves ? '' : answer.why.length).toBeLessThan(600);
  });
});

describe('a server that wastes time', () => {
  const limits = { timeoutMs: 400 };

  it.each<[string, (connection: Socket) => void]>([
    ['says nothing', () => undefined],
    ['drips its headers', (connection) => drip(connection, 'HTTP/1.1 200 OK\r\nx-slow: ')],
    ['drips its page', (connection) => drip(connection, 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')],
  ])('and %s does not serve', async (_, speak) => {
    const began = Date.now();
    expect(await ask(await speaking(speak), limits)).toMatchObject(no('no answer within 400 ms'));
    expect(Date.now() - began).toBeLessThan(2_000);
  });

  it('with redirects has one time for all of them', async () => {
    const origin = await served((_, response) => {
      setTimeout(() => response.writeHead(302, { location: '/' }).end(), 150);
    });
    const probe = { redirects: 'follow' as const };
    expect(await ask(origin, { ...limits, probe })).toMatchObject(no('no answer within 400 ms'));
  });

  it('with headers that never end does not serve', async () => {
    const origin = await speaking((connection) =>
      connection.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(50_000)}`),
    );
    expect(await ask(origin)).toMatchObject(no('Headers Overflow'));
  });

  function drip(connection: Socket, first: string): void {
    connection.write(first);
    const timer = setInterval(() => connection.write('x'), 20);
    connection.on('close', () => clearInterval(timer));
  }
});

describe('a question that gets nowhere', () => {
  it('is the platform’s when the domain does not resolve', async () => {
    const answer = await ask(`https://${DOMAIN}.invalid`, { proxied: true });
    expect(answer).toMatchObject({
      ...no(/the name app\.example\.org\.invalid does not resolve \(E\w+\)/),
      unreachable: true,
    });
  });

  it('is the platform’s when no proxy listens, and the app’s when its task does not', async () => {
    expect(await ask('https://127.0.0.1:9', { proxied: true })).toMatchObject({
      ...no('ECONNREFUSED'),
      unreachable: true,
    });
    expect(await ask('http://127.0.0.1:9')).toMatchObject({ ...no('ECONNREFUSED'), unreachable: false });
  });

  it('ends when it is called off', async () => {
    const controller = new AbortController();
    const asking = ask(await speaking(() => undefined), { signal: controller.signal });
    controller.abort(new Error('called off'));
    await expect(asking).rejects.toThrow('called off');
  });
});

vi.mock('../../host/probe/certificate.ts', async (original) => {
  const real = await original<typeof import('../../host/probe/certificate.ts')>();
  return { ...real, trustedAuthorities: vi.fn<typeof trustedAuthorities>(real.trustedAuthorities) };
});

describe('a certificate', () => {
  let known: Authority;
  beforeAll(() => {
    known = authority('an authority of this host');
  });

  async function shown(certificate: Certificate): Promise<string> {
    const server = createTlsServer(certificate, (_, response) => response.end('hello'));
    return `https://127.0.0.1:${await listening(server)}`;
  }

  const trusted = { proxied: true, probe: { certificate: 'trusted' as const } };

  it('of any kind will do unless the recipe asks', async () => {
    expect(await ask(await shown(selfSigned(DOMAIN)), { proxied: true })).toMatchObject(yes);
  });

  it('is trusted when the host knows its authority, and it is for the domain', async () => {
    vi.mocked(trustedAuthorities).mockResolvedValueOnce([known.ca]);
    expect(await ask(await shown(known.issue(DOMAIN)), trusted)).toMatchObject(yes);
  });

  it.each<[string, () => Certificate, RegExp]>([
    ['that vouches for itself', () => selfSigned(DOMAIN), /it is signed by itself \(for app\.example\.org/],
    [
      'for another name',
      () => known.issue('neighbour.example.org'),
      /it is for other names \(for neighbour\.example\.org, DNS:neighbour\.example\.org; by an authority of this host; from /,
    ],
    [
      'that has expired',
      () => known.issue(DOMAIN, -1),
      /it has expired \(for app\.example\.org.*; from .* to /,
    ],
    [
      'of an authority that nobody knows',
      () => authority('anyone').issue(DOMAIN),
      /its authority is unknown to this host \(.*by anyone;/,
    ],
  ])('%s is refused, and told', async (_, make, why) => {
    vi.mocked(trustedAuthorities).mockResolvedValueOnce([known.ca]);
    const answer = await ask(await shown(make()), trusted);
    expect(answer).toMatchObject({ ...no(why), unreachable: false });
    expect(answer).toMatchObject(no('its certificate is not to be trusted'));
  });

  it('is checked against the authorities of this host', async () => {
    expect((await trustedAuthorities()).join('')).toContain('BEGIN CERTIFICATE');
    expect(await ask(await shown(selfSigned(DOMAIN)), trusted)).toMatchObject(no('it is signed by itself'));
  });

  it('is not asked of the task itself, which has none', async () => {
    expect(await ask(await replying({}), { probe: { certificate: 'trusted' } })).toMatchObject(yes);
  });
});
