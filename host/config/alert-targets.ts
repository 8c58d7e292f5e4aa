import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../../domain/fault.ts';
import { withAbsoluteFiles } from './absolute-files.ts';
import { readSecretFile } from './secret-file.ts';

/** Who is told of alerts: what the configuration says of each, and what delivering to it needs. */

const url = z
  .url({ protocol: /^https?$/ })
  .refine(isWithoutLogin, 'has a name or a password before the host: write a token in tokenFile')
  .exactOptional();
const file = z.string().min(1);
const address = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/, 'a mail address, as in ops@example.org');

const posted = z
  .strictObject({ url, urlFile: file.exactOptional(), tokenFile: file.exactOptional() })
  .refine(
    (where) => (where.url === undefined) !== (where.urlFile === undefined),
    'needs url or urlFile, and not both',
  );

const mailed = z
  .strictObject({
    to: z.array(address).min(1),
    from: address,
    server: z
      .string()
      .regex(
        /^smtps?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/,
        'smtps:// or smtp://, a host and a port, as in smtps://mail.example.org:465',
      )
      .refine((server) => URL.canParse(server), 'no host and port'),
    user: z.string().min(1).exactOptional(),
    passwordFile: file.exactOptional(),
  })
  .refine(
    ({ user, passwordFile }) => (user === undefined) === (passwordFile === undefined),
    'user and passwordFile go together',
  );

/** What may stand under `alerts` of the configuration. */
export const ALERT_TARGETS_SCHEMA = z
  .array(
    z
      .strictObject({
        webhook: posted.exactOptional(),
        mail: mailed.exactOptional(),
        ntfy: posted.exactOptional(),
      })
      .refine((target) => Object.keys(target).length === 1, 'needs one of webhook, mail and ntfy'),
  )
  .superRefine((targets, context) => {
    // Asked also where something in it is wrong, which is said of it already.
    if (context.issues.length > 0) return;
    const seen = new Set<string>();
    for (const { key, at, name } of alertTargets(targets)) {
      if (seen.has(key)) context.addIssue({ code: 'custom', path: [at], message: `${name} is named twice` });
      seen.add(key);
    }
  });

type Settings = z.output<typeof ALERT_TARGETS_SCHEMA>;
type Posted = z.output<typeof posted>;
type Mailed = Omit<z.output<typeof mailed>, 'to'> & { to: string };

/** One who is told, and told alone: of a mail each address. */
export type AlertTarget = {
  /** What it is known by on disk, and nothing of it a secret; another one once it is told elsewhere. */
  key: string;
  /** For people: without what of its URL may be a secret. */
  name: string;
  /** Its place in the list. */
  at: number;
} & ({ is: 'webhook' | 'ntfy'; settings: Posted } | { is: 'mail'; settings: Mailed });

/** Those who are told, in the order of the configuration. */
export function alertTargets(settings: Settings): AlertTarget[] {
  return settings.flatMap(({ webhook, mail, ntfy }, at): AlertTarget[] => {
    if (webhook !== undefined) return [postedTarget('webhook', webhook, at)];
    if (ntfy !== undefined) return [postedTarget('ntfy', ntfy, at)];
    return (mail?.to ?? []).map((to): AlertTarget => {
      const one = { ...(mail as z.output<typeof mailed>), to };
      return { is: 'mail', key: keyOf('mail', one.server, to), name: `mail to ${to}`, at, settings: one };
    });
  });
}

function postedTarget(is: 'webhook' | 'ntfy', settings: Posted, at: number): AlertTarget {
  const where = settings.url === undefined ? `of ${settings.urlFile}` : `at ${new URL(settings.url).origin}`;
  const key = keyOf(is, settings.url ?? '', settings.urlFile ?? '');
  return { is, key, name: `${is} ${where}`, at, settings };
}

function keyOf(is: string, ...identity: string[]): string {
  return `${is}-${createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16)}`;
}

