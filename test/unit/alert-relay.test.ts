import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Alert } from '../../domain/alert.ts';
import { overdueAlerts } from '../../alerts/overdue.ts';
import { createRelay, relayAlerts, type Relay, type RelaySettings } from '../../alerts/relay.ts';
import { sender, type Send } from '../../alerts/send.ts';
import { ALERT_TARGETS_SCHEMA } from '../../host/config/alert-targets.ts';
import { lockFile } from '../../host/machine/file-lock.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createAlerts, type Alerts } from '../../host/store/alerts.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { mortality } from './mortal-fs.ts';

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

/** Alerts on disk, a relay as the worker has it, and those who are told: real servers on this machine. */

interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

let state: string;
let alerts: Alerts;
let clock: Date;
let logged: object[];
let http: Server;
let origin: string;
let got: Got[];
/** What the server answers. */
let answer: { status: number; text: string; headers?: Record<string, string> };

beforeEach(async () => {
  state = mkdtempSync(path.join(os.tmpdir(), 'relay-'));
  alerts = createAlerts(state);
  clock = new Date(Date.UTC(2025, 0, 1));
  logged = [];
  got = [];
  answer = { status: 200, text: 'ok' };
  http = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      got.push({ path: request.url ?? '', headers: request.headers, body });
      response.writeHead(answer.status, answer.headers).end(answer.text);
    });
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});
afterEach(() => {
  http.closeAllConnections();
  http.close();
  rmSync(state, { recursive: true });
});

const hours = (count: number): void => {
  clock = new Date(clock.getTime() + count * 3_600_000);
};
const GITEA = { is: 'recipe', name: 'gitea' } as const;
const FAILED: Alert = {
  kind: 'promote-failed',
  subject: GITEA,
  message: '3.6.0+1: read-only',
  evidence: '/state/runs/sweep-1/gitea/promote/app.log',
  run: 'sweep-1/gitea',
};

const configOf = (...targets: unknown[]) =>
  plainConfig({
    host: 'ci-1',
    zone: 'ci.example.org',
    state,
    recipes: '',
    alerts: ALERT_TARGETS_SCHEMA.parse(targets),
  });
type TestConfig = ReturnType<typeof configOf>;

function relayOf(config: TestConfig, given: Partial<RelaySettings> = {}): Relay {
  return createRelay({
    config,
    log: {
      info: (line: object) => void logged.push(line),
      warn: (line: object) => void logged.push(line),
    },
    lock: async () => ({ giveBack: async () => undefined }),
    send: sender(config),
    now: () => clock,
    random: () => 1,
    ...given,
  });
}

/** One look of each target, and of who archives. */
async function pass(relay: Relay): Promise<void> {
  await Promise.all(relay.targets.map((target) => relay.deliver(target)));
  await relay.archive();
}

const bodies = () => got.map(({ body }) => parseDocument('webhook', body));
const files = (...place: string[]): string[] => {
  const folder = path.join(state, 'alerts', ...place);
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
};
const webhook = (where = '/hooks/5e4dbeef-not-for-everybody') => ({ webhook: { url: `${origin}${where}` } });

