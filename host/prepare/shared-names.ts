import { isMapping, type ComposeSource, type Mapping } from '../recipe-format/compose.ts';
import type { Place } from '../recipe-format/problem.ts';
import type { RecipeFiles } from '../recipe-format/read.ts';
import { externalKeys } from '../recipe-format/render.ts';

/** A name by which a service may reach another app's instead of its own. */
export interface SharedName {
  place: Place;
  /** As it is written. */
  said: string;
}

/** The service that every recipe has, and most put on the network proxy. */
const NAME = 'app';
/** As a host with a port, or of a URL; `$app` is a variable. */
const SAID = new RegExp(String.raw`(?<![\w.$-])${NAME}:\d{1,5}\b|//${NAME}(?![\w.-])`);

/**
 * Where a service on a network of the host asks for `app`, in its environment, its commands or its config files. docker
 * looks a name up in one network of the container after the other, in the order of the networks' names (moby,
 * libnetwork/sandbox.go: Endpoint.Less), and takes the first that knows it. On `proxy` each app of the host answers to
 * `app`; so whose it gets depends on whether its own network's name, which begins with the stack's, comes before
 * `proxy`, and where it has no network of its own on chance.
 */
export async function sharedNames({
  checkout,
  files,
}: Pick<RecipeFiles, 'checkout' | 'files'>): Promise<SharedName[]> {
  const outside = new Set(files.flatMap(({ compose }) => externalKeys(compose, 'networks')));
  const onShared = new Set(
    each(files, 'services').flatMap(([name, service]) =>
      keysOf(service['networks']).some((network) => outside.has(network)) ? [name] : [],
    ),
  );
  onShared.delete(NAME);
  const found: SharedName[] = [];
  const look = (text: string, place: Place): void => {
    const [said] = SAID.exec(text) ?? [];
    if (said !== undefined) found.push({ place, said });
  };
  const mounted = new Set<string>();
  for (const [name, service, { at }] of each(files, 'services')) {
    if (!onShared.has(name)) continue;
    for (const key of ['environment', 'command', 'entrypoint'])
      look(textsOf(service[key]).join('\n'), at('services', name, key));
    for (const config of listed(service['configs'])) mounted.add(config);
  }
  for (const [name, { file }, { at }] of each(files, 'configs')) {
    if (!mounted.has(name) || typeof file !== 'string') continue;
    const place = at('configs', name, 'file');
    look((await checkout.read(file, place)) ?? '', place);
  }
  return found;
}

function each(
  files: readonly ComposeSource[],
  kind: 'services' | 'configs',
): [string, Mapping, ComposeSource][] {
  return files.flatMap((file) => {
    const section = file.compose[kind];
    return Object.entries(isMapping(section) ? section : {}).flatMap(
      ([name, value]): [string, Mapping, ComposeSource][] => (isMapping(value) ? [[name, value, file]] : []),
    );
  });
}

/** The items of a list, or the keys of a mapping. */
function keysOf(written: unknown): string[] {
  return Array.isArray(written) ? written.map(String) : Object.keys(isMapping(written) ? written : {});
}

/** The configs of a service, in either form. */
function listed(written: unknown): string[] {
  return (Array.isArray(written) ? (written as unknown[]) : []).map((one) =>
    String(isMapping(one) ? one['source'] : one),
  );
}

function textsOf(written: unknown): string[] {
  if (Array.isArray(written)) return (written as unknown[]).flatMap(textsOf);
  if (isMapping(written)) return Object.values(written).flatMap(textsOf);
  return typeof written === 'string' ? [written] : [];
}
