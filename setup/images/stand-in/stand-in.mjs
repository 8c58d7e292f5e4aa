// What servers that stand in for apps have in common: `import { … } from '/stand-in.mjs'`.
import { execFileSync } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

/** What the file that an environment variable names holds: a secret, as most images take one. */
export function secretOf(variable) {
  return readFileSync(process.env[variable], 'utf8').trim();
}

/** The whole body of a request. */
export async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The body of a request in JSON; an empty object without one. */
export async function jsonOf(request) {
  const body = String(await bodyOf(request));
  return body === '' ? {} : JSON.parse(body);
}

/** The parts of a multipart form: `{ name, filename, type, content }` each. */
export async function partsOf(request) {
  const boundary = /boundary="?([^";]+)/.exec(request.headers['content-type'] ?? '')?.[1] ?? '';
  const text = (await bodyOf(request)).toString('latin1');
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      const head = part.slice(0, end);
      return {
        name: /name="([^"]*)"/.exec(head)?.[1] ?? '',
        filename: /filename="([^"]*)"/.exec(head)?.[1],
        type: /content-type: *(\S+)/i.exec(head)?.[1],
        content: Buffer.from(part.slice(end + 4, -2), 'latin1'),
      };
    });
}

/** An answer in JSON. */
export function json(value, status = 200, headers = {}) {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    text: JSON.stringify(value),
  };
}

/**
 * A database of PostgreSQL: `sql(query, values)` answers the rows, each of which must be one column of JSON. `:'name'` in
 * a query stands for a value, quoted by psql.
 */
export function postgres({ host, user, database = user, password }) {
  const env = { ...process.env, PGHOST: host, PGUSER: user, PGDATABASE: database, PGPASSWORD: password };
  const bare = ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set', 'ON_ERROR_STOP=1'];
  return (query, values = {}) => {
    const sets = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const printed = execFileSync('psql', [...bare, ...sets], { env, input: query, encoding: 'utf8' });
    return printed
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  };
}

/** Tries it each half second until it does not fail, as an app waits for its database. */
export async function untilItWorks(attempt) {
  for (;;) {
    try {
      return attempt();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** The cookies that came with a request. */
export function cookiesOf({ headers: { cookie = '' } }) {
  return Object.fromEntries(cookie.split(/; */).map((one) => one.split(/=(.*)/s)));
}

/** Puts a value and a signature into one text, and takes only those apart that it made. */
export function signing(secret) {
  const signatureOf = (value) => createHmac('sha256', secret).update(value).digest('base64url');
  return {
    sign: (value) => `${Buffer.from(value).toString('base64url')}.${signatureOf(value)}`,
    valueOf(signed = '') {
      const [encoded = '', signature = ''] = signed.split('.');
      const value = Buffer.from(encoded, 'base64url').toString();
      const [given, right] = [Buffer.from(signature), Buffer.from(signatureOf(value))];
      return given.length === right.length && timingSafeEqual(given, right) ? value : null;
    },
  };
}

/**
 * Answers HTTP at a port: `answer(request, url)` gives `{ status, headers, text }`, of which each may be left out, and null
 * for what there is not. What it throws is a 500 that says it.
 */
export function serve(port, answer) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    Promise.resolve()
      .then(() => answer(request, url))
      .catch((error) => ({ status: 500, text: String(error.message) }))
      .then((given) => {
        const { status = 200, headers = {}, text = '' } = given ?? { status: 404, text: 'not found' };
        response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers });
        response.end(text);
      })
      .catch(() => response.destroy());
  });
  server.listen(port);
  process.on('SIGTERM', () => process.exit(0));
  return server;
}