describe('an alert', () => {
  test('is told once, its end once, and then it is archived', async () => {
    const relay = relayOf(configOf(webhook()));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    hours(24 * 7);
    await alerts.raise({ ...FAILED, run: 'sweep-2/gitea' }, clock);
    await pass(relay);
    await pass(relay);
    expect(bodies().map(({ event }) => event)).toEqual(['holds']);
    await alerts.end('promote-failed', GITEA, clock);
    await pass(relay);
    await pass(relay);
    const [began, ended] = bodies();
    expect(bodies()).toHaveLength(2);
    expect(began).toMatchObject({
      host: 'ci-1',
      title: 'ci-1: promote-failed of gitea',
      alert: { ended: null },
    });
    expect(ended).toMatchObject({
      event: 'over',
      about: began?.about,
      alert: { ended: clock.toISOString() },
    });
    expect([files('ended'), files('seen')]).toEqual([
      [],
      ['promote-failed-recipe-gitea-20250101T000000000Z.json'],
    ]);
    expect(Object.keys(relayed().alerts)).toEqual([]);
    expect(got[0]?.headers).toMatchObject({
      'idempotency-key': began?.id,
      'content-type': 'application/json',
    });
  });

  test('whose message names another release is told once more', async () => {
    const relay = relayOf(configOf(webhook()));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    await alerts.raise({ ...FAILED, message: '3.7.0+1: read-only' }, clock);
    await pass(relay);
    await pass(relay);
    expect(bodies().map(({ event, alert }) => [event, alert?.message])).toEqual([
      ['holds', '3.6.0+1: read-only'],
      ['changed', '3.7.0+1: read-only'],
    ]);
    expect(new Set(bodies().map(({ id }) => id)).size).toBe(2);
  });

  test('that came and went while a target was away is told as over', async () => {
    const relay = relayOf(configOf(webhook()));
    await pass(relay);
    answer = { status: 503, text: '' };
    await alerts.raise(FAILED, clock);
    await pass(relay);
    hours(1);
    await alerts.end('promote-failed', GITEA, clock);
    answer = { status: 204, text: '' };
    await pass(relay);
    expect(bodies().map(({ event }) => event)).toEqual(['holds', 'over']);
    expect(bodies().at(-1)?.text).toContain('Of its beginning you were not told');
    expect(files('seen')).toHaveLength(1);
  });

  test('that was over before there was a target is archived untold', async () => {
    await alerts.raise(FAILED, clock);
    await alerts.end('promote-failed', GITEA, clock);
    hours(1);
    await pass(relayOf(configOf(webhook())));
    expect([got, files('seen').length]).toEqual([[], 1]);
  });

  test('that somebody moved away while it held is told anew when it is raised, and not before', async () => {
    const relay = relayOf(configOf(webhook()));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    rmSync(path.join(state, 'alerts', files()[0] ?? ''));
    await pass(relay);
    hours(1);
    await alerts.raise(FAILED, clock);
    await pass(relay);
    expect(bodies().map(({ event }) => event)).toEqual(['holds', 'holds']);
  });

  test('that cannot be read is said once, and holds up no other', async () => {
    const relay = relayOf(configOf(webhook()));
    await alerts.raise(FAILED, clock);
    writeFileSync(path.join(state, 'alerts', 'tag-moved-recipe-ghost.json'), '{');
    await pass(relay);
    await pass(relay);
    expect(got).toHaveLength(1);
    expect(logged.filter((line) => JSON.stringify(line).includes('tag-moved-recipe-ghost'))).toHaveLength(1);
  });
});

function relayed(): { alerts: object; failing: { since: string; error: string } | null } {
  const [name = ''] = files('relayed');
  return JSON.parse(readFileSync(path.join(state, 'alerts', 'relayed', name), 'utf8')) as ReturnType<
    typeof relayed
  >;
}

