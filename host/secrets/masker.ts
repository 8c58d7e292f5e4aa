import { stripVTControlCharacters } from 'node:util';
import type { App } from '../../domain/app.ts';
import { LABEL } from '../../domain/labels.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import type { Things } from '../engine/things.ts';
import { maskSecrets, maskValues } from './fingerprint.ts';

/** What of an app tells which secrets its texts may have. */
export type Masked = Pick<App, 'stack' | 'secrets'>;

/** Masks secrets in a text. It comes back without colours, since one inside a secret would hide it. */
export type Masker = (text: string) => Promise<string>;

/** What masks the secrets that an app was given, and those that its stack has now, by the fingerprints in their labels. */
export async function maskerOf(
  things: Pick<Things, 'labelled'>,
  { stack, secrets }: Masked,
): Promise<Masker> {
  const given = Object.values(secrets);
  const fingerprints = (await things.labelled(`${STACK_LABEL}=${stack}`)).flatMap(({ kind, labels }) => {
    const fingerprint = labels[LABEL.fingerprint];
    return kind === 'secret' && fingerprint !== undefined ? [fingerprint] : [];
  });
  return (text) => maskSecrets(maskValues(stripVTControlCharacters(text), given), fingerprints);
}
