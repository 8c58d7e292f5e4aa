import { createHash, randomBytes } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';

/**
 * A service may print its own secrets, and what it prints is kept as evidence. Their values are known only in
 * the moment they are made: a later attempt, the upgrade, next month's promote must mask them all the same, and
 * a service that keeps crashing cannot be asked for them. So a secret carries a fingerprint, its length and a
 * salted sum, as a label. It finds the secret in a text and tells nobody what it is: one of fewer characters
 * than can be guessed is safe from no one who may read the labels, but they may read the secret as well.
 */

/** What is shorter stands in any text without being the secret. */
const SHORTEST = 4;
/** Of a secret with blanks in it, also each piece that is long enough to be no common word. */
const SHORTEST_PIECE = 8;
/** Of a longer secret, the first so many pieces. */
const MOST_PIECES = 200;

/** What of a secret is looked for: texts are looked through between their blanks, as a key's lines are logged. */
function piecesOf(value: string): string[] {
  const pieces = [...new Set(value.match(/\S+/g))];
  return pieces.length < 2
    ? pieces.filter(({ length }) => length >= SHORTEST)
    : pieces.filter(({ length }) => length >= SHORTEST_PIECE).slice(0, MOST_PIECES);
}

/**
 * The fingerprint of a secret's value: `<length>:<salt>:<sum>:<roll>` for each of its pieces, which is one for a
 * value without blanks. The roll says cheaply where a text is worth a sum; it tells less than the sum does.
 */
export function fingerprintOf(value: string): string {
  const salt = randomBytes(12).toString('hex');
  return piecesOf(value)
    .map((piece) => `${piece.length}:${salt}:${sumOf(salt, piece)}:${rollOf(salt, piece)}`)
    .join(' ');
}

/** Texts looked at before other work of this process gets its turn. */
const BREATHE_AFTER = 5_000;
/** Of these that are ruled out by their roll. */
const ROLLS_A_LOOK = 2;
const MASK = '***';

/** The text with the secrets masked whose fingerprints these are; what is no fingerprint is left out. */
export async function maskSecrets(text: string, fingerprints: readonly string[]): Promise<string> {
  const known = byLength(fingerprints);
  if (known.length === 0) return text;
  const found = new Set<string>();
  let looked = 0;
  for (const run of new Set(text.match(/\S+/g))) {
    for (const { length, salt, sums, rolls } of known) {
      const roll = rolls && rolling(salt, run, length);
      for (let at = 0; at + length <= run.length; at++) {
        looked += 1;
        if (rolls === null || rolls.has(roll?.(at) ?? -1)) {
          looked += ROLLS_A_LOOK;
          const candidate = run.slice(at, at + length);
          if (sums.has(sumOf(salt, candidate))) found.add(candidate);
        }
        if (looked < BREATHE_AFTER * ROLLS_A_LOOK) continue;
        looked = 0;
        await breathe();
      }
    }
  }
  return masked(text, [...found]);
}

/** The text with these secrets masked, whose values are still known, as their fingerprints would. */
export function maskValues(text: string, values: readonly string[]): string {
  return masked(text, [...new Set(values.flatMap((value) => [value.trim(), ...piecesOf(value)]))]);
}

function masked(text: string, secrets: readonly string[]): string {
  return secrets
    .filter(({ length }) => length >= SHORTEST)
    .sort((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, MASK), text);
}

interface Fingerprints {
  length: number;
  salt: string;
  sums: ReadonlySet<string>;
  /** Null when one of them was written without: then each place is worth a sum. */
  rolls: ReadonlySet<number> | null;
}

/** Those of one secret that are of one length are found by looking once. */
function byLength(fingerprints: readonly string[]): Fingerprints[] {
  const groups = new Map<
    string,
    { length: number; salt: string; sums: Set<string>; rolls: Set<number> | null }
  >();
  for (const written of fingerprints.flatMap((one) => one.split(' '))) {
    const [, length, salt, sum, roll] = FINGERPRINT.exec(written) ?? [];
    if (length === undefined || salt === undefined || sum === undefined) continue;
    const key = `${length}:${salt}`;
    const group = groups.get(key) ?? { length: Number(length), salt, sums: new Set(), rolls: new Set() };
    groups.set(key, group);
    group.sums.add(sum);
    if (roll === undefined) group.rolls = null;
    else group.rolls?.add(Number.parseInt(roll, 16));
  }
  return [...groups.values()];
}

const FINGERPRINT = /^([1-9]\d{0,4}):([0-9a-f]{24}):([0-9a-f]{64})(?::([0-9a-f]{4}))?$/;

function rollOf(salt: string, value: string): string {
  return rolling(salt, value, value.length)(0).toString(16).padStart(4, '0');
}

/** The rolls of the pieces of one length, to be asked for from the first on, one after the other. */
function rolling(salt: string, text: string, length: number): (at: number) => number {
  const base = Number.parseInt(salt.slice(0, 8), 16) | 1;
  let [roll, leaving] = [0, 1];
  for (let at = 0; at < Math.min(length, text.length); at++) {
    roll = (Math.imul(roll, base) + text.charCodeAt(at)) | 0;
    leaving = Math.imul(leaving, base);
  }
  return (at) => {
    if (at > 0) {
      const [gone, next] = [text.charCodeAt(at - 1), text.charCodeAt(at + length - 1)];
      roll = (Math.imul(roll, base) + next - Math.imul(gone, leaving)) | 0;
    }
    return roll >>> 16;
  };
}

function sumOf(salt: string, value: string): string {
  return createHash('sha256').update(salt).update(value).digest('hex');
}
