import { isMapping, type ComposeFile, type ComposeSource, type Mapping } from '../recipe-format/compose.ts';
import type { EnvSample } from '../recipe-format/env.ts';
import { RecipeProblem, type Place } from '../recipe-format/problem.ts';

/** A secret that a recipe expects on the engine before it is deployed. */
export interface NeededSecret {
  /** As compose names it. */
  key: string;
  /** Its name on the engine. */
  name: string;
  /** Characters; null where .env.sample sets none, which asks for a passphrase. */
  length: number | null;
  /** The characters it may be made of. */
  alphabet: string;
  /** False when it must be inserted by hand or by the recipe's install hook. */
  generate: boolean;
}

/** docker's limit on the name of a secret. */
export const LONGEST_NAME = 64;
const LONGEST_SECRET = 4096;

const ALPHANUMERIC = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const ALPHABETS: ReadonlyMap<string, string> = new Map([
  ['default', ALPHANUMERIC],
  ['special', '!@#$%^&*_-+='],
  ['safespecial', '!@#%^&*_-+='],
  ['hex', '0123456789abcdef'],
]);

/**
 * The external secrets that some service uses, in abra's terms: `.env.sample` says how each is made, in the
 * modifiers of the variable that stands in its name (`${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}`).
 * `raw` are the same files before interpolation. Throws RecipeProblem.
 */
export function neededSecrets(
  files: readonly ComposeSource[],
  raw: readonly ComposeFile[],
  sample: Pick<EnvSample, 'modifiers' | 'at'>,
): NeededSecret[] {
  const used = new Set(files.flatMap(({ compose }) => usedSecrets(compose)));
  return [...used].flatMap((key) => {
    const declared = lastSection(files, key);
    if (declared === null || !declared.value['external']) return [];
    const name = writtenName(declared.value) ?? key;
    const place = declared.file.at('secrets', key);
    const template = templateOf(raw, key) ?? name;
    if (name.endsWith('_')) {
      throw new RecipeProblem(place, `${template} has no version: .env.sample sets none`);
    }
    if (name.length > LONGEST_NAME) {
      throw new RecipeProblem(place, `${name} is longer than docker's ${LONGEST_NAME} characters`);
    }
    const variable = [...sample.modifiers.keys()]
      .filter((candidate) => template.includes(candidate))
      .sort((a, b) => b.length - a.length)[0];
    return [{ key, name, ...howMade(sample, variable ?? key) }];
  });
}

/** The names of secrets in a compose file, used or not, that docker does not take; each with why, and its place. */
export function tooLongNames({ compose, at }: ComposeSource): { why: string; place: Place }[] {
  const { secrets } = compose;
  return Object.entries(isMapping(secrets) ? secrets : {}).flatMap(([key, declared]) => {
    const name = isMapping(declared) ? (writtenName(declared) ?? '') : '';
    if (name.length <= LONGEST_NAME) return [];
    const why = `${name} has ${name.length} characters, and docker takes ${LONGEST_NAME}`;
    return [{ why, place: at('secrets', key) }];
  });
}

/** The name that one of a stack's secrets would have in another stack, if docker does not take it; else null. */
export function tooLongElsewhere(
  secrets: readonly Pick<NeededSecret, 'name'>[],
  stack: string,
  other: string,
): string | null {
  const names = secrets.flatMap(({ name }) =>
    name.startsWith(`${stack}_`) ? [`${other}${name.slice(stack.length)}`] : [],
  );
  return names.find((name) => name.length > LONGEST_NAME) ?? null;
}

function howMade(
  sample: Pick<EnvSample, 'modifiers' | 'at'>,
  variable: string,
): Omit<NeededSecret, 'key' | 'name'> {
  const modifiers = sample.modifiers.get(variable);
  const written = modifiers?.get('length');
  const length = written === undefined ? null : Number(written);
  if (length !== null && !(Number.isInteger(length) && length > 0 && length <= LONGEST_SECRET)) {
    throw new RecipeProblem(
      sample.at(variable),
      `length=${written} is not a number from 1 to ${LONGEST_SECRET}`,
    );
  }
  const charset = modifiers?.get('charset') ?? 'default';
  const alphabet = charset.split(',').map((name) => {
    const characters = ALPHABETS.get(name);
    if (characters === undefined) {
      throw new RecipeProblem(
        sample.at(variable),
        `charset=${charset} is unknown; known: ${[...ALPHABETS.keys()].join(', ')}`,
      );
    }
    return characters;
  });
  return {
    length,
    alphabet: [...new Set(alphabet.join(''))].join(''),
    generate: modifiers?.get('generate') !== 'false',
  };
}

function usedSecrets(compose: Mapping): string[] {
  const { services } = compose;
  return Object.values(isMapping(services) ? services : {}).flatMap((service) => {
    const written = isMapping(service) ? service['secrets'] : undefined;
    if (!Array.isArray(written)) return [];
    return written.flatMap((item: unknown) => {
      const source = isMapping(item) ? item['source'] : item;
      return typeof source === 'string' ? [source] : [];
    });
  });
}

function lastSection<File extends ComposeFile>(
  files: readonly File[],
  key: string,
): { file: File; value: Mapping } | null {
  for (const file of files.toReversed()) {
    const section = file.compose['secrets'];
    const value = isMapping(section) ? section[key] : undefined;
    if (isMapping(value)) return { file, value };
  }
  return null;
}

/** The name on the engine that a secret's declaration gives it, in either of compose's forms. */
function writtenName({ name, external }: Mapping): string | null {
  return textOf(name) ?? (isMapping(external) ? textOf(external['name']) : null);
}

function templateOf(raw: readonly ComposeFile[], key: string): string | null {
  return textOf(lastSection(raw, key)?.value['name']);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