describe('a target that is away', () => {
  test('is tried again ever less often, holds up no other, and is told in the end', async () => {
    const config = configOf(webhook(), { webhook: { url: 'http://127.0.0.1:9/' } });
    let isAway = true;
    const toReal = sender(config);
    const tried: number[] = [];
    const send: Send = async (access, message) => {
      if (access.is !== 'webhook' || !access.url.includes(':9/')) return toReal(access, message);
      tried.push(clock.getTime());
      if (isAway) return toReal(access, message);
    };
    const relay = relayOf(config, { send });
    await alerts.raise(FAILED, clock);
    for (let second = 0; second < 3 * 3_600; second += 10) {
      await pass(relay);
      clock = new Date(clock.getTime() + 10_000);
    }
    expect(got).toHaveLength(1);
    const waits = tried.slice(1).map((time, index) => (time - (tried[index] ?? 0)) / 1_000);
    expect(waits).toEqual([20, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800, 1800]);
    expect(await overdueAlerts(config, clock)).toMatchObject({ overdue: [] });
    hours(24);
    expect(await overdueAlerts(config, clock)).toMatchObject({
      overdue: [
        {
          alert: path.join(state, 'alerts', 'promote-failed-recipe-gitea.json'),
          target: 'webhook at http://127.0.0.1:9',
          since: '2025-01-01T00:00:00.000Z',
          error: expect.stringContaining('ECONNREFUSED') as string,
        },
      ],
      unseen: [],
    });
    isAway = false;
    await pass(relay);
    expect(await overdueAlerts(config, clock)).toMatchObject({ overdue: [] });
    expect(tried).toHaveLength(13);
  });

  test('is one that refuses, too, and what it says is quoted without secrets', async () => {
    const token = path.join(state, 'token');
    writeFileSync(token, 'tk_sesame-open\n');
    answer = { status: 403, text: 'no hook /hooks/5e4dbeef-not-for-everybody for tk_sesame-open\u001b[31m' };
    const { webhook: hook } = webhook();
    const relay = relayOf(configOf({ webhook: { ...hook, tokenFile: token } }));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    expect(got[0]?.headers.authorization).toBe('Bearer tk_sesame-open');
    const { error = '' } = relayed().failing ?? {};
    expect(error).toContain(`${origin}: 403, no hook *** for ***`);
    expect(error).toContain('look at tokenFile');
    for (const secret of ['5e4dbeef', 'sesame', '\u001b']) {
      expect(JSON.stringify([error, logged])).not.toContain(secret);
    }
  });

  test('is not followed to where it sends us', async () => {
    answer = { status: 302, text: '', headers: { location: 'https://elsewhere.example.org/secret' } };
    await alerts.raise(FAILED, clock);
    await pass(relayOf(configOf(webhook())));
    expect(relayed().failing?.error).toContain('sends us on to https://elsewhere.example.org: write');
    expect(got).toHaveLength(1);
  });

  test('that refuses one message takes the others', async () => {
    const other = { ...FAILED, kind: 'tag-moved' } as const;
    const config = configOf(webhook());
    const toReal = sender(config);
    const send: Send = (access, message) => {
      answer = { status: message.alert?.kind === 'promote-failed' ? 413 : 200, text: '' };
      return toReal(access, message);
    };
    await alerts.raise(FAILED, clock);
    await alerts.raise(other, clock);
    await pass(relayOf(config, { send }));
    expect(Object.keys(relayed().alerts)).toEqual(['tag-moved-recipe-gitea-20250101T000000000Z']);
    expect(relayed().failing?.error).toContain('413');
  });

  test('whose secret cannot be read is one that is away', async () => {
    await alerts.raise(FAILED, clock);
    await pass(relayOf(configOf({ ntfy: { urlFile: path.join(state, 'none') } })));
    expect(relayed().failing?.error).toContain('alerts.0.ntfy.urlFile');
  });

  test('is none any more once nothing is owed', async () => {
    const relay = relayOf(configOf(webhook()));
    answer = { status: 500, text: '' };
    await alerts.raise(FAILED, clock);
    await pass(relay);
    rmSync(path.join(state, 'alerts', files()[0] ?? ''));
    hours(1);
    await pass(relay);
    expect(relayed().failing).toBeNull();
  });
});

