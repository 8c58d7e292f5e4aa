import { randomInt } from 'node:crypto';
import type Dockerode from 'dockerode';
import { Fault } from '../domain/fault.ts';
import { engine, engineStatus } from './daemon.ts';
import { LABEL } from './recipe-format/render.ts';
import type { NeededSecret } from './recipe-format/secrets.ts';
import { fingerprintOf } from './secret-fingerprint.ts';
import { STACK_LABEL } from './swarm.ts';

/** Where secrets are made: their values go from here to the engine and nowhere else. */
export interface SecretHost {
  docker: Dockerode;
  labels: Readonly<Record<string, string>>;
  guard: () => Promise<void>;
}

export type EnsuredSecrets = { ok: true } | { ok: false; reason: string };

/**
 * Sees to it that each secret is on the engine; one that is there already stays as it is. Not ok when one is
 * missing that must not be generated.
 */
export async function ensureSecrets(
  host: SecretHost,
  needed: readonly NeededSecret[],
): Promise<EnsuredSecrets> {
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
  const byHand = missing.filter(({ generate }) => !generate).map(({ name }) => name);
  if (byHand.length > 0) {
    return {
      ok: false,
      reason: `secrets that .env.sample says not to generate are missing: ${byHand.join(', ')}; the recipe's install hook has to insert them`,
    };
  }
  for (const secret of missing) {
    const value = secretValue(secret);
    await host.guard();
    try {
      await engine(`creating secret ${secret.name}`, () =>
        host.docker.createSecret({
          Name: secret.name,
          Labels: { ...host.labels, [LABEL.fingerprint]: fingerprintOf(value) },
          Data: Buffer.from(value).toString('base64'),
        }),
      );
    } catch (error) {
      if (engineStatus(error) !== 409) {
        throw new Fault('Daemon', `creating secret ${secret.name} failed`, { cause: error });
      }
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
