import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { messageOf } from '../../domain/fault.ts';
import type { Config } from '../../host/config/config.ts';
import { createRealmsAt } from '../../host/keycloak/realms-at.ts';
import { createRealms, type NewRealm, type Realms } from '../../host/keycloak/realms.ts';
import { selfSigned } from '../fixtures/certificates.ts';

/** The realms of runs, asked of a Keycloak that is a server in this process. */

const ZONE = 'ci.test';
const DOMAIN = `warm-keycloak.${ZONE}`;
const ADMIN = { user: 'root', password: 'an admin’s pass&word' };

interface Asked {
  method: string;
  path: string;
  host: string;
  forwarded: string;
  body: string;
}

let server: Server;
let asked: Asked[];
/** Full representations, by name. */
let realms: Map<string, Record<string, unknown>>;
/** What it answers whatever it is asked, but for a token. */
let trouble: { status: number; body: string } | null;
/** Runs in the container. */
let execs: string[];
let ran: { status: number | null; output: string };
let origin: string | null;
let guards: number;

beforeEach(async () => {
  asked = [];
  realms = new Map([['master', { realm: 'master' }]]);
  trouble = null;
  execs = [];
  ran = { status: 0, output: `${ADMIN.user}\n${ADMIN.password}\n` };
  guards = 0;
  server = createServer((request, response) => {
    void (async () => {
      const { status, body } = answer(await read(request));
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === null ? '' : typeof body === 'string' ? body : JSON.stringify(body));
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function read(request: IncomingMessage): Promise<Asked & { authorization: string }> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  const { url = '', method = '', headers } = request;
  const one = {
    method,
    path: url,
    host: headers.host ?? '',
    forwarded: String(headers['x-forwarded-proto']),
    body: Buffer.concat(pieces).toString(),
  };
  asked.push(one);
  return { ...one, authorization: headers.authorization ?? '' };
}

function answer({ method, path: url, body, authorization }: Asked & { authorization: string }): {
  status: number;
  body: unknown;
} {
  if (url === '/realms/master/protocol/openid-connect/token') {
    const form = new URLSearchParams(body);
    const knows = form.get('username') === ADMIN.user && form.get('password') === ADMIN.password;
    return knows
      ? { status: 200, body: { access_token: 'a-token' } }
      : { status: 401, body: { error_description: `no such password: ${form.get('password')}` } };
  }
  if (trouble !== null) return trouble;
  const [, discovered] = /^\/realms\/([^/]+)\/\.well-known\/openid-configuration$/.exec(url) ?? [];
  if (discovered !== undefined) {
    return { status: 200, body: { issuer: `https://login.example.org/realms/${discovered}` } };
  }
  if (authorization !== 'Bearer a-token') return { status: 401, body: {} };
  if (method === 'POST' && url === '/admin/realms') {
    const made = JSON.parse(body) as { realm: string };
    if (realms.has(made.realm)) return { status: 409, body: { errorMessage: 'Conflict' } };
    realms.set(made.realm, made);
    return { status: 201, body: null };
  }
  if (url === '/admin/realms?briefRepresentation=true') {
    return { status: 200, body: [...realms.keys()].map((realm) => ({ realm, id: 'x' })) };
  }
  const name = decodeURIComponent(url.replace('/admin/realms/', ''));
  const found = realms.get(name);
  if (found === undefined) return { status: 404, body: { error: 'Realm not found.' } };
  if (method === 'DELETE') realms.delete(name);
  return method === 'DELETE' ? { status: 204, body: null } : { status: 200, body: found };
}

function at(lifetime: 'live' | 'cold' = 'live', keycloak?: Config['keycloak']): Realms {
  const realmsAt = createRealmsAt({
    config: { zone: ZONE, ...(keycloak === undefined ? {} : { keycloak }) },
    stacks: {
      origin: async () => origin,
      async exec(stack, service, command) {
        execs.push(`${stack}_${service}: ${command}`);
        return ran;
      },
    },
    signal: new AbortController().signal,
    guard: async () => void (guards += 1),
  });
  return realmsAt({ stack: 'warm-keycloak_ci_test', domain: DOMAIN, lifetime });
}

const MARK = { zone: ZONE, recipe: 'hedgedoc', workflow: { id: 'sweep-1/hedgedoc', runId: 'run-abcdef' } };
const REALM: NewRealm = {
  name: 'hedgedoc-abcdef',
  clientId: 'hedgedoc',
  user: 'hedgedoc-abcdef',
  mark: MARK,
  secrets: { clientSecret: 'the-client-secret', password: 'the-password' },
  redirectUris: ['https://hedg-abcdef.ci.test/*', 'https://warm-hedgedoc.ci.test/*'],
};
const OTHER = { ...MARK, workflow: { id: 'sweep-2/hedgedoc', runId: 'run-abcdef' } };

const changes = (): string[] =>
  asked
    .filter(({ method, path: url }) => method !== 'GET' && !url.endsWith('/token'))
    .map(({ method }) => method);

describe('a realm', () => {
  test('is made whole in one request, and its issuer is what Keycloak says', async () => {
    expect(await at().create(REALM)).toEqual({ issuer: 'https://login.example.org/realms/hedgedoc-abcdef' });
    expect(changes()).toEqual(['POST']);
    expect(guards).toBe(1);
    expect(realms.get(REALM.name)).toMatchObject({
      enabled: true,
      clients: [
        {
          clientId: 'hedgedoc',
          publicClient: false,
          secret: 'the-client-secret',
          redirectUris: ['https://hedg-abcdef.ci.test/*', 'https://warm-hedgedoc.ci.test/*'],
        },
      ],
      users: [
        {
          username: 'hedgedoc-abcdef',
          credentials: [{ type: 'password', value: 'the-password', temporary: false }],
        },
      ],
    });
  });

  test('is asked for as the proxy would ask', async () => {
    await at().create(REALM);
    expect(new Set(asked.map(({ host, forwarded }) => `${host} ${forwarded}`))).toEqual(
      new Set([`${DOMAIN} https`]),
    );
  });

  test('that the run has is made anew', async () => {
    await at().create(REALM);
    await at().create({ ...REALM, redirectUris: [] });
    expect(changes()).toEqual(['POST', 'POST', 'DELETE', 'POST']);
    expect(realms.get(REALM.name)).toMatchObject({ clients: [{ redirectUris: [] }] });
  });

  test.each([
    ['of another run', { ...REALM, mark: OTHER }],
    ['of another zone', { ...REALM, mark: { ...MARK, zone: 'other.test' } }],
  ])('%s is neither replaced nor removed', async (_, before) => {
    await at().create(before);
    await expect(at().create(REALM)).rejects.toMatchObject({ type: 'NotOurs' });
    await at().remove(REALM.name, MARK);
    expect([...realms.keys()]).toEqual(['master', REALM.name]);
  });

  test('of a stranger that looks like a run’s is left alone', async () => {
    realms.set(REALM.name, { realm: REALM.name, attributes: { 'recipe-sweep.zone': ZONE } });
    await expect(at().create(REALM)).rejects.toMatchObject({ type: 'NotOurs' });
    await at().remove(REALM.name, MARK);
    expect(await at().ours()).toEqual([]);
    expect(realms.has(REALM.name)).toBe(true);
  });

  test.each(['master', 'assembly', 'hedgedoc-abcdeg', 'Hedgedoc-abcdef', '-abcdef', 'a/b-abcdef', '..'])(
    'called %s is no run’s, whatever it says of itself',
    async (name) => {
      const attributes = {
        'recipe-sweep.zone': ZONE,
        'recipe-sweep.recipe': 'hedgedoc',
        'recipe-sweep.workflow': MARK.workflow.id,
        'recipe-sweep.run': MARK.workflow.runId,
      };
      realms.set(name, { realm: name, attributes });
      expect(await at().ours()).toEqual([]);
      await at().remove(name, MARK);
      await expect(at().create({ ...REALM, name })).rejects.toThrow(RangeError);
      expect(realms.has(name)).toBe(true);
      expect(changes()).toEqual([]);
    },
  );

  test('is removed once, and then there is nothing to remove', async () => {
    await at().create(REALM);
    expect(await at().ours()).toEqual([{ name: REALM.name, mark: MARK }]);
    await at().remove(REALM.name, MARK);
    await at().remove(REALM.name, MARK);
    expect([...realms.keys()]).toEqual(['master']);
    expect(changes()).toEqual(['POST', 'DELETE']);
  });
});

describe('a Keycloak', () => {
  test.each([
    [502, 'Bad Gateway'],
    [503, '{"error":"starting"}'],
    [200, 'a page of the proxy’s'],
  ])('that answers %i is away', async (status, body) => {
    trouble = { status, body };
    await expect(at().create(REALM)).rejects.toMatchObject({
      type: 'Dependency',
      message: expect.stringContaining(`keycloak at ${DOMAIN}: `),
    });
  });

  test('that listens no more is away', async () => {
    origin = 'http://127.0.0.1:1';
    await expect(at().ours()).rejects.toMatchObject({ type: 'Dependency' });
  });

  test('of which no task is here, where it can be asked in no other way, is away', async () => {
    origin = null;
    await expect(at().ours()).rejects.toMatchObject({ type: 'Dependency' });
  });

  test('whose certificate nobody vouches for, on the way over its domain, is told no password', async () => {
    const heard: string[] = [];
    const proxy = createTlsServer(selfSigned(DOMAIN), (request) => void heard.push(request.url ?? ''));
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const asked = createRealms({
      zone: ZONE,
      place: async () => ({
        domain: 'localhost',
        origin: `https://localhost:${(proxy.address() as AddressInfo).port}`,
      }),
      login: async () => ({ ...ADMIN, from: '', how: '' }),
      signal: new AbortController().signal,
      guard: async () => undefined,
    }).ours();
    await expect(asked).rejects.toMatchObject({
      type: 'Dependency',
      message: expect.stringMatching(/certificate/),
    });
    expect(heard).toEqual([]);
    await new Promise((resolve) => proxy.close(resolve));
  });

  test('that lets its admin do nothing is an operator’s to mend', async () => {
    trouble = { status: 403, body: '{}' };
    await expect(at().ours()).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.stringContaining('does not let its admin root do this'),
    });
  });
});

describe('its admin', () => {
  test('is the one that the recipe made, asked for in its container and by no argument', async () => {
    await at().ours();
    expect(execs).toEqual([
      `warm-keycloak_ci_test_app: printf '%s\\n' "\${ADMIN_USERNAME:-admin}" && cat /run/secrets/admin_password`,
    ]);
    expect(JSON.stringify(asked.map(({ path: url }) => url))).not.toContain('pass');
  });

  test('whose password was changed says where it was read, and what to do, and not what it is', async () => {
    ran.output = `${ADMIN.user}\nof-yesterday\n`;
    const said = await at()
      .ours()
      .then(() => 'taken', messageOf);
    expect(said).toContain('/run/secrets/admin_password in the container of warm-keycloak_ci_test_app');
    expect(said).toContain('keycloak.passwordFile');
    expect(said).not.toContain('of-yesterday');
  });

  test.each([
    ['no file', { status: 1, output: 'root\ncat: /run/secrets/admin_password: No such file or directory\n' }],
    ['nothing in it', { status: 0, output: 'root\n' }],
    ['no answer', { status: null, output: '' }],
  ])('without a password, for %s, is one to be named', async (_, found) => {
    ran = found;
    await expect(at().ours()).rejects.toMatchObject({ type: 'BadConfig' });
  });

  describe('that the configuration names', () => {
    let folder: string;
    let keycloak: NonNullable<Config['keycloak']>;
    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'realms-'));
      keycloak = { user: ADMIN.user, passwordFile: path.join(folder, 'password') };
      await writeFile(keycloak.passwordFile, `${ADMIN.password}\n`);
    });
    afterEach(() => rm(folder, { recursive: true }));

    test('is asked at the live service alone', async () => {
      await at('live', keycloak).ours();
      expect(execs).toEqual([]);
      await at('cold', keycloak).ours();
      expect(execs).toHaveLength(1);
    });

    test('and whose password is not taken is told by its file', async () => {
      await writeFile(keycloak.passwordFile, 'wrong');
      await expect(at('live', keycloak).ours()).rejects.toMatchObject({
        type: 'BadConfig',
        message: expect.stringContaining(`${keycloak.passwordFile} (keycloak.passwordFile)`),
      });
    });
  });
});
