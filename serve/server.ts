import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { Fault, messageOf } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import { inWords, type Deliveries, type Log } from './deliveries.ts';
import { POLICY } from '../site/html.ts';
import { findPage } from './site.ts';
import { findEvidence, listingPage } from './evidence.ts';
import { METRICS_TYPE } from '../metrics/collector.ts';
import type { Health } from './health.ts';
import { hintOf, isSigned, MOST_BYTES, readBody } from './webhook.ts';

/** The HTTP process: its doors, and how long anybody may stand in one. */

export interface Limits {
  /** Until the head of a request is there. */
  headMs: number;
  /** Until the body of a delivery is there. */
  bodyMs: number;
  /** Without a byte on a connection. */
  idleMs: number;
  /** Until an answer is fetched to its end. */
  answerMs: number;
  /** How long a forge is kept waiting for what becomes of a comment; then it is told that it was taken. */
  takenMs: number;
  connections: number;
}

export const LIMITS: Limits = {
  headMs: 10_000,
  bodyMs: 10_000,
  idleMs: 60_000,
  answerMs: 300_000,
  // Gitea waits for 5 s.
  takenMs: 4_000,
  connections: 256,
};

export interface Doors {
  /** Null where there is no forge to tell of comments. */
  webhook: { secret: string; deliveries: Deliveries } | null;
  health: () => Promise<Health>;
  /** What Prometheus scrapes. */
  metrics: () => Promise<string>;
  evidence: { state: string; host: string };
  log: Log;
  limits: Limits;
}

type Bindings = { Bindings: HttpBindings };
type Asked = Context<Bindings>;

export const WEBHOOK_PATH = '/webhook';

/** What each request is answered. */
export function createDoors({ webhook, health, metrics, evidence, log, limits }: Doors): Hono<Bindings> {
  const app = new Hono<Bindings>();

  /** One line in the log, without anything of the body. */
  function refused(
    c: Asked,
    status: 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 503,
    why: string,
  ): Response {
    log.warn({ status, method: c.req.method, path: quotableLine(c.req.path), from: remoteOf(c) }, why);
    return c.text(`${why}\n`, status);
  }
  const wrongMethod = (allowed: string) => (c: Asked) => {
    c.header('allow', allowed);
    return refused(c, 405, `not by this method: ${allowed}`);
  };

  app.use(async (c, next) => {
    await next();
    c.header('x-content-type-options', 'nosniff');
    c.header('content-security-policy', `${POLICY}; sandbox`);
    c.header('referrer-policy', 'no-referrer');
    c.header('cache-control', 'no-cache');
  });
  app.notFound((c) => refused(c, 404, 'nothing is here'));
  app.onError((error, c) => {
    log.error({ path: quotableLine(c.req.path), ...inWords(error) }, 'a request was not answered');
    return c.text('something is broken here\n', 500);
  });

  app.post(WEBHOOK_PATH, async (c) => {
    if (webhook === null) return refused(c, 404, 'no forge is configured here: docs/pull-requests.md');
    const { secret, deliveries } = webhook;
    if (!/^application\/json\s*(?:;|$)/i.test(c.req.header('content-type') ?? '')) {
      return refused(c, 415, "not application/json: that is to be the webhook's content type");
    }
    const signature = c.req.header('x-gitea-signature');
    if (signature === undefined) {
      return refused(c, 401, 'no X-Gitea-Signature: the webhook needs the secret');
    }
    const body = await readBody(c.env.incoming, { bytes: MOST_BYTES, ms: limits.bodyMs });
    if (body === 'too big') return refused(c, 413, `more than ${MOST_BYTES} bytes`);
    if (body === 'too slow' || body === 'cut off') return refused(c, 408, 'the body did not come in time');
    if (!isSigned(body, signature, secret)) {
      return refused(c, 403, "X-Gitea-Signature is not of this body by serve's secret");
    }
    const hint = hintOf(c.req.header('x-gitea-event') ?? '', body);
    if (hint === 'no JSON') return refused(c, 400, 'the body is no JSON');
    if (hint === null) return c.text('nothing to do\n');
    const taken = deliveries.take(hint);
    if (taken === null) return refused(c, 503, 'too many comments wait to be looked at');
    const became = await Promise.race([
      taken.catch(() => 'left' as const),
      sleep(limits.takenMs, 'waits' as const),
    ]);
    if (became === 'left') return c.text('this could not be looked at now, and will be\n', 503);
    if (became === 'waits') return c.text('taken\n', 202);
    return c.json(became);
  });
  app.all(WEBHOOK_PATH, wrongMethod('POST'));

  app.get('/healthz', async (c) => {
    const found = await health();
    return c.json(found, found.ok ? 200 : 503);
  });
  app.all('/healthz', wrongMethod('GET, HEAD'));

  app.get('/metrics', async (c) => c.body(await metrics(), 200, { 'content-type': METRICS_TYPE }));
  app.all('/metrics', wrongMethod('GET, HEAD'));

  app.get('*', async (c) => {
    const { pathname } = new URL(c.req.url);
    const head = c.req.method === 'HEAD';
    const page = await findPage(evidence, pathname.slice(1), head);
    // Of a test that goes on there is no page yet, and of its files none.
    const found =
      page.is === 'nothing' && pathname.startsWith('/runs/')
        ? await findEvidence(evidence, pathname.slice('/runs/'.length), head)
        : page;
    switch (found.is) {
      case 'nothing':
        return refused(c, 404, 'nothing is here');
      case 'a folder':
        return c.redirect(`${pathname}/`, 308);
      case 'entries':
        return c.html(listingPage(found.entries));
      case 'file':
        c.header('content-type', found.type);
        c.header('content-length', String(found.bytes));
        if (found.type === 'application/octet-stream') c.header('content-disposition', 'attachment');
        return c.body(found.content as globalThis.ReadableStream);
    }
  });
  app.all('/runs/*', wrongMethod('GET, HEAD'));
  return app;
}