describe('after a crash', () => {
  /** A worker that is killed at that file operation, before it or after it; answers whether it was. */
  async function killedAt(moment: number): Promise<boolean> {
    let moments = 0;
    let isDone = false;
    const mortal = {
      get dead() {
        moments += 1;
        return moments >= moment;
      },
    };
    void mortality
      .run(mortal, () => pass(relayOf(configOf(webhook()))))
      .then(() => {
        isDone = true;
      });
    await vi.waitUntil(() => isDone || moments >= moment, { interval: 1 });
    return !isDone;
  }

  test('between sending and writing it down, it is told again under the same ID', async () => {
    const self = { dead: false };
    const config = configOf(webhook());
    const toReal = sender(config);
    const send: Send = async (access, message) => {
      await toReal(access, message);
      self.dead = true;
    };
    await alerts.raise(FAILED, clock);
    void mortality.run(self, () => pass(relayOf(config, { send })));
    await vi.waitUntil(() => self.dead);
    hours(1);
    await pass(relayOf(config));
    await pass(relayOf(config));
    const [first, second] = bodies();
    expect(bodies()).toHaveLength(2);
    expect(second).toEqual(first);
  });

  test('anywhere else it is told once', async () => {
    let isKilled = true;
    let deaths = 0;
    /** What is to be told is told by who is killed, or by who comes after. */
    const told = async (event: string, moment: number): Promise<boolean> => {
      const before = got.length;
      const isDead = await killedAt(moment);
      const isSent = got.length > before;
      const isWritten = JSON.stringify(files('relayed').length > 0 ? relayed() : '').includes(event);
      const isArchived = files('seen').length > 0;
      await pass(relayOf(configOf(webhook())));
      const mine = bodies().slice(before);
      expect(mine.length, `killed at ${moment}`).toBe(isSent && !isWritten && !isArchived ? 2 : 1);
      expect(new Set(mine.map(({ id }) => id)).size).toBe(1);
      if (isDead) deaths += 1;
      return isDead;
    };
    for (let moment = 1; isKilled; moment++) {
      rmSync(path.join(state, 'alerts'), { recursive: true, force: true });
      await alerts.raise(FAILED, clock);
      isKilled = await told('"times"', moment);
      await alerts.end('promote-failed', GITEA, clock);
      isKilled = (await told('"over":"', moment)) || isKilled;
      expect(files('seen')).toHaveLength(1);
    }
    expect(deaths).toBeGreaterThan(50);
  });

  test('what was sent and could not be written down is not sent again by who knows it', async () => {
    const config = configOf(webhook());
    const relay = relayOf(config);
    await pass(relay);
    await alerts.raise(FAILED, clock);
    const folder = path.join(state, 'alerts', 'relayed');
    const [name = ''] = files('relayed');
    const text = readFileSync(path.join(folder, name), 'utf8');
    const toReal = sender(config);
    let isBroken = true;
    const breaking = relayOf(config, {
      async send(access, message) {
        await toReal(access, message);
        if (!isBroken) return;
        // Where a folder stands no file can be put.
        rmSync(path.join(folder, name));
        mkdirSync(path.join(folder, name));
      },
    });
    await pass(breaking);
    isBroken = false;
    rmSync(path.join(folder, name), { recursive: true });
    writeFileSync(path.join(folder, name), text);
    hours(1);
    await pass(breaking);
    expect(got).toHaveLength(1);
    expect(Object.keys(relayed().alerts)).toHaveLength(1);
  });
});

test('of two workers one tells', async () => {
  const commands = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  const lock = (file: string) => lockFile(file, { commands, endOrphans: async () => undefined });
  const config = configOf(webhook());
  await alerts.raise(FAILED, clock);
  await Promise.all([
    pass(relayOf(config, { lock })),
    pass(relayOf(config, { lock })),
    pass(relayOf(config, { lock })),
  ]);
  await alerts.end('promote-failed', GITEA, clock);
  await Promise.all([pass(relayOf(config, { lock })), pass(relayOf(config, { lock }))]);
  expect(bodies().map(({ event }) => event)).toEqual(['holds', 'over']);
});

