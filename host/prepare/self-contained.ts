import type { Checkout } from '../recipe-format/checkout.ts';
import { isMapping, type ComposeSource, type Mapping } from '../recipe-format/compose.ts';
import { parseEnvFile } from '../recipe-format/env.ts';
import { RecipeProblem, type Place } from '../recipe-format/problem.ts';

/** What a compose file leaves for the docker client to find, and where that is found here. */
interface Surroundings {
  /** What the file's relative paths begin at, and must not leave. */
  folder: Checkout;
  /** The app's variables. */
  lookup: (name: string) => string | undefined;
  /** Names that the docker client's own environment has, too: a variable named without a value would get that one. */
  clientVariables: ReadonlySet<string>;
}

/**
 * Puts into an interpolated compose file whatever the docker client would add to it from where it stands: absolute
 * paths, the variables of its env files, and the values of variables that it only names. Changes the file as it is.
 * Throws RecipeProblem.
 */
export async function makeSelfContained(
  file: ComposeSource,
  { folder, lookup, clientVariables }: Surroundings,
): Promise<void> {
  await resolvePaths(file, folder);
  await includeEnvFiles(file, folder, lookup);
  passVariables(file.compose, lookup, clientVariables);
}

/** Makes the paths that docker would take as relative to the compose file absolute, inside the folder. */
async function resolvePaths({ compose, at }: ComposeSource, folder: Checkout): Promise<void> {
  for (const kind of ['configs', 'secrets'] as const) {
    const section = compose[kind];
    for (const [key, value] of Object.entries(isMapping(section) ? section : {})) {
      if (!isMapping(value) || typeof value['file'] !== 'string') continue;
      value['file'] = await folder.resolve(value['file'], at(kind, key, 'file'));
    }
  }
  for (const [key, service] of Object.entries(isMapping(compose['services']) ? compose['services'] : {})) {
    if (!isMapping(service)) continue;
    if (Array.isArray(service['volumes'])) {
      service['volumes'] = await Promise.all(
        service['volumes'].map((volume: unknown, index) =>
          resolveBind(volume, folder, at('services', key, 'volumes', index)),
        ),
      );
    }
  }
}

/** What is bound of the host itself stays as it is: the policy has allowed it. */
async function resolveBind(volume: unknown, folder: Checkout, place: Place): Promise<unknown> {
  const isHostPath = (source: string): boolean => /^[/~]/.test(source);
  if (typeof volume === 'string') {
    const [source = '', ...rest] = volume.split(':');
    if (!source.startsWith('.') || rest.length === 0) return volume;
    return [await folder.resolve(source, place), ...rest].join(':');
  }
  if (!isMapping(volume) || volume['type'] !== 'bind') return volume;
  const { source } = volume;
  if (typeof source !== 'string' || isHostPath(source)) return volume;
  return { ...volume, source: await folder.resolve(source, place) };
}

/**
 * Puts the variables of each service's env_file into its `environment`, under what stands there. docker would
 * read those files itself, and fill in names without a value from its own environment.
 */
async function includeEnvFiles(
  { compose, at }: ComposeSource,
  folder: Checkout,
  lookup: (name: string) => string | undefined,
): Promise<void> {
  for (const [key, service] of Object.entries(isMapping(compose['services']) ? compose['services'] : {})) {
    if (!isMapping(service) || service['env_file'] === undefined) continue;
    const { env_file: named, environment: written, ...rest } = service;
    const found = new Map<string, string>();
    for (const name of Array.isArray(named) ? (named as unknown[]) : [named]) {
      const place = at('services', key, 'env_file');
      const text = typeof name === 'string' ? await folder.read(name, place) : null;
      if (text === null) {
        throw new RecipeProblem(place, `${JSON.stringify(name)} does not exist in the recipe`);
      }
      for (const [variable, value] of parseEnvFile(text, String(name), lookup)) found.set(variable, value);
    }
    const environment = isMapping(written)
      ? { ...Object.fromEntries(found), ...written }
      : [
          ...[...found].map(([name, value]) => `${name}=${value}`),
          ...(Array.isArray(written) ? written : []),
        ];
    (compose['services'] as Mapping)[key] = { ...rest, environment };
  }
}

/**
 * Gives `environment` entries that name a variable without a value the app's value, as docker would from its
 * environment. One that the app does not set stays a bare name, which takes it out of the image's own.
 */
function passVariables(
  compose: Mapping,
  lookup: (name: string) => string | undefined,
  clientVariables: ReadonlySet<string>,
): void {
  for (const service of Object.values(isMapping(compose['services']) ? compose['services'] : {})) {
    if (!isMapping(service)) continue;
    const written = service['environment'];
    if (Array.isArray(written)) {
      service['environment'] = written.flatMap((item: unknown) => {
        if (typeof item !== 'string' || item.includes('=')) return [item];
        const value = lookup(item);
        if (value !== undefined) return [`${item}=${value}`];
        return clientVariables.has(item) ? [] : [item];
      });
    } else if (isMapping(written)) {
      service['environment'] = Object.fromEntries(
        Object.entries(written).flatMap(([name, value]): [string, unknown][] => {
          if (value !== null) return [[name, value]];
          const known = lookup(name);
          return known === undefined && clientVariables.has(name) ? [] : [[name, known ?? null]];
        }),
      );
    }
  }
}