/** What delivering needs, with the secrets. */
export type AlertAccess =
  | { is: 'webhook'; url: string; token: string | null }
  /** `url` is the server's, which takes JSON for any topic. */
  | { is: 'ntfy'; url: string; topic: string; token: string | null }
  | { is: 'mail'; server: URL; from: string; to: string; login: { user: string; password: string } | null };

const HOW = 'docs/alerts.md says what is to stand there';

/** Reads a target's secrets. Throws Fault BadConfig for a file that cannot be read, or holds something else. */
export async function alertAccess({ is, at, settings }: AlertTarget): Promise<AlertAccess> {
  const key = (name: string): string => `alerts.${at}.${is}.${name}`;
  if (is === 'mail') {
    const { server, from, to, user, passwordFile } = settings;
    const login =
      user === undefined || passwordFile === undefined
        ? null
        : { user, password: await readSecretFile(key('passwordFile'), passwordFile, HOW) };
    return { is, server: new URL(server), from, to, login };
  }
  const { urlFile, tokenFile } = settings;
  const token = tokenFile === undefined ? null : await readSecretFile(key('tokenFile'), tokenFile, HOW);
  // It goes into a header.
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new Fault(
      'BadConfig',
      `${key('tokenFile')}: ${tokenFile} holds more than a token: one word, in one line`,
    );
  }
  const url = settings.url ?? (await readUrl(key('urlFile'), urlFile ?? ''));
  if (is === 'webhook') return { is, url, token };
  const topic = topicOf(url);
  if (topic === null) {
    const where = urlFile === undefined ? key('url') : `${key('urlFile')}: ${urlFile}`;
    throw new Fault('BadConfig', `${where}: no topic's URL, as in https://ntfy.sh/<topic>`);
  }
  return { is, ...topic, token };
}

async function readUrl(key: string, file: string): Promise<string> {
  const text = await readSecretFile(key, file, HOW);
  const read = z
    .url({ protocol: /^https?$/ })
    .refine(isWithoutLogin)
    .safeParse(text);
  if (read.success && !/\s/.test(text)) return text;
  throw new Fault(
    'BadConfig',
    `${key}: ${file} holds no URL: http:// or https:// in one line, without a name and a password before the host`,
  );
}

function isWithoutLogin(text: string): boolean {
  const { username, password } = URL.canParse(text) ? new URL(text) : { username: '', password: '' };
  return username === '' && password === '';
}

/** The server and the topic that a topic's URL names; null where it is none. */
function topicOf(text: string): { url: string; topic: string } | null {
  const { origin, pathname, search, hash } = new URL(text);
  const [, before, topic] = /^(.*\/)([-\w]{1,64})$/.exec(pathname) ?? [];
  if (before === undefined || topic === undefined || search !== '' || hash !== '') return null;
  return { url: `${origin}${before}`, topic };
}

const LONG_ENOUGH = 8;
const SURELY_ONE = 16;

/** What of a target is, or may be, a secret, to be masked wherever it stands: who knows a webhook's path may post there. */
export function secretsOfAccess(access: AlertAccess): string[] {
  if (access.is === 'mail') {
    if (access.login === null) return [];
    const { user, password } = access.login;
    const said = [password, `\0${user}\0${password}`].map((text) => Buffer.from(text).toString('base64'));
    return [password, ...said];
  }
  const whole = access.is === 'ntfy' ? `${access.url}${access.topic}` : access.url;
  const { pathname, search } = new URL(whole);
  const parts = `${pathname}${search}`.split(/[/?&=]/).filter((part) => part.length >= SURELY_ONE);
  const paths = [`${pathname}${search}`, pathname].filter((part) => part.length >= LONG_ENOUGH);
  return [...(access.token === null ? [] : [access.token]), ...paths, ...parts].sort(
    (one, other) => other.length - one.length,
  );
}

/** With its files absolute: relative paths start at that folder. */
export function withAbsoluteAlertFiles(settings: Settings, folder: string): Settings {
  return settings.map((target) =>
    Object.fromEntries(Object.entries(target).map(([is, part]) => [is, withAbsoluteFiles(part, folder)])),
  );
}
