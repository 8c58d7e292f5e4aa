import type { App } from './deployer.ts';
import { openCheckout, type Checkout } from './recipe-format/checkout.ts';
import { interpolateCompose, isMapping, parseCompose, type Mapping } from './recipe-format/compose.ts';
import { parseAbraExports, parseEnvFile, parseEnvSample } from './recipe-format/env.ts';
import { isImageReference } from './recipe-format/image-reference.ts';
import { checkAliases, checkHostPath, checkOwnNames } from './recipe-format/neighbours.ts';
import { RecipeProblem } from './recipe-format/problem.ts';
import { deployLabels, externalKeys, type ComposeFile } from './recipe-format/render.ts';
import { neededSecrets, type NeededSecret } from './recipe-format/secrets.ts';

/**
 * Reads a recipe as abra would for one app: `.env.sample`, `abra.sh`, and the compose files that
 * COMPOSE_FILE names. All of it is untrusted. Nothing is run, nothing outside the checkout is read, and the
 * app's variables are put into the compose files here, so that they never become a process's environment.
 */

/** A recipe made ready for one app, before our labels and the images' digests are in it. */
export interface PreparedRecipe {
  files: ComposeFile[];
  services: PreparedService[];
  secrets: NeededSecret[];
  /** Names on the engine of the volumes it makes. */
  volumes: string[];
  /** Names on the engine of the networks that must be there already. */
  externalNetworks: string[];
  /** Milliseconds from the label `coop-cloud.<stack>.timeout`; null where it sets none. */
  timeoutMs: number | null;
  /** The label `coop-cloud.<stack>.version` of the service app. */
  version: string | null;
}

export interface PreparedService {
  /** As compose names it; on the swarm it is `<stack>_<name>`. */
  name: string;
  image: string;
  /** `deploy.labels`, later files winning. */
  labels: ReadonlyMap<string, string>;
}

export interface PrepareSettings {
  /**
   * Variables that the docker client's own environment has. The client would lend their values to a service
   * that passes a variable on by name alone, so those are left out of the compose files.
   */
  clientVariables: ReadonlySet<string>;
}

/** Reads and prepares the recipe in `app.checkout`. Throws RecipeProblem when its own files are wrong. */
export async function prepareRecipe(
  app: Pick<App, 'checkout' | 'domain' | 'stack' | 'env'>,
  settings: PrepareSettings,
): Promise<PreparedRecipe> {
  const checkout = await openCheckout(app.checkout);
  const given = new Map(
    Object.entries({ LETS_ENCRYPT_ENV: '', ...app.env, DOMAIN: app.domain, STACK_NAME: app.stack }),
  );
  const sampleFile = '.env.sample';
  const sample = await checkout.read(sampleFile, { file: sampleFile, where: null });
  if (sample === null) throw new RecipeProblem(sampleFile, null, 'the recipe has none');
  const { values, modifiers } = parseEnvSample(sample, sampleFile, given);
  const abra = await checkout.read('abra.sh', { file: 'abra.sh', where: null });
  for (const [name, value] of parseAbraExports(abra ?? '')) {
    if (!given.has(name)) values.set(name, value);
  }
  const lookup = (name: string): string | undefined => values.get(name);

  const raw: ComposeFile[] = [];
  const files: ComposeFile[] = [];
  for (const name of composeFiles(values.get('COMPOSE_FILE') || 'compose.yml', sampleFile)) {
    const text = await checkout.read(name, { file: sampleFile, where: 'COMPOSE_FILE' });
    if (text === null) {
      throw new RecipeProblem(sampleFile, 'COMPOSE_FILE', `${name} does not exist in the recipe`);
    }
    const compose = parseCompose(text, name);
    raw.push({ name, compose });
    const interpolated = interpolateCompose(compose, name, lookup);
    await resolvePaths(interpolated, name, checkout);
    await includeEnvFiles(interpolated, name, checkout, lookup);
    passVariables(interpolated, lookup, settings.clientVariables);
    files.push({ name, compose: interpolated });
  }

  checkOwnNames(files, app.stack);
  checkAliases(files, app);
  const services = servicesOf(files);
  const main = services.find(({ name }) => name === 'app');
  return {
    files,
    services,
    secrets: neededSecrets(files, raw, modifiers),
    volumes: namesOnEngine(files, 'volumes', app.stack, false),
    externalNetworks: namesOnEngine(files, 'networks', app.stack, true),
    timeoutMs: timeoutOf([...(main ? [main] : []), ...services], app.stack),
    version: main?.labels.get(`coop-cloud.${app.stack}.version`) ?? null,
  };
}

/** More than any recipe offers; each is read whole. */
const MOST_FILES = 20;

function composeFiles(written: string, sampleFile: string): string[] {
  const names = written.split(':').filter((file) => file !== '');
  if (names.length <= MOST_FILES) return names;
  throw new RecipeProblem(sampleFile, 'COMPOSE_FILE', `names ${names.length} files, more than ${MOST_FILES}`);
}

