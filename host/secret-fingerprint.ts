import { createHash, randomBytes } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';

/**
 * A service may print its own secrets, and what it prints is kept as evidence. Their values are known only in
 * the moment they are made: a later attempt, the upgrade, next month's promote must mask them all the same, and
 * a service that keeps crashing cannot be asked for them. So a secret carries a fingerprint, its length and a
 * salted sum, as a label. It finds the secret in a text and tells nobody what it is: one of fewer characters
 * than can be guessed is safe from no one who may read the labels, but they may read the secret as well.
 */

/** The fingerprint of a secret's value: `<length>:<salt>:<sum>`. */
export function fingerprintOf(value: string): string {
  const salt = randomBytes(12).toString('hex');
  return `${value.length}:${salt}:${sumOf(salt, value)}`;
}

interface Fingerprint {
  length: number;
  salt: string;
  sum: string;
}

/** Texts looked at before other work of this process gets its turn. */
const BREATHE_AFTER = 5_000;
const MASK = '***';

/** The text with the secrets masked whose fingerprints these are; what is no fingerprint is left out. */
export async function maskSecrets(text: string, fingerprints: readonly string[]): Promise<string> {
  const known = fingerprints.flatMap(parse);
  if (known.length === 0) return text;
  const found = new Set<string>();
  let looked = 0;
  for (const run of new Set(text.match(/\S+/g))) {
    for (const { length, salt, sum } of known) {
      for (let at = 0; at + length <= run.length; at++) {
        const candidate = run.slice(at, at + length);
        if (sumOf(salt, candidate) === sum) found.add(candidate);
        if (++looked % BREATHE_AFTER === 0) await breathe();
      }
    }
  }
  return [...found]
    .sort((a, b) => b.length - a.length)
    .reduce((masked, secret) => masked.replaceAll(secret, MASK), text);
}

function parse(written: string): Fingerprint[] {
  const [, length, salt, sum] = /^([1-9]\d{0,4}):([0-9a-f]{24}):([0-9a-f]{64})$/.exec(written) ?? [];
  return length === undefined || salt === undefined || sum === undefined
    ? []
    : [{ length: Number(length), salt, sum }];
}

function sumOf(salt: string, value: string): string {
  return createHash('sha256').update(salt).update(value).digest('hex');
}
