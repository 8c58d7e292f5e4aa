import { stripVTControlCharacters } from 'node:util';
import { LABEL } from '../../domain/labels.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import type { Things } from '../engine/things.ts';
import { maskSecrets } from './fingerprint.ts';

/** Masks secrets in a text. It comes back without colours, since one inside a secret would hide it. */
export type Masker = (text: string) => Promise<string>;

/** What masks the secrets that a stack has now, by the fingerprints in their labels. */
export async function maskerOf(things: Pick<Things, 'labelled'>, stack: string): Promise<Masker> {
  const fingerprints = (await things.labelled(`${STACK_LABEL}=${stack}`)).flatMap(({ kind, labels }) => {
    const fingerprint = labels[LABEL.fingerprint];
    return kind === 'secret' && fingerprint !== undefined ? [fingerprint] : [];
  });
  return (text) => maskSecrets(stripVTControlCharacters(text), fingerprints);
}
