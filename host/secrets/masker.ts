import { stripVTControlCharacters } from 'node:util';
import type { App } from '../../domain/app.ts';
import { LABEL } from '../../domain/labels.ts';
import { isSecretName } from '../../domain/secret-name.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import type { Things } from '../engine/things.ts';
import { maskSecrets, maskValues } from './fingerprint.ts';

/** What of an app tells which secrets its texts may have. */
export type Masked = Pick<App, 'stack' | 'secrets' | 'env'>;

/** Masks secrets in a text. It comes back without colours, since one inside a secret would hide it. */
export type Masker = (text: string) => Promise<string>;

/** What is called like a secret and is none: where one is asked for, and the version of its name. */
const PLAIN = /^(?:https?:\/\/[^@\s]*|v?\d{1,4}|true|false)$/i;

/**
 * What masks the secrets that an app was given, those that its stack has now, by the fingerprints in their labels, and
 * what its operator set under the name of one, which stands in its compose file.
 */
export async function maskerOf(
  things: Pick<Things, 'labelled'>,
  { stack, secrets, env }: Masked,
): Promise<Masker> {
  const set = Object.entries(env).flatMap(([name, value]) =>
    isSecretName(name) && !PLAIN.test(value) ? [value] : [],
  );
  const given = [...Object.values(secrets), ...set];
  const fingerprints = (await things.labelled(`${STACK_LABEL}=${stack}`)).flatMap(({ kind, labels }) => {
    const fingerprint = labels[LABEL.fingerprint];
    return kind === 'secret' && fingerprint !== undefined ? [fingerprint] : [];
  });
  return (text) => maskSecrets(maskValues(stripVTControlCharacters(text), given), fingerprints);
}
