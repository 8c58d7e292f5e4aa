/**
 * Where a git repository is. Git reads far more into such a text than a place (`ext::sh -c …` runs a
 * command, `-oProxyCommand=…` as a host is an option of ssh), so only the plain forms are let through.
 */
export interface GitUrl {
  /** The text without its credentials: what a command line or a message may show. */
  url: string;
  /** What was written before the host of an http or https URL; never in a command line or a message. */
  credentials: { origin: string; username: string; password: string } | null;
  /** The folder on this host that the text names; null for a remote place. */
  folder: string | null;
}

export type GitUrlCheck = ({ ok: true } & GitUrl) | { ok: false; reason: string };

const LONGEST_URL = 2000;
/** Control characters, line separators and invisible ones such as those that turn the writing direction. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|%(?:[01][0-9a-f]|7f)/iu;
const HOST = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])`;
const USER = '[A-Za-z0-9_][A-Za-z0-9._-]*';
const HTTP = new RegExp(
  `^(?<scheme>https?)://(?:(?<userinfo>[^/?#@\\s\\\\]*)@)?(?<place>${HOST}(?::\\d{1,5})?)(?<path>/[^?#\\s\\\\]+)$`,
);
const GIT = new RegExp(`^git://${HOST}(?::\\d{1,5})?/[^?#\\s\\\\]+$`);
const SSH = new RegExp(`^ssh://(?:${USER}@)?${HOST}(?::\\d{1,5})?/[^?#\\s\\\\]+$`);
const SCP_LIKE = new RegExp(`^${USER}@${HOST}:(?![-:])[^?#\\s\\\\]+$`);

/**
 * Accepts an https, http, git, ssh or file URL, `user@host:path`, and an absolute path. Anything else comes
 * back as a reason: one sentence that does not quote the text, since it may hold a password.
 */
export function checkGitUrl(text: string): GitUrlCheck {
  if (text.length > LONGEST_URL) return { ok: false, reason: `longer than ${LONGEST_URL} characters` };
  if (UNPRINTABLE.test(text)) return { ok: false, reason: 'holds a control or an invisible character' };
  if (text.startsWith('/')) return { ok: true, url: text, credentials: null, folder: text };
  if (text.startsWith('file:///')) {
    const folder = decoded(text.slice('file://'.length));
    if (folder === null)
      return { ok: false, reason: 'holds a % that is not the beginning of an encoded character' };
    return { ok: true, url: text, credentials: null, folder };
  }
  if (GIT.test(text) || SSH.test(text) || SCP_LIKE.test(text)) {
    return { ok: true, url: text, credentials: null, folder: null };
  }
  const http = HTTP.exec(text)?.groups;
  if (!http) {
    return {
      ok: false,
      reason:
        'not a git URL: write https://host/path, ssh://user@host/path, git://host/path, file:///path, ' +
        'user@host:path or an absolute path',
    };
  }
  const origin = `${http['scheme']}://${http['place']}`;
  const url = `${origin}${http['path']}`;
  if (http['userinfo'] === undefined) return { ok: true, url, credentials: null, folder: null };
  const [, user = '', secret = ''] = /^([^:]*):?(.*)$/.exec(http['userinfo']) ?? [];
  const [username, password] = [decoded(user), decoded(secret)];
  if (username === null || password === null) {
    return {
      ok: false,
      reason: 'the credentials hold a % that is not the beginning of an encoded character',
    };
  }
  return { ok: true, url, credentials: { origin, username, password }, folder: null };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
