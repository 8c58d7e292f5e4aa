import { stripVTControlCharacters } from 'node:util';
import { isSecretName } from '../../domain/secret-name.ts';
import { redact } from '../../host/machine/process.ts';

/**
 * Takes credentials out of what leaves this host. What is known to be one is masked wherever it stands; what only looks
 * like one, too: a word too many that is masked costs a question, one too few a secret.
 */
export interface Mask {
  text(text: string): string;
  /** Of a JSON document: its texts, and all that stands below an environment or the name of a secret. */
  value(value: unknown): unknown;
}

const MASKED = '***';

// Repetitions have an end, since no text may be so long that to look through it takes for ever.

/** What stands before the host of a URL, be it with characters that should have been encoded. */
const IN_URL =
  /\b([a-z][a-z0-9+.-]{0,20}:\/\/)(?:[^\s/?#"'<>]{0,2000}|[^\s/:@"'<>]{1,200}:[^\s@"'<>]{0,2000})@/gi;

/** `temporal.tls.key` is called like a key, and is where one stands. */
const IS_KEY = /(?:^|\.)key$/i;
const IS_PATH = /^[\\"']*\/[\w.-]+\/[\w./-]+[\\"']*$/;
/** Before a space, an equals sign or a colon. Names are not looked for in the middle of one. */
const NAME = /(?<![\w.-])[\w.-]+/g;
/** Between it and its value. */
const ASSIGNED = /\\?["']?\s*[:=]\s*/y;
const OF_AN_OPTION = /[ \t]+/y;
/** One that was cut off goes to the end. */
const IN_QUOTES = /\\"(?:[^"\\]|\\[^"])*(?:\\?"|$)|"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|'[^']*(?:'|$)/y;
/** To a space, or to the quote around the setting. */
const WORD = /(?:[^\s"'\\]|\\(?!")|(?:\\?["'])(?![\s"',;:)\]}\\]|$))+/y;
/** Of YAML: a text in the lines below, which are further in. */
const BLOCK = /[|>][\d+-]{0,2}[ \t]*(?:(?:\r?\n)+[ \t][^\n]*)+/y;
/** A list or a document, of which all is meant. */
const BEGINS_A_LIST = /[[{]\s*\\?["'[{]/y;
/** What a shell takes for the same word. */
const GOES_ON = /[\w"'$\\]/;
/** Of these headers all that is said. */
const HEADER =
  /\b((?:proxy-)?authorization|(?:set-)?cookie2?)(\\?["']?\s*[:=]\s*)(\\"(?:[^"\\]|\\[^"])*(?:\\")?|"[^"]*"?|'[^']*'?|[^\r\n"']+)/gi;
const SCHEME = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi;
/** Programs that are told a password behind a letter. */
const BEHIND_A_LETTER =
  /\b((?:sshpass|mysql\w{0,20}|mariadb[\w-]{0,20})\b[^\r\n;|&]{0,200}?\s-p)(?:\s*'[^']*'|\s*"[^"]*"|\s*[^\s"']+)/gi;
/** Those that whoever gives them out made to be known by their looks: of a swarm, GitHub, GitLab, Docker Hub, a JWT. */
const WELL_KNOWN =
  /\b(?:SWMTKN-[\w-]+|gh[pousr]_\w{8,}|github_pat_\w{8,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{8,}|dckr_[a-z]{3}_[\w-]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)/g;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** JSON's parser quotes the beginning of what it could not read. */
const QUOTED_BY_PARSER = /,? ?(?:\.\.\.)?"(?:(?!" is not valid)[\s\S]){0,200}"(?:\.\.\.)? is not valid JSON/g;

/** Bytes that a probe sends: in hexadecimal nobody sees whether they are a password. */
const IS_SENT = /^send$/;
/** Environments, by the names that they have in our files and the engine's. */
const IS_ENVIRONMENT = /env(?:ironment)?$/i;

/** Whether what stands under this name is one, as it is written there. */
function isSecret(name: string, written: string): boolean {
  return isSecretName(name) && !(IS_KEY.test(name) && IS_PATH.test(written));
}

/** The match at this very place of a text, by an expression that is sticky. */
function matchAt(sticky: RegExp, text: string, at: number): string | null {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0] ?? null;
}

/** A setting's value at this place of a text; null where there is none. */
function valueAt(text: string, begin: number): string | null {
  if (matchAt(BEGINS_A_LIST, text, begin) !== null) return text.slice(begin, endOfList(text, begin));
  const first = matchAt(BLOCK, text, begin) ?? matchAt(IN_QUOTES, text, begin);
  if (first === null) return matchAt(WORD, text, begin);
  let end = begin + first.length;
  while (/["']/.test(text.charAt(end - 1)) && GOES_ON.test(text.charAt(end))) {
    const next = matchAt(IN_QUOTES, text, end) ?? matchAt(WORD, text, end);
    if (next === null) break;
    end += next.length;
  }
  return text.slice(begin, end);
}

/** Behind the bracket that closes the one at this place; the end where none does. */
function endOfList(text: string, begin: number): number {
  let open = 0;
  for (let at = begin; at < text.length; at++) {
    const one = text.charAt(at);
    if (one === '[' || one === '{') open += 1;
    else if (one === ']' || one === '}') open -= 1;
    if (open === 0) return at + 1;
  }
  return text.length;
}

/** Settings as they are written in files, logs, queries of URLs and command lines. */
function withoutSettings(text: string): string {
  let masked = '';
  let done = 0;
  NAME.lastIndex = 0;
  for (let found = NAME.exec(text); found !== null; found = NAME.exec(text)) {
    const [name] = found;
    if (!isSecretName(name)) continue;
    const end = found.index + name.length;
    const between =
      matchAt(ASSIGNED, text, end) ?? (name.startsWith('-') ? matchAt(OF_AN_OPTION, text, end) : null);
    const begin = end + (between?.length ?? 0);
    const value = between === null ? null : valueAt(text, begin);
    if (value === null || !isSecret(name, value)) continue;
    masked += `${text.slice(done, begin)}${MASKED}`;
    done = begin + value.length;
    NAME.lastIndex = done;
  }
  return masked + text.slice(done);
}

export function maskOf(known: readonly string[]): Mask {
  // A secret that another one begins with must not leave the other's end behind.
  const longestFirst = [...new Set(known)].sort((a, b) => b.length - a.length);

  function text(written: string): string {
    const open = redact(stripVTControlCharacters(written), longestFirst)
      .replaceAll(PRIVATE_KEY, MASKED)
      .replaceAll(IN_URL, `$1${MASKED}@`)
      .replaceAll(HEADER, `$1$2${MASKED}`)
      .replaceAll(SCHEME, `$1 ${MASKED}`)
      .replaceAll(BEHIND_A_LETTER, `$1 ${MASKED}`)
      .replaceAll(WELL_KNOWN, MASKED);
    return withoutSettings(open).replaceAll(QUOTED_BY_PARSER, ' is not valid JSON');
  }

  function isHidden(name: string, written: unknown): boolean {
    if (IS_SENT.test(name) || IS_ENVIRONMENT.test(name)) return true;
    return isSecret(name, typeof written === 'string' ? written : '');
  }

  /** All below a name that hides what it has is hidden: numbers, and what has names of its own. */
  function value(written: unknown, hidden: boolean): unknown {
    if (written === null || written === undefined) return written;
    if (Array.isArray(written)) return written.map((one) => value(one, hidden));
    if (typeof written === 'object') {
      return Object.fromEntries(
        Object.entries(written).map(([key, one]) => [text(key), value(one, hidden || isHidden(key, one))]),
      );
    }
    if (hidden) return MASKED;
    if (typeof written === 'string') return text(written);
    return typeof written === 'number' && known.includes(String(written)) ? MASKED : written;
  }

  return { text, value: (written) => value(written, false) };
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

/** A variable that an operator set for an app. */
export interface Setting {
  name: string;
  value: string;
}

/**
 * Values that operators set and that may be secrets, to be masked where others quote them. One that is called like a
 * secret is one, unless it is too short to be told from other words. Of any other nothing is known: it is masked unless it
 * is short, says nothing (numbers, yes and no) or is part of the host's own names.
 */
export function settingsToMask(settings: readonly Setting[], plain: readonly string[]): string[] {
  return settings
    .filter(({ name, value }) => !SAYS_NOTHING.test(value) && isTold(name, value, plain))
    .map(({ value }) => value);
}

const SAYS_NOTHING = /^(?:true|false|none|null)$/i;

function isTold(name: string, value: string, plain: readonly string[]): boolean {
  if (isSecretName(name)) return value.length >= SHORTEST_SECRET;
  if (value.length < SHORTEST_SETTING || /^[\d.:]+$/.test(value)) return false;
  return !plain.some((word) => word.includes(value));
}
