import { Fault } from '../../domain/fault.ts';
import { checkGitUrl, type GitUrl } from '../../domain/git-url.ts';
import { isRecipeName } from '../../domain/names.ts';
import { mirrorUrl, type Config } from './config.ts';
import { readSecretFile } from './secret-file.ts';

/** The forge that the mirrors are on: as whom it is asked, and which of its repositories is whose mirror. */

/** What of the configuration says it. */
export type ForgeConfig = Pick<Config, 'forge' | 'mirrors'>;

/** What an adapter of the forge is made with. */
export interface ForgeAccess {
  url: string;
  token: string;
  /** Where the token stands. */
  tokenFile: string;
}

/**
 * Reads the token. Null where the configuration names no forge. Throws Fault BadConfig for a file that cannot be read, or
 * holds no token.
 */
export async function forgeAccess({ forge }: Pick<Config, 'forge'>): Promise<ForgeAccess | null> {
  if (forge === undefined) return null;
  const { url, tokenFile } = forge;
  const token = await readSecretFile(
    'forge.tokenFile',
    tokenFile,
    'docs/pull-requests.md says how to make one',
  );
  // It goes into a header, and into a line that git reads.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Fault(
      'BadConfig',
      `forge.tokenFile: ${tokenFile} holds more than a token: one word, in one line`,
    );
  }
  return { url, token, tokenFile };
}

/** The repository on the forge, by its owner and its name, that a recipe's mirror is; null where it is elsewhere. */
export function mirrorOnForge(config: ForgeConfig, recipe: string): { owner: string; name: string } | null {
  if (config.forge === undefined) return null;
  const mirror = checkGitUrl(mirrorUrl(config, recipe));
  return mirror.ok ? onForge(config, mirror) : null;
}

/** The recipe that a repository on the forge is the mirror of; null where it is none's. */
export function recipeOfMirror(
  config: ForgeConfig,
  { owner, name }: { owner: string; name: string },
): string | null {
  const marked = mirrorOnForge(config, MARK);
  if (marked === null) return null;
  const isIn = RegExp(
    `^${escaped(`${marked.owner}/${marked.name}`)
      .replace(MARK, '(?<recipe>[a-z0-9-]+)')
      .replaceAll(MARK, String.raw`\k<recipe>`)}$`,
    // As forges take the names of their repositories.
    'i',
  );
  const recipe = isIn.exec(`${owner}/${name}`)?.groups?.['recipe']?.toLowerCase();
  return recipe !== undefined && isRecipeName(recipe) ? recipe : null;
}

/** Stands for a recipe's name, and is none. */
const MARK = 'recipe--name';

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

/** Throws Fault BadConfig where mirrors on the forge have credentials in their URL, beside the token. */
export function refuseTwoLogins(config: ForgeConfig): void {
  const mirror = checkGitUrl(mirrorUrl(config, MARK));
  if (!mirror.ok || mirror.credentials === null || onForge(config, mirror) === null) return;
  throw new Fault(
    'BadConfig',
    'mirrors: there is a name or a password before the host, which is the forge, and git says the token of forge.tokenFile there: take them out',
  );
}

/**
 * A mirror's URL with what git says when the forge asks who it is: the token, where the mirror is on the forge. Throws
 * Fault BadConfig as {@link forgeAccess} does, and where the URL has credentials of its own beside.
 */
export async function withForgeToken(config: ForgeConfig, mirror: GitUrl): Promise<GitUrl> {
  if (onForge(config, mirror) === null) return mirror;
  refuseTwoLogins(config);
  const access = await forgeAccess(config);
  if (access === null) return mirror;
  const { origin } = new URL(mirror.url);
  // Forges go by the token, whatever the name beside it.
  return { ...mirror, credentials: { origin, username: 'recipe-sweep', password: access.token } };
}

function onForge(
  { forge }: Pick<Config, 'forge'>,
  { url }: Pick<GitUrl, 'url'>,
): { owner: string; name: string } | null {
  if (forge === undefined || !/^https?:/.test(url)) return null;
  const [place, base] = [new URL(url), new URL(forge.url)];
  const root = `${base.pathname.replace(/\/+$/, '')}/`;
  if (place.origin !== base.origin || !place.pathname.startsWith(root)) return null;
  const [, owner, name] = /^([^/]+)\/([^/]+?)(?:\.git)?\/?$/.exec(place.pathname.slice(root.length)) ?? [];
  return owner === undefined || name === undefined
    ? null
    : { owner: decodeURIComponent(owner), name: decodeURIComponent(name) };
}
