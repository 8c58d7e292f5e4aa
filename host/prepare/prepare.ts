import path from 'node:path';
import { Fault } from '../../domain/fault.ts';
import type { App } from '../../domain/app.ts';
import { openCheckout, type Checkout } from '../recipe-format/checkout.ts';
import { isMapping, parseCompose, type ComposeSource, type Mapping } from '../recipe-format/compose.ts';
import { interpolateCompose } from '../recipe-format/variables.ts';
import { checkNetworksDeclared } from '../recipe-format/declared.ts';
import { isImageReference } from '../recipe-format/image-reference.ts';
import { checkDurations } from '../recipe-format/literals.ts';
import { checkAliases, checkOwnNames } from '../recipe-format/neighbours.ts';
import { checkPolicy } from '../recipe-format/policy.ts';
import { publishedPorts, type PublishedPort } from '../recipe-format/ports.ts';
import { postCommands, type Post, type PostOccasion } from '../recipe-format/post-commands.ts';
import { RecipeProblem, type Key, type Place } from '../recipe-format/problem.ts';
import { readRecipe, wholeFile } from '../recipe-format/read.ts';
import { deployLabels, externalKeys } from '../recipe-format/render.ts';
import { neededSecrets, type NeededSecret } from '../secrets/needed.ts';
import { makeSelfContained } from './self-contained.ts';

/**
 * Reads a recipe as abra would for one app: `.env.sample`, `abra.sh`, and the compose files that
 * COMPOSE_FILE names. All of it is untrusted. Nothing is run, and nothing outside the checkout is read.
 */

