import { isMapping, type ComposeSource, type Mapping } from './compose.ts';
import { HOST_NETWORK, PROXY_NETWORK } from './networks.ts';
import { RecipeProblem, type Place } from './problem.ts';
import { externalKeys } from './render.ts';

/**
 * A recipe shares its host with other apps, and may neither use nor take what is theirs. docker knows no such
 * border: an external volume is anybody's, a config of a neighbour's name is made ours and later removed with
 * us, and what answers to a neighbour's name on a shared network gets its visitors.
 */

const SHARED_NETWORKS = new Set([PROXY_NETWORK, HOST_NETWORK]);

const KINDS = ['networks', 'volumes', 'configs', 'secrets'] as const;

/**
 * Throws RecipeProblem unless everything the files name on the engine is the app's own, which is to say begins
 * with its stack's name, or is the network proxy. (The host's own network is the policy's business.)
 */
export function checkOwnNames(files: readonly ComposeSource[], stack: string): void {
  for (const kind of KINDS) {
    const named = new Set<string>();
    const external = new Map<string, Place>();
    for (const file of files) {
      for (const key of externalKeys(file.compose, kind)) external.set(key, file.at(kind, key));
      for (const [key, value] of section(file.compose, kind)) {
        for (const name of namesWritten(value)) {
          named.add(key);
          checkName(name, stack, kind, file.at(kind, key));
        }
      }
    }
    for (const [key, place] of external) {
      if (!named.has(key)) checkName(key, stack, kind, place);
    }
  }
}

function section(compose: Mapping, kind: (typeof KINDS)[number]): [string, Mapping][] {
  const written = compose[kind];
  return Object.entries(isMapping(written) ? written : {}).flatMap(([key, value]) =>
    isMapping(value) ? [[key, value] as [string, Mapping]] : [],
  );
}

function namesWritten({ name, external }: Mapping): string[] {
  return [name, isMapping(external) ? external['name'] : undefined].filter(
    (written) => typeof written === 'string' && written !== '',
  ) as string[];
}

function checkName(name: string, stack: string, kind: (typeof KINDS)[number], place: Place): void {
  if (name.startsWith(`${stack}_`) || (kind === 'networks' && SHARED_NETWORKS.has(name))) return;
  const others = kind === 'networks' ? `, and the network ${PROXY_NETWORK}` : '';
  throw new RecipeProblem(
    place,
    `${JSON.stringify(name)} is not this app's: it may use what is named \${STACK_NAME}_…${others}`,
  );
}

/** A name without dots or underscores is no other stack's service and no domain. */
const BARE_NAME = /^[A-Za-z0-9][A-Za-z0-9-]*$/;

/**
 * Throws RecipeProblem when a service asks to be found on the shared network by a name that may be another
 * app's: `<stack>_<service>` or a domain, neither of them its own.
 */
export function checkAliases(
  files: readonly ComposeSource[],
  { stack, domain }: { stack: string; domain: string },
): void {
  const shared = new Set(files.flatMap(({ compose }) => externalKeys(compose, 'networks')));
  for (const file of files) {
    const { services } = file.compose;
    for (const [service, value] of Object.entries(isMapping(services) ? services : {})) {
      const networks = isMapping(value) ? value['networks'] : undefined;
      for (const [network, settings] of Object.entries(isMapping(networks) ? networks : {})) {
        const aliases = isMapping(settings) ? settings['aliases'] : undefined;
        if (!shared.has(network) || !Array.isArray(aliases)) continue;
        const foreign = aliases.findIndex(
          (alias) => typeof alias === 'string' && !isOwn(alias, stack, domain),
        );
        if (foreign < 0) continue;
        throw new RecipeProblem(
          file.at('services', service, 'networks', network, 'aliases', foreign),
          `${JSON.stringify(aliases[foreign])} may be another app's name on a shared network`,
        );
      }
    }
  }
}

function isOwn(alias: string, stack: string, domain: string): boolean {
  return (
    BARE_NAME.test(alias) || alias.startsWith(`${stack}_`) || alias === domain || alias.endsWith(`.${domain}`)
  );
}

/** What a service's labels tell the proxy: names of routers, services and all else, and the domains they take. */
export function routesOf(labels: Iterable<readonly [string, string]>): Set<string> {
  const routes = new Set<string>();
  for (const [label, value] of labels) {
    const [, protocol, kind, name, key] =
      /^traefik\.(http|tcp|udp)\.([a-z]+)s\.([^.]+)\.(.+)$/.exec(label.toLowerCase()) ?? [];
    if (protocol === undefined || name === undefined) continue;
    routes.add(`${protocol} ${kind} ${name}`);
    if (kind !== 'router' || key !== 'rule') continue;
    for (const [, hosts = ''] of value.matchAll(/\bHost(?:SNI)?\s*\(([^)]*)\)/gi)) {
      for (const [, host = ''] of hosts.matchAll(/[`"']([^`"']+)[`"']/g)) {
        if (host !== '*') routes.add(`domain ${host.toLowerCase()}`);
      }
    }
  }
  return routes;
}