describe("the worker's own", () => {
  const log = { info: () => undefined, warn: () => undefined } as unknown as RelaySettings['log'];

  test('goes on until it is to end', async () => {
    await alerts.raise(FAILED, new Date());
    const ending = new AbortController();
    const running = relayAlerts(configOf(webhook()), { log, signal: ending.signal });
    await vi.waitUntil(() => Object.keys(files('relayed').length > 0 ? relayed().alerts : {}).length > 0);
    ending.abort();
    await running;
    expect(got).toHaveLength(1);
  });

  test('forgets a target that is configured no more', async () => {
    await pass(relayOf(configOf(webhook())));
    expect(files('relayed')).toHaveLength(1);
    await relayAlerts(configOf(), { log, signal: new AbortController().signal });
    expect(files('relayed')).toEqual([]);
  });

  test('without a target leaves everything as it is', async () => {
    await alerts.raise(FAILED, clock);
    await alerts.end('promote-failed', GITEA, clock);
    await relayAlerts(configOf(), { log, signal: new AbortController().signal });
    expect([files('ended').length, files('seen').length]).toEqual([1, 0]);
  });
});

describe('a mail', () => {
  interface Mail {
    from: string;
    to: string[];
    text: string;
    user: string | undefined;
  }
  let mails: Mail[];
  let smtp: SMTPServer;
  let server: string;
  let refusal: string | null;
  beforeEach(async () => {
    mails = [];
    refusal = null;
    smtp = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      authOptional: true,
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        if (password === 'open sesame') done(null, { user: username });
        else done(new Error(`not ${password}`));
      },
      onRcptTo({ address }, _session, done) {
        done(address === refusal ? new Error('nobody here') : null);
      },
      onData(stream, session, done) {
        let text = '';
        stream.setEncoding('utf8');
        stream.on('data', (chunk: string) => (text += chunk));
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope;
          const from = mailFrom === false ? '' : mailFrom.address;
          mails.push({ from, to: rcptTo.map(({ address }) => address), text, user: session.user as string });
          done();
        });
      },
    });
    smtp.on('error', () => undefined);
    const listening = smtp.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    server = `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise<void>((resolve) => smtp.close(() => resolve())));

  const mail = (more: object = {}) => ({
    mail: {
      to: ['ops@example.org', 'also@example.org'],
      from: 'recipe-sweep@ci.example.org',
      server,
      ...more,
    },
  });
  const header = (text: string, name: string): string =>
    RegExp(`^${name}: (.*(?:\\r\\n[ \\t].*)*)`, 'mi')
      .exec(text)?.[1]
      ?.replaceAll(/\r\n\s/g, ' ') ?? '';

  test('goes to each address by itself, and those of one alert are found together', async () => {
    const relay = relayOf(configOf(mail()));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    await alerts.end('promote-failed', GITEA, clock);
    await pass(relay);
    await pass(relay);
    expect(mails.map(({ to }) => to)).toEqual(
      expect.arrayContaining([['also@example.org'], ['ops@example.org']]),
    );
    expect(mails).toHaveLength(4);
    const mine = mails.filter(({ to }) => to[0] === 'ops@example.org').map(({ text }) => text);
    expect(mine.map((text) => header(text, 'Subject'))).toEqual([
      '[recipe-sweep] ci-1: promote-failed of gitea',
      '[recipe-sweep] ci-1: over: promote-failed of gitea',
    ]);
    const [ids, references] = ['Message-ID', 'References'].map((name) =>
      mine.map((text) => header(text, name)),
    );
    expect(new Set(ids).size).toBe(2);
    expect(ids?.[0]).toMatch(/^<[0-9a-f]{32}\.alert@ci\.example\.org>$/);
    expect(new Set(references).size).toBe(1);
    expect(mine[0]).toContain('3.6.0+1: read-only');
    expect(mine[0]).toContain('What to do: open the evidence');
    expect(header(mine[0] ?? '', 'Auto-Submitted')).toBe('auto-generated');
  });

  test('that one address does not get is tried again for that one alone', async () => {
    refusal = 'ops@example.org';
    const relay = relayOf(configOf(mail()));
    await alerts.raise(FAILED, clock);
    await pass(relay);
    refusal = null;
    hours(1);
    await pass(relay);
    expect(mails.map(({ to }) => to)).toEqual([['also@example.org'], ['ops@example.org']]);
  });

  test('is sent with the login, and a wrong password is shown to nobody', async () => {
    const passwordFile = path.join(state, 'password');
    writeFileSync(passwordFile, 'open sesame\n');
    const config = configOf(mail({ user: 'recipe-sweep', passwordFile, to: ['ops@example.org'] }));
    await alerts.raise(FAILED, clock);
    await pass(relayOf(config));
    expect(mails).toMatchObject([{ user: 'recipe-sweep' }]);
    writeFileSync(passwordFile, 'close sesame\n');
    await alerts.end('promote-failed', GITEA, clock);
    await pass(relayOf(config));
    expect(relayed().failing?.error).toContain('look at user and passwordFile');
    expect(JSON.stringify([relayed(), logged])).not.toContain('close sesame');
  });

  test('with text of others in it has that one subject and that one body', async () => {
    const hostile: Alert = {
      ...FAILED,
      subject: { is: 'recipe', name: 'gitea\r\nBcc: all@example.org\r\n\u202eevil ünïcode' },
      message: `line\r\n.\r\nMAIL FROM:<x@example.org>\r\n\u001b[31m${'y'.repeat(100_000)}`,
    };
    await alerts.raise(hostile, clock);
    await pass(relayOf(configOf(mail({ to: ['ops@example.org'] }))));
    expect(mails).toHaveLength(1);
    const [{ text, to } = { text: '', to: [] }] = mails;
    expect(to).toEqual(['ops@example.org']);
    expect(header(text, 'Bcc')).toBe('');
    expect(header(text, 'Subject')).not.toBe('');
    expect(text.length).toBeLessThan(10_000);
    expect(text).not.toContain('\u001b');
  });

  test('with a login goes over no wire without TLS', async () => {
    const passwordFile = path.join(state, 'password');
    writeFileSync(passwordFile, 'open sesame\n');
    const named = server.replace('127.0.0.1', '0.0.0.0');
    const login = { server: named, user: 'recipe-sweep', passwordFile, to: ['ops@example.org'] };
    await alerts.raise(FAILED, clock);
    await pass(relayOf(configOf(mail(login))));
    expect(mails).toEqual([]);
    expect(relayed().failing?.error).toContain('TLS');
  });
});

describe('a topic of ntfy', () => {
  test('is told in JSON, so that no header has text of others, cut before it becomes a file', async () => {
    const token = path.join(state, 'token');
    writeFileSync(token, 'tk_1');
    const hostile: Alert = {
      ...FAILED,
      kind: 'service-down',
      subject: { is: 'recipe', name: 'ünï\r\nX-Evil: 1' },
      message: 'ß'.repeat(50_000),
    };
    await alerts.raise(hostile, clock);
    const relay = relayOf(configOf({ ntfy: { url: `${origin}/recipe-sweep_1`, tokenFile: token } }));
    await pass(relay);
    await alerts.end('service-down', hostile.subject, clock);
    await pass(relay);
    const [began, ended] = got.map(({ body }) => JSON.parse(body) as Record<string, string | number>);
    expect(got.map(({ path: where }) => where)).toEqual(['/', '/']);
    expect(began).toMatchObject({
      topic: 'recipe-sweep_1',
      title: 'ci-1: service-down of ünï X-Evil: 1',
      priority: 5,
    });
    expect(Buffer.byteLength(String(began?.['message']))).toBeLessThan(4_096);
    expect(String(began?.['message'])).not.toContain('\ufffd');
    expect(ended).toMatchObject({ title: 'ci-1: over: service-down of ünï X-Evil: 1', priority: 2 });
    expect(got[0]?.headers).not.toHaveProperty('x-evil');
    expect(got[0]?.headers.authorization).toBe('Bearer tk_1');
    expect(began?.['sequence_id']).toMatch(/^[0-9a-f]{32}$/);
  });
});
