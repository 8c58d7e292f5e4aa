import type { TLSSocket } from 'node:tls';
import { Agent, buildConnector, request } from 'undici';
import { quotableLine } from '../../domain/printable.ts';
import type { HttpProbe } from '../../domain/recipe-settings.ts';
import { beginningOf } from '../machine/answer-body.ts';
import { connectionError, refused, type Answer } from './answer.ts';
import { distrustOf, trustedAuthorities } from './certificate.ts';
import { cachedBy, defaultPageOf, header, isProxyPage, titleOf, type Page } from './pages.ts';

export interface HttpQuestion {
  /** Scheme and authority, as in http://172.18.0.3:8080. */
  origin: string;
  /** The app's domain, sent as Host. */
  domain: string;
  probe: HttpProbe;
  /**
   * The proxy stands in between, so its own pages may be what answers, and its certificate may be asked for.
   * Without it the question is put as the proxy would put it.
   */
  proxied: boolean;
  /** Any answer over HTTP is enough, whatever its status and content. */
  anyAnswer?: boolean;
  /** For redirects and body as well. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** Bytes of a body that are read and judged. */
const LARGEST_BODY = 1024 * 1024;
const MOST_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Asks once, and judges the answer by the recipe's probe. It counts only as the app's own, present word:
 *
 * - not the proxy's page about an app it cannot reach,
 * - not the page that a web server shows until it is configured, unless the probe looks for text of it,
 * - not an answer that a cache gives in the app's place. The request asks caches to stand aside, and an answer
 *   that still says it comes from one is refused. A query parameter that no cache has seen would do more, but
 *   then the app would be asked another question than a visitor asks.
 *
 * Redirects are followed, where the probe says so, within the app's own domain, and always over the address
 * that was asked first. One that leads elsewhere is the answer, and is accepted only if the probe names its
 * status. Throws only what aborted the signal.
 */
export async function askHttp(question: HttpQuestion): Promise<Answer> {
  const { origin, domain, probe, proxied, anyAnswer = false, timeoutMs, signal } = question;
  const authorities = proxied && probe.certificate === 'trusted' ? { ca: await trustedAuthorities() } : null;
  const dispatcher = new Agent({
    connect: connector(timeoutMs, authorities),
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  const late = AbortSignal.timeout(timeoutMs);
  const ended = AbortSignal.any([signal, late]);
  let url = `${origin}${probe.path}`;
  const called = (): string => `GET ${quotableLine(url)} (Host ${domain})`;
  try {
    for (let followed = 0; ; followed++) {
      const page = await read(url, question, dispatcher, ended);
      const location = REDIRECTS.has(page.status) ? header(page.headers, 'location') : '';
      if (anyAnswer || probe.redirects === 'answer' || location === '') {
        return judge(page, question, called());
      }
      const next = withinApp(location, url, question);
      if (next === null) {
        if (probe.status?.includes(page.status)) return judge(page, question, called());
        const target = JSON.stringify(quotableLine(location).slice(0, 300));
        return refused(`${called()}: ${page.status}, a redirect away from the app to ${target}`);
      }
      if (followed === MOST_REDIRECTS) {
        return refused(`${called()}: ${page.status}, still a redirect after ${MOST_REDIRECTS} of them`);
      }
      url = next;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return refused(`${called()}: no answer within ${timeoutMs} ms`);
    const { what, code, noWay } = connectionError(error, new URL(origin).hostname);
    // The proxy is the platform's; the task's own port is the app's to open.
    const unreachable = proxied && (noWay || code === 'ECONNREFUSED');
    return { serves: false, why: `${called()}: ${what}`, unreachable };
  } finally {
    await dispatcher.destroy();
  }
}

/** Connects to whoever answers; with authorities only to a server whose certificate they vouch for. */
function connector(timeoutMs: number, authorities: { ca: string[] } | null): buildConnector.connector {
  // Whether the zone has a trusted certificate says nothing of the package, unless its recipe asks.
  const connect = buildConnector({
    ...authorities,
    rejectUnauthorized: false,
    timeout: timeoutMs,
    maxCachedSessions: 0,
  });
  return (options, callback) => {
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const distrust = authorities === null ? null : distrustOf(socket as TLSSocket);
      if (distrust === null) return callback(null, socket);
      socket.destroy();
      callback(new Error(distrust), null);
    });
  };
}

async function read(
  url: string,
  { domain, proxied }: HttpQuestion,
  dispatcher: Agent,
  signal: AbortSignal,
): Promise<Page> {
  const response = await request(url, {
    dispatcher,
    headers: {
      host: domain,
      'user-agent': 'recipe-sweep',
      'accept-encoding': 'identity',
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      ...(proxied ? {} : { 'x-forwarded-proto': 'https', 'x-forwarded-host': domain }),
    },
    signal,
  });
  const { text: body } = await beginningOf(response.body as AsyncIterable<Buffer>, LARGEST_BODY);
  return { status: response.statusCode, headers: response.headers, body };
}

/** Where a redirect leads, at the address that is asked; null when it leads away from the app. */
function withinApp(location: string, url: string, { origin, domain }: HttpQuestion): string | null {
  const asked = new URL(url);
  let target: URL;
  try {
    target = new URL(location, asked);
  } catch {
    return null;
  }
  const web = target.protocol === 'http:' || target.protocol === 'https:';
  const itsDomain = target.hostname === domain && (target.port === '' || target.port === asked.port);
  if (!web || !(itsDomain || target.host === asked.host)) return null;
  return `${origin}${target.pathname}${target.search}`;
}

function judge(page: Page, { probe, proxied, anyAnswer = false }: HttpQuestion, called: string): Answer {
  const { status, body } = page;
  const title = titleOf(body);
  const what = quotableLine(`${called}: ${status}${title === '' ? '' : ` ${JSON.stringify(title)}`}`);
  if (anyAnswer) return { serves: true, what, status };
  const no = (why: string): Answer => refused(`${called}: ${status}, ${why}`);
  if (proxied && isProxyPage(page)) return no("the proxy's own page");
  const accepted = probe.status === null ? status >= 200 && status < 400 : probe.status.includes(status);
  if (!accepted) return no(`not ${probe.status === null ? 'a 2xx or 3xx' : probe.status.join(' or ')}`);
  const cache = cachedBy(page);
  if (cache !== null) return no(`an answer out of a cache (${cache})`);
  const found = probe.contains !== null && body.includes(probe.contains);
  const server = defaultPageOf(page);
  if (server !== null && !found) return no(`the default page of ${server}`);
  if (probe.contains !== null && !found) return no(`without ${JSON.stringify(probe.contains)} in its body`);
  return { serves: true, what, status };
}
