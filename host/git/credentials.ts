import { randomBytes } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { GitUrl } from '../../domain/git-url.ts';

/** What a git command is given, so that it can say a URL's credentials. */
export interface GivenCredentials {
  env: Record<string, string>;
  /** To be masked in whatever it prints: a server may echo them. */
  secrets: readonly string[];
}

/** Where the helper finds them. */
const FILE = 'RECIPE_SWEEP_CREDENTIALS';

/**
 * Lets a git command answer with a URL's credentials when that very server asks, and no other it is sent on to. They
 * are in a file that only our user can read, so that no process listing shows them; it has no name, so that nothing of
 * it is left whenever we die. The helper's text is constant, so nothing in them can be a command.
 */
export async function withCredentials<T>(
  credentials: GitUrl['credentials'],
  use: (given: GivenCredentials | null) => Promise<T>,
): Promise<T> {
  if (credentials === null) return use(null);
  const { origin, username, password } = credentials;
  const file = await unnamedFile(`username=${username}\npassword=${password}\n`);
  try {
    return await use({
      env: {
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: `credential.${origin}.helper`,
        GIT_CONFIG_VALUE_0: `!f() { test "$1" = get && cat "$${FILE}"; }; f`,
        [FILE]: `/proc/${process.pid}/fd/${file.fd}`,
      },
      secrets: [...formsOf(password), Buffer.from(`${username}:${password}`).toString('base64')],
    });
  } finally {
    await file.close();
  }
}

function formsOf(secret: string): string[] {
  return [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')];
}

/** Whoever may look into our process can open it again, by its number there, and reads it from the start. */
async function unnamedFile(text: string): Promise<FileHandle> {
  const name = path.join(tmpdir(), `recipe-sweep-${randomBytes(12).toString('hex')}`);
  const file = await open(name, 'wx', 0o600);
  try {
    // Before there is anything in it.
    await rm(name);
    await file.writeFile(text);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
