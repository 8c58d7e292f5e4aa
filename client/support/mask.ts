import { stripVTControlCharacters } from 'node:util';
import { redact } from '../../host/machine/process.ts';

/**
 * Takes credentials out of what leaves this host. What is known to be one is masked wherever it stands; what only looks
 * like one, too: a word too many that is masked costs a question, one too few a secret.
 */
export interface Mask {
  text(text: string): string;
  /** Of a JSON document: its texts, and all that is set in an environment or under the name of a secret. */
  value(value: unknown): unknown;
}

const MASKED = '***';

// Repetitions have an end, since no text may be so long that to look through it takes for ever.

/** What stands before the host of a URL, be it with characters that should have been encoded. */
const IN_URL =
  /\b([a-z][a-z0-9+.-]{0,20}:\/\/)(?:[^\s/?#"'<>]{0,2000}|[^\s/:@"'<>]{1,200}:[^\s@"'<>]{0,2000})@/gi;

const SECRET_NAME = String.raw`[\w.-]{0,60}(?:passw|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credential|auth(?!or))[\w.-]{0,60}`;
/** A setting as it is written in files, logs and queries of URLs; one that names a file does not hold what is in it. */
const SETTING = new RegExp(
  String.raw`\b(?![\w.-]{0,120}file\b)(${SECRET_NAME})(\\?["']?\s*[:=]\s*)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s"',;&]+)`,
  'gi',
);
const IS_SECRET_NAME = new RegExp(`^(?!.*file$)${SECRET_NAME}$`, 'i');
const HEADER = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** JSON's parser quotes the beginning of what it could not read. */
const QUOTED_BY_PARSER = /,? ?(?:\.\.\.)?"(?:(?!" is not valid)[\s\S]){0,200}"(?:\.\.\.)? is not valid JSON/g;

/** Bytes that a probe sends: in hexadecimal nobody sees whether they are a password. */
const IS_SENT = /^send$/;
/** Environments, by the names that they have in our files. */
const IS_ENVIRONMENT = /env(?:ironment)?$/i;

export function maskOf(known: readonly string[]): Mask {
  // A secret that another one begins with must not leave the other's end behind.
  const longestFirst = [...new Set(known)].sort((a, b) => b.length - a.length);

  function text(written: string): string {
    return redact(stripVTControlCharacters(written), longestFirst)
      .replaceAll(PRIVATE_KEY, MASKED)
      .replaceAll(IN_URL, `$1${MASKED}@`)
      .replaceAll(HEADER, `$1 ${MASKED}`)
      .replaceAll(SETTING, `$1$2${MASKED}`)
      .replaceAll(QUOTED_BY_PARSER, ' is not valid JSON');
  }

  function value(written: unknown, name = ''): unknown {
    if (typeof written === 'string')
      return IS_SECRET_NAME.test(name) || IS_SENT.test(name) ? MASKED : text(written);
    if (Array.isArray(written)) return written.map((one) => value(one, name));
    if (typeof written !== 'object' || written === null) return written;
    return Object.fromEntries(
      Object.entries(written).map(([key, one]) => [
        text(key),
        IS_ENVIRONMENT.test(name) ? MASKED : value(one, key),
      ]),
    );
  }

  return { text, value: (written) => value(written) };
}

const SHORTEST_SECRET = 4;
const SHORTEST_SETTING = 6;

/** What of these URLs is a credential, as it is written and as it is meant. */
export function credentialsIn(urls: readonly string[]): string[] {
  const found = urls.flatMap((url) => {
    const [, userinfo] = /^[a-z][a-z0-9+.-]*:\/\/([^\s/?#]*)@/i.exec(url) ?? [];
    if (userinfo === undefined) return [];
    const colon = userinfo.indexOf(':');
    const secret = colon < 0 ? userinfo : userinfo.slice(colon + 1);
    return [secret, decoded(secret)];
  });
  // `git@` is nobody's secret.
  return found.filter((secret) => secret.length >= SHORTEST_SECRET);
}

function decoded(written: string): string {
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

/**
 * Values that operators set and that may be secrets, to be masked where others quote them: not those that are too short
 * to be told from other words, nor what says nothing (numbers, the host's own names).
 */
export function settingsToMask(values: readonly string[], plain: readonly string[]): string[] {
  return values.filter(
    (one) =>
      one.length >= SHORTEST_SETTING &&
      !/^(?:[\d.:]+|true|false)$/.test(one) &&
      !plain.some((word) => word.includes(one)),
  );
}
