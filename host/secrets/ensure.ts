import { randomInt } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type Dockerode from 'dockerode';
import { Fault } from '../../domain/fault.ts';
import { engine, engineMessage, engineStatus } from '../engine/daemon.ts';
import { LABEL } from '../../domain/labels.ts';
import type { NeededSecret } from './needed.ts';
import { fingerprintOf } from './fingerprint.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';

/** Where secrets are made: their values go from here to the engine and nowhere else. */
export interface SecretHost {
  docker: Dockerode;
  labels: Readonly<Record<string, string>>;
  guard: () => Promise<void>;
}

export type EnsuredSecrets = { ok: true } | { ok: false; reason: string };

/** The engine's own limit on a secret, in bytes. */
const LARGEST = 500 * 1024;

/** What a hook wrote into its folder for secrets. */
export interface WrittenSecrets {
  /** By the secret's key in compose. */
  values: ReadonlyMap<string, Buffer>;
  /** Why it cannot be taken as it is; null when it can. */
  problem: string | null;
}

/**
 * Reads the folder: each file is the value of the secret of that key. A single line loses its line end, as
 * `abra app secret insert <domain> <name> <version> <value>` has none; several lines are taken as they are, as
 * its `--file` does.
 */
async function readWrittenSecrets(folder: string): Promise<WrittenSecrets> {
  const values = new Map<string, Buffer>();
  const problems: string[] = [];
  for (const key of (await readdir(folder)).sort()) {
    const file = path.join(folder, key);
    const found = await lstat(file);
    const value = found.isFile() && found.size <= LARGEST ? withoutLineEnd(await readFile(file)) : null;
    if (!found.isFile()) problems.push(`${key} is not a file`);
    else if (value === null)
      problems.push(`${key} is larger than ${LARGEST} bytes, the most that a secret has`);
    else if (value.length === 0) problems.push(`${key} is empty`);
    else values.set(key, value);
  }
  return { values, problem: problems.length === 0 ? null : `in $SECRETS_DIR ${problems.join(', ')}` };
}

/**
 * Gives `use` a new folder below `scratch` that a hook may write secrets into. What `written` reads of it is read
 * once, so it is to be asked for when the hook has ended. The folder is gone afterwards, whatever happened.
 */
export async function inSecretsFolder<T>(
  scratch: string,
  use: (folder: string, written: () => Promise<WrittenSecrets>) => Promise<T>,
): Promise<T> {
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(path.join(scratch, 'secrets-'));
  let read: Promise<WrittenSecrets> | undefined;
  try {
    return await use(folder, () => (read ??= readWrittenSecrets(folder)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const LINE_END = /^([^\n]*?)\r?\n$/;

function withoutLineEnd(value: Buffer): Buffer {
  const [, line] = LINE_END.exec(value.toString('latin1')) ?? [];
  return line === undefined ? value : Buffer.from(line, 'latin1');
}

/**
 * Sees to it that each secret is on the engine; one that is there already stays as it is. `written` are the
 * values of those that the recipe's install hook brings, by key. Not ok when one is missing that must not be
 * generated, when the hook brings one that the recipe does not have, or when the engine takes none of that name.
 */
export async function ensureSecrets(
  host: SecretHost,
  needed: readonly NeededSecret[],
  written: WrittenSecrets['values'],
): Promise<EnsuredSecrets> {
  const keys = new Set(needed.map(({ key }) => key));
  const unknown = [...written.keys()].filter((key) => !keys.has(key));
  if (unknown.length > 0) {
    const known = keys.size === 0 ? 'none' : [...keys].join(', ');
    return {
      ok: false,
      reason: `the install hook inserts ${unknown.join(', ')}, but no service uses an external secret of that key; those are: ${known}`,
    };
  }
  if (needed.length === 0) return { ok: true };
  const listed = await engine('listing secrets', () => host.docker.listSecrets());
  const wanted = new Set(needed.map(({ name }) => name));
  const foreign = listed.find(({ Spec }) => {
    const stack = Spec?.Labels?.[STACK_LABEL];
    return wanted.has(Spec?.Name ?? '') && stack !== undefined && stack !== host.labels[STACK_LABEL];
  });
  if (foreign) {
    throw new Fault(
      'NotOurs',
      `secret ${foreign.Spec?.Name} belongs to stack ${foreign.Spec?.Labels?.[STACK_LABEL]}`,
    );
  }
  const present = new Set(listed.map(({ Spec }) => Spec?.Name));
  const missing = needed.filter(({ name }) => !present.has(name));
  const byHand = missing.filter(({ key, generate }) => !generate && !written.has(key));
  if (byHand.length > 0) {
    const names = byHand.map(({ key, name }) => `${name} ($SECRETS_DIR/${key})`).join(', ');
    return {
      ok: false,
      reason: `secrets that .env.sample says not to generate are missing: ${names}; the recipe's install hook has to insert them`,
    };
  }
  for (const secret of missing) {
    const value = written.get(secret.key) ?? Buffer.from(secretValue(secret));
    await host.guard();
    try {
      await engine(`creating secret ${secret.name}`, () =>
        host.docker.createSecret({
          Name: secret.name,
          Labels: { ...host.labels, [LABEL.fingerprint]: fingerprintOf(value.toString()) },
          Data: value.toString('base64'),
        }),
      );
    } catch (error) {
      const status = engineStatus(error);
      if (status === 400) {
        return { ok: false, reason: `the engine takes no secret ${secret.name}: ${engineMessage(error)}` };
      }
      // Somebody was quicker.
      if (status !== 409) throw error;
    }
  }
  return { ok: true };
}

const PASSPHRASE_WORDS = 6;
const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aeiou';

/**
 * A new random value. Without a length abra makes a passphrase of words joined by hyphens; ours has made-up
 * words of six letters in the same form.
 */
export function secretValue({ length, alphabet }: Pick<NeededSecret, 'length' | 'alphabet'>): string {
  if (length !== null) return Array.from({ length }, () => pick(alphabet)).join('');
  return Array.from({ length: PASSPHRASE_WORDS }, () =>
    Array.from({ length: 3 }, () => pick(CONSONANTS) + pick(VOWELS)).join(''),
  ).join('-');
}

function pick(alphabet: string): string {
  return alphabet.charAt(randomInt(alphabet.length));
}
