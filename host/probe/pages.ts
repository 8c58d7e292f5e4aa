import { quotableLine } from '../../domain/printable.ts';

/**
 * Pages that say nothing of the app, whatever their status: what a proxy says of itself when it has no app to
 * ask, what a web server shows until somebody puts a site into it, and what a cache still remembers.
 */

/** One answer over HTTP. Headers as undici has them: names in lower case, doubled ones as a list. */
export interface Page {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The part that was read. */
  body: string;
}

/** Such pages are short; no more of a body is looked at. */
const LONGEST_PAGE = 32 * 1024;

/** What traefik says of itself (its pkg/server: not found, no server, and the error texts of net/http). */
const TRAEFIK: Readonly<Record<number, RegExp>> = {
  404: /^404 page not found\s*$/,
  502: /^Bad Gateway\s*$/,
  503: /^(no available server|Service Unavailable)\s*$/,
  504: /^Gateway Timeout\s*$/,
};

/** The heading with which nginx, haproxy and Apache say that the app behind them does not answer. */
const GATEWAY =
  /<(title|h1)>\s*(502 Bad Gateway|503 Service (Temporarily )?Unavailable|504 Gateway Time-?out)\s*</i;

/** Whether the answer is the proxy's own words on an app that it cannot reach. */
export function isProxyPage({ status, headers, body }: Page): boolean {
  if (TRAEFIK[status]?.test(body)) return true;
  if (status < 502 || status > 504) return false;
  const caddy = body === '' && /^caddy\b/i.test(header(headers, 'server'));
  return caddy || GATEWAY.test(body.slice(0, LONGEST_PAGE));
}

/** Titles of the pages that come with a web server, each beside its server. */
const DEFAULT_TITLES: readonly (readonly [RegExp, string])[] = [
  [/^Welcome to (nginx|OpenResty)\b/i, 'nginx'],
  [/^Test Page for the (nginx )?HTTP Server\b/i, 'nginx or Apache'],
  [
    /^(It works! Apache httpd|Apache2? [\w ]*Default Page\b.*|Test Page for the Apache HTTP Server\b.*)$/i,
    'Apache',
  ],
  [/^(Apache )?HTTP Server Test Page\b/i, 'Apache'],
  [/^Caddy works!$/i, 'Caddy'],
  [/^Traefik( Proxy)?$/i, 'traefik'],
];

/** Pages without a title that says it. */
const DEFAULT_BODIES: readonly (readonly [RegExp, string])[] = [
  [/^\s*<html>\s*<body>\s*<h1>It works!<\/h1>\s*<\/body>\s*<\/html>\s*$/i, 'Apache'],
  [/<h1>\s{0,9}Placeholder page\s{0,9}<\/h1>/i, 'lighttpd'],
];

/** The server whose default page this is; null for any other page. */
export function defaultPageOf({ body }: Page): string | null {
  const head = body.slice(0, LONGEST_PAGE);
  const title = titleOf(head);
  const titled = DEFAULT_TITLES.find(([pattern]) => pattern.test(title));
  const found = titled ?? DEFAULT_BODIES.find(([pattern]) => pattern.test(head));
  return found?.[1] ?? null;
}

/** The text of the first title, its white space made single; empty without one. */
export function titleOf(body: string): string {
  const head = body.slice(0, LONGEST_PAGE);
  const from = head.search(/<title[\s>]/i);
  if (from < 0) return '';
  const begin = head.indexOf('>', from) + 1;
  const end = head.indexOf('<', begin);
  if (begin === 0 || end < 0) return '';
  return head.slice(begin, end).trim().replaceAll(/\s+/g, ' ').slice(0, 200);
}

/** Headers in which caches say whether they asked anybody. */
const CACHE_HEADERS = ['x-cache', 'x-cache-status', 'x-proxy-cache', 'cf-cache-status'];

/**
 * The header by which the answer says that it came out of a cache, without the app having been asked; null
 * when none does. Such an answer may be that of the release before, or of an app that is gone.
 */
export function cachedBy({ headers }: Page): string | null {
  const quoted = (name: string): string => `${name}: ${quotableLine(header(headers, name)).slice(0, 100)}`;
  if (parseInt(header(headers, 'age'), 10) > 0) return quoted('age');
  // RFC 9211: `ExampleCache; hit, Other; fwd=miss`.
  if (/;\s*hit\b/i.test(header(headers, 'cache-status'))) return quoted('cache-status');
  const found = CACHE_HEADERS.find((name) => /(^|[\s,_])(hit|stale|updating)\b/i.test(header(headers, name)));
  return found === undefined ? null : quoted(found);
}

export function header(headers: Page['headers'], name: string): string {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? '');
}