/** A recipe made ready for one app, before our labels and the images' digests are in it. */
export interface PreparedRecipe {
  files: ComposeSource[];
  /** Where these keys lead to: in the last file that has all of them, else in the first. */
  at(...path: Key[]): Place;
  services: PreparedService[];
  secrets: NeededSecret[];
  /** Names on the engine of the volumes it makes. */
  volumes: string[];
  /** Of those, by their names in compose, the ones that are kept where their driver options say, and stay there. */
  volumesElsewhere: string[];
  /** Names on the engine of the networks that must be there already. */
  externalNetworks: string[];
  /** Ports of the host that its services publish. */
  ports: PublishedPort[];
  /** Milliseconds from the label `coop-cloud.<stack>.timeout`; null where it sets none. */
  timeoutMs: number | null;
  /** The label `coop-cloud.<stack>.version` of the service app. */
  version: string | null;
  /** The whole of the app's env. */
  env: ReadonlyMap<string, string>;
  /** What the app's env has run in its containers on that occasion; null for nothing. Throws RecipeProblem. */
  post(occasion: PostOccasion): Post | null;
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

/** What is read of an app to prepare it. */
export type Preparable = Pick<App, 'recipe' | 'checkout' | 'domain' | 'stack' | 'env' | 'lifetime'> & {
  settings: Pick<App['settings'], 'allow' | 'overlay'>;
};

/**
 * Reads and prepares the recipe in `app.checkout`, with the overlay of its folder of ours as the last compose
 * file. Throws RecipeProblem when the recipe's own files are wrong or ask for what the policy refuses, Fault
 * BadConfig when the overlay is or does.
 */
export async function prepareRecipe(app: Preparable, settings: PrepareSettings): Promise<PreparedRecipe> {
  const overlay = `recipes/${app.recipe}/overlay.yml`;
  try {
    return await prepare(app, overlay, settings);
  } catch (error) {
    if (!(error instanceof RecipeProblem) || error.place.file !== overlay) throw error;
    throw new Fault('BadConfig', error.lines.join('\n'), { cause: error });
  }
}

async function prepare(
  app: Preparable,
  overlayName: string,
  { clientVariables }: PrepareSettings,
): Promise<PreparedRecipe> {
  const read = await readRecipe(app);
  const { checkout, sample, written, files } = read;
  checkDurations(written);
  const lookup = (name: string): string | undefined => sample.values.get(name);
  const folders = files.map(() => checkout);
  if (app.settings.overlay !== null) {
    const folder = await openCheckout(path.dirname(app.settings.overlay), path.dirname(overlayName));
    const overlay = await readOverlay(folder, overlayName, written[0]);
    checkNoImages(overlay, written);
    written.push(overlay);
    files.push(interpolateCompose(overlay, lookup));
    folders.push(folder);
  }
  checkPolicy(files, { ...app, allow: app.settings.allow });
  checkNetworksDeclared(files);
  checkOwnNames(files, app.stack);
  checkAliases(files, app);
  for (const [index, file] of files.entries()) {
    const folder = folders[index] ?? checkout;
    await makeSelfContained(file, { folder, lookup, clientVariables });
  }
  const services = servicesOf(files);
  const main = services.find(({ name }) => name === 'app');
  return {
    files,
    at: (...keys) => placeIn(files, keys),
    services,
    secrets: neededSecrets(files, written, sample),
    volumes: namesOnEngine(files, 'volumes', app.stack, false),
    volumesElsewhere: keptElsewhere(files),
    externalNetworks: namesOnEngine(files, 'networks', app.stack, true),
    ports: publishedPorts(files),
    timeoutMs: timeoutOf([...(main ? [main] : []), ...services], app.stack),
    version: main?.labels.get(`coop-cloud.${app.stack}.version`) ?? null,
    env: sample.values,
    post: (occasion) =>
      postCommands(
        occasion,
        read,
        services.map(({ name }) => name),
      ),
  };
}

/** The overlay, in the version of the recipe's own files: docker refuses files of several. */
async function readOverlay(
  folder: Checkout,
  name: string,
  over: ComposeSource | undefined,
): Promise<ComposeSource> {
  const text = await folder.read(path.basename(name), wholeFile(name));
  if (text === null) throw new RecipeProblem(name, 'does not exist');
  const overlay = parseCompose(text, name);
  const { version: _, ...rest } = overlay.compose;
  const version = over?.compose['version'];
  return { ...overlay, compose: version === undefined ? rest : { version, ...rest } };
}

/** It lies over every release that is deployed, base and head: another image would be tested in place of each. */
function checkNoImages(overlay: ComposeSource, written: readonly ComposeSource[]): void {
  const services = (file: ComposeSource): Mapping => {
    const { services: found } = file.compose;
    return isMapping(found) ? found : {};
  };
  for (const [name, service] of Object.entries(services(overlay))) {
    if (!isMapping(service) || service['image'] === undefined) continue;
    if (!written.some((file) => Object.hasOwn(services(file), name))) continue;
    const what =
      "is the release's to say: an overlay lies over each release, and would have another one tested";
    throw new RecipeProblem(overlay.at('services', name, 'image'), what);
  }
}

function placeIn(files: readonly ComposeSource[], keys: readonly Key[]): Place {
  const has = ({ compose }: ComposeSource): boolean => {
    let value: unknown = compose;
    for (const key of keys) value = isMapping(value) ? value[key] : undefined;
    return value !== undefined;
  };
  const file = files.findLast(has) ?? files[0];
  return file === undefined ? { file: 'compose.yml', line: null, path: keys } : file.at(...keys);
}

function servicesOf(files: readonly ComposeSource[]): PreparedService[] {
  const images = new Map<string, { image: string | null; place: Place }>();
  for (const file of files) {
    const { services } = file.compose;
    for (const [name, service] of Object.entries(isMapping(services) ? services : {})) {
      const written = isMapping(service) ? service['image'] : null;
      const place = file.at('services', name);
      if (typeof written === 'string') {
        images.set(name, { image: written, place: file.at('services', name, 'image') });
      } else images.set(name, images.get(name) ?? { image: null, place });
    }
  }
  if (images.size === 0) throw new RecipeProblem(files.at(-1)?.name ?? 'compose.yml', 'defines no services');
  return [...images].map(([name, { image, place }]) => {
    if (image === null || image === '') {
      throw new RecipeProblem(place, 'has no image in any of the compose files');
    }
    if (!isImageReference(image)) {
      throw new RecipeProblem(place, `${JSON.stringify(image)} is not an image's name`);
    }
    return { name, image, labels: deployLabels(files, name) };
  });
}

function timeoutOf(services: readonly PreparedService[], stack: string): number | null {
  const label = `coop-cloud.${stack}.timeout`;
  for (const { labels } of services) {
    const seconds = Number(labels.get(label));
    if (Number.isFinite(seconds) && seconds > 0) return Math.ceil(seconds * 1000);
  }
  return null;
}

function namesOnEngine(
  files: readonly ComposeSource[],
  kind: 'volumes' | 'networks',
  stack: string,
  external: boolean,
): string[] {
  const outside = new Set(files.flatMap(({ compose }) => externalKeys(compose, kind)));
  const names = new Map<string, string>();
  for (const { compose } of files) {
    const section = compose[kind];
    for (const [key, value] of Object.entries(isMapping(section) ? section : {})) {
      if (outside.has(key) !== external) continue;
      const written = isMapping(value) ? value['name'] : undefined;
      const legacy = isMapping(value) && isMapping(value['external']) ? value['external']['name'] : undefined;
      const named = [written, legacy].find((name) => typeof name === 'string');
      names.set(key, named ?? names.get(key) ?? (external ? key : `${stack}_${key}`));
    }
  }
  return [...names.values()];
}

/** A volume in memory is gone with its container, wherever that runs: nobody expects it to be kept. */
const IN_MEMORY = new Set(['tmpfs', 'ramfs']);

function keptElsewhere(files: readonly ComposeSource[]): string[] {
  const merged = new Map<string, Mapping>();
  for (const { compose } of files) {
    const { volumes } = compose;
    for (const [key, value] of Object.entries(isMapping(volumes) ? volumes : {})) {
      const before = merged.get(key) ?? {};
      const now = isMapping(value) ? value : {};
      const options = [before['driver_opts'], now['driver_opts']].filter(isMapping);
      merged.set(key, { ...before, ...now, driver_opts: Object.assign({}, ...options) as Mapping });
    }
  }
  return [...merged].flatMap(([key, { driver = 'local', driver_opts: options }]) => {
    const { device, type } = isMapping(options) ? options : {};
    const here = driver === 'local' && (device === undefined || IN_MEMORY.has(String(type)));
    return here ? [] : [key];
  });
}