function remoteOf({ env }: Asked): string {
  return env.incoming.socket.remoteAddress ?? 'nowhere';
}

/** Has the doors stand open at this address. Throws Fault BadConfig where that cannot be. */
export async function listen(
  app: Hono<Bindings>,
  address: string,
  { limits, log }: Pick<Doors, 'limits' | 'log'>,
): Promise<{ address: string; close(): Promise<void> }> {
  const { host, port } = placeOf(address);
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname: host });
  const server = createServer(
    {
      headersTimeout: limits.headMs,
      // Bodies that no door asks for; a delivery's ends before.
      requestTimeout: limits.headMs + limits.bodyMs,
      connectionsCheckingInterval: Math.min(limits.headMs, 1_000),
      keepAliveTimeout: 5_000,
    },
    (request, response) => void answer(request, response),
  );
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleMs);
  /** Those whose request has a door, but not its end yet: what ends it is in the log already, or no matter. */
  const heard = new WeakSet<Duplex>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    heard.add(socket);
    request.once('end', () => heard.delete(socket));
    const late = setTimeout(() => socket.destroy(), limits.answerMs);
    response.once('close', () => clearTimeout(late));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (heard.has(socket)) socket.destroy();
    else refuseUnread(error, socket, log);
  });
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(new Fault('BadConfig', `serve.listen: ${address}: ${whyClosed(error)}`));
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      resolve();
    });
  });
  const { port: bound } = server.address() as AddressInfo;
  return { address: `${address.slice(0, address.lastIndexOf(':'))}:${bound}`, close: () => closed(server) };
}

function whyClosed(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'something else listens there: end it (ss -ltnp names it), or set another port';
    case 'EADDRNOTAVAIL':
      return 'not an address of this host';
    default:
      return messageOf(error);
  }
}

/** Of `address:port`, with an address of IPv6 in brackets. */
function placeOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(colon + 1)),
  };
}

/** What was no request, or did not become one in time. */
function refuseUnread(error: NodeJS.ErrnoException, socket: Socket, log: Log): void {
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? '408 Request Timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request';
  if (error.code !== 'ECONNRESET') {
    log.warn({ status: Number.parseInt(status, 10), from: socket.remoteAddress ?? 'nowhere' }, 'no request');
  }
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  else socket.destroy();
}

/** How long answers that are under way may take then. */
const CLOSING_MS = 3_000;

async function closed(server: Server): Promise<void> {
  const ended = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), CLOSING_MS);
  await ended;
  clearTimeout(late);
}