function servicesOf(files: readonly ComposeFile[]): PreparedService[] {
  const images = new Map<string, { image: string | null; file: string }>();
  for (const { name: file, compose } of files) {
    const { services } = compose;
    for (const [name, service] of Object.entries(isMapping(services) ? services : {})) {
      const image = isMapping(service) && typeof service['image'] === 'string' ? service['image'] : null;
      images.set(name, { image: image ?? images.get(name)?.image ?? null, file });
    }
  }
  const last = files.at(-1)?.name ?? 'compose.yml';
  if (images.size === 0) throw new RecipeProblem(last, null, 'defines no services');
  return [...images].map(([name, { image, file }]) => {
    if (image === null || image === '') {
      throw new RecipeProblem(file, `services.${name}`, 'has no image in any of the compose files');
    }
    if (!isImageReference(image)) {
      throw new RecipeProblem(
        file,
        `services.${name}.image`,
        `${JSON.stringify(image)} is not an image's name`,
      );
    }
    return { name, image, labels: deployLabels(files, name) };
  });
}

function timeoutOf(services: readonly PreparedService[], stack: string): number | null {
  const label = `coop-cloud.${stack}.timeout`;
  for (const { labels } of services) {
    const seconds = Number(labels.get(label));
    if (Number.isFinite(seconds) && seconds > 0) return seconds * 1000;
  }
  return null;
}

function namesOnEngine(
  files: readonly ComposeFile[],
  kind: 'volumes' | 'networks',
  stack: string,
  external: boolean,
): string[] {
  const outside = new Set(files.flatMap(({ compose }) => externalKeys(compose, kind)));
  const names = new Map<string, string>();
  for (const { compose } of files) {
    const section = compose[kind];
    for (const [key, value] of Object.entries(isMapping(section) ? section : {})) {
      if (outside.has(`${kind}.${key}`) !== external) continue;
      const written = isMapping(value) ? value['name'] : undefined;
      const legacy = isMapping(value) && isMapping(value['external']) ? value['external']['name'] : undefined;
      const named = [written, legacy].find((name) => typeof name === 'string');
      names.set(key, named ?? names.get(key) ?? (external ? key : `${stack}_${key}`));
    }
  }
  return [...names.values()];
}

/** Makes the paths that docker would take as relative to the compose file absolute, inside the checkout. */
async function resolvePaths(compose: Mapping, file: string, checkout: Checkout): Promise<void> {
  for (const kind of ['configs', 'secrets'] as const) {
    const section = compose[kind];
    for (const [key, value] of Object.entries(isMapping(section) ? section : {})) {
      if (!isMapping(value) || typeof value['file'] !== 'string') continue;
      value['file'] = await checkout.resolve(value['file'], { file, where: `${kind}.${key}.file` });
    }
  }
  for (const [key, service] of Object.entries(isMapping(compose['services']) ? compose['services'] : {})) {
    if (!isMapping(service)) continue;
    if (Array.isArray(service['volumes'])) {
      service['volumes'] = await Promise.all(
        service['volumes'].map((volume: unknown) => resolveBind(volume, checkout, file, key)),
      );
    }
  }
}

async function resolveBind(
  volume: unknown,
  checkout: Checkout,
  file: string,
  service: string,
): Promise<unknown> {
  const said = { file, where: `services.${service}.volumes` };
  const bindSource = async (source: string, readOnly: boolean): Promise<string> => {
    if (!/^[/~]/.test(source)) return checkout.resolve(source, said);
    checkHostPath(source, readOnly, said);
    return source;
  };
  if (typeof volume === 'string') {
    const [source = '', ...rest] = volume.split(':');
    if (!/^[./~]/.test(source) || rest.length === 0) return volume;
    return [await bindSource(source, rest[1]?.split(',').includes('ro') ?? false), ...rest].join(':');
  }
  if (isMapping(volume) && volume['type'] === 'bind' && typeof volume['source'] === 'string') {
    return { ...volume, source: await bindSource(volume['source'], volume['read_only'] === true) };
  }
  return volume;
}

/**
 * Puts the variables of each service's env_file into its `environment`, under what stands there. docker would
 * read those files itself, and fill in names without a value from its own environment.
 */
async function includeEnvFiles(
  compose: Mapping,
  file: string,
  checkout: Checkout,
  lookup: (name: string) => string | undefined,
): Promise<void> {
  for (const [key, service] of Object.entries(isMapping(compose['services']) ? compose['services'] : {})) {
    if (!isMapping(service) || service['env_file'] === undefined) continue;
    const { env_file: named, environment: written, ...rest } = service;
    const found = new Map<string, string>();
    for (const name of Array.isArray(named) ? (named as unknown[]) : [named]) {
      const said = { file, where: `services.${key}.env_file` };
      const text = typeof name === 'string' ? await checkout.read(name, said) : null;
      if (text === null) {
        throw new RecipeProblem(file, said.where, `${JSON.stringify(name)} does not exist in the recipe`);
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
