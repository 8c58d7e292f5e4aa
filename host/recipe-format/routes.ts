import { isMapping, type ComposeSource } from './compose.ts';
import { labelsOf } from './labels.ts';
import { PROXY_NETWORK } from './networks.ts';
import type { Finding, Place } from './problem.ts';
import { hostsOfRule } from './route-rule.ts';

/**
 * What a recipe may tell the proxy by labels. All visitors of the host come through the one traefik, and its routers,
 * services and middlewares have one space of names; so this is a list of what is allowed, and all else is refused:
 * routers that name their hosts, the app's own domain or below it; names that begin with the stack's; and of options
 * those that concern the app alone (traefik's reference of its Swarm provider).
 */

interface Routed {
  stack: string;
  domain: string;
}

/** `traefik.<protocol>.<kind>.<name>.<option>`; names of labels are the same in any case. */
const NAMED = /^traefik\.(http|tcp|udp)\.(routers|services|middlewares|serverstransports)\.([^.]+)\.(.+)$/;
/** What says nothing of any route. */
const PLAIN = /^traefik\.(enable|constraint-label|(docker|swarm)\.lbswarm)$/;
const NETWORK = /^traefik\.(docker|swarm)\.network$/;

const ROUTER_OPTIONS =
  /^(rule|rulesyntax|entrypoints|middlewares|service|priority|tls|tls\.certresolver|tls\.options|tls\.passthrough|tls\.domains(\[\d+\])?\.(main|sans)|observability\..+)$/;
/** `loadbalancer.server.url` would send visitors anywhere, and `weighted`, `mirroring` to services of others. */
const SERVICE_OPTIONS =
  /^loadbalancer(\.server\.(port|scheme|tls)|\.(passhostheader|sticky|healthcheck|responseforwarding|serverstransport|terminationdelay|proxyprotocol|strategy)(\..+)?)$/;

/** What a middleware may be; `plugin` and what a later traefik brings is not known here. */
const MIDDLEWARES = new Set([
  ...[
    'addprefix',
    'basicauth',
    'buffering',
    'chain',
    'circuitbreaker',
    'compress',
    'contenttype',
    'digestauth',
  ],
  ...[
    'errors',
    'forwardauth',
    'grpcweb',
    'headers',
    'inflightconn',
    'inflightreq',
    'ipallowlist',
    'ipwhitelist',
  ],
  ...['passtlsclientcert', 'ratelimit', 'redirectregex', 'redirectscheme', 'replacepath', 'replacepathregex'],
  ...['retry', 'stripprefix', 'stripprefixregex'],
]);

/** The findings of the labels that traefik may read: a service's, and its containers'. */
export function routeFindings(files: readonly ComposeSource[], app: Routed): Finding[] {
  return servicesOf(files).flatMap(({ labels, place }) => {
    const found: Finding[] = [];
    const find = (name: string, what: string): void => {
      found.push({ name, place, what });
    };
    const routers = new Map<string, Map<string, string>>();
    const spelt = new Set<string>();
    for (const [written, value] of labels) {
      const label = written.toLowerCase();
      if (!label.startsWith('traefik.')) continue;
      // traefik compares names as Go folds them: it would read one of two spellings, and this another.
      if (spelt.has(label) || !/^[!-~]+$/.test(written)) {
        find(
          labelName(label, app.stack),
          `the label ${said(written)} is spelt in a second way, or not in plain letters`,
        );
      }
      spelt.add(label);
      if (PLAIN.test(label)) continue;
      if (NETWORK.test(label)) {
        if (value !== PROXY_NETWORK && !isOwnName(value, app.stack))
          find(`traefik-name:${value}`, `the label ${written} names ${said(value)}, a network of others`);
        continue;
      }
      const [, protocol = '', kind = '', name = '', option = ''] = NAMED.exec(label) ?? [];
      const unknown =
        (kind === 'services' && !SERVICE_OPTIONS.test(option)) ||
        (kind === 'middlewares' && !MIDDLEWARES.has(option.split('.')[0] ?? ''));
      if (protocol === '' || unknown || (option === 'forwardauth.address' && !isOwnUrl(value, app))) {
        find(labelName(label, app.stack), `the label ${written} may steer what is not this app's`);
        continue;
      }
      if (!isOwnName(name, app.stack))
        find(
          `traefik-name:${name}`,
          `${said(name)} may be another app's at the proxy: names begin with \${STACK_NAME}`,
        );
      if (kind === 'routers') {
        const router = `${protocol} ${name}`;
        routers.set(router, (routers.get(router) ?? new Map<string, string>()).set(option, value));
      }
      for (const other of kind === 'routers' ? [] : referencesOf(option, value)) checkReference(other);
    }
    for (const [router, options] of routers) checkRouter(router, options);
    return found;

    function checkRouter(router: string, options: Map<string, string>): void {
      const protocol = router.split(' ')[0] ?? '';
      const name = router.slice(protocol.length + 1);
      for (const [option, value] of options) {
        if (!ROUTER_OPTIONS.test(option))
          find(
            labelName(`traefik.${protocol}.routers.${name}.${option}`, app.stack),
            `${said(option)} is no option of a router that is known here`,
          );
        if (option === 'priority')
          find('router-priority', `a router of a chosen priority may come before those of other apps`);
        if (option.startsWith('tls.domains')) for (const host of listed(value)) checkHost(host.toLowerCase());
        if (option === 'tls.options' && value !== 'default') checkReference(value);
        if (option === 'middlewares' || option === 'service')
          for (const other of listed(value)) checkReference(other, option === 'service');
      }
      if (protocol === 'udp') return checkEntryPoints('udp', options);
      const rule = options.get('rule');
      const hosts = rule === undefined ? null : hostsOfRule(rule);
      if (hosts === null) {
        const why = rule === undefined ? 'has no rule' : `has a rule that cannot be read: ${said(rule)}`;
        return find(
          'route:*',
          `the router ${said(name)} ${why}; it must name its hosts, as Host(\`\${DOMAIN}\`)`,
        );
      }
      const every = hosts.hosts.includes('*');
      if (every && protocol === 'tcp') return checkEntryPoints('tcp', options);
      if (!hosts.bounded)
        return find('route:*', `the router ${said(name)} takes requests of any host: ${said(rule ?? '')}`);
      for (const host of hosts.hosts) checkHost(host);
    }

    function checkHost(host: string): void {
      if (host === app.domain || host.endsWith(`.${app.domain}`)) return;
      find(
        `route:${hostName(host, app.domain)}`,
        `the host ${said(host)} is not this app's: it may have its domain, and what is below it`,
      );
    }

    /** Without a host to go by, such a router takes all that comes to its entry points. */
    function checkEntryPoints(protocol: 'tcp' | 'udp', options: Map<string, string>): void {
      const points = listed(options.get('entrypoints') ?? '');
      if (points.length === 0)
        find('route:*', `a ${protocol} router without entry points takes all that comes to any`);
      for (const point of points)
        find(
          `${protocol}-entrypoint:${point}`,
          `a router would take all that comes to the ${protocol} entry point ${said(point)}`,
        );
    }

    /** What the proxy's own files define (`@file`) is its operator's, and meant to be used; not so a service. */
    function checkReference(written: string, isService = false): void {
      const [name = '', provider = ''] = written.toLowerCase().split('@');
      const own = isOwnName(name, app.stack) && ['', 'docker', 'swarm'].includes(provider);
      if (own || (provider === 'file' && !isService)) return;
      find(`traefik-name:${written}`, `${said(written)} is not this app's at the proxy`);
    }
  });
}

/** The options of services and middlewares whose values are names. */
function referencesOf(option: string, value: string): string[] {
  return /^(loadbalancer\.serverstransport|chain\.middlewares|errors\.service)(\[\d+\])?$/.test(option)
    ? listed(value)
    : [];
}

function listed(value: string): string[] {
  return value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** traefik itself asks there, from where it stands among the host's services. */
function isOwnUrl(text: string, { stack, domain }: Routed): boolean {
  if (!URL.canParse(text)) return false;
  const { hostname, username } = new URL(text);
  const own = hostname === domain || hostname.endsWith(`.${domain}`) || hostname.startsWith(`${stack}_`);
  return own && username === '';
}

function isOwnName(name: string, stack: string): boolean {
  const [lower, own] = [name.toLowerCase(), stack.toLowerCase()];
  return lower === own || lower.startsWith(`${own}-`) || lower.startsWith(`${own}_`);
}

/** The same for every deployment, so that it can be allowed. */
function labelName(label: string, stack: string): string {
  return `traefik-label:${label.replaceAll(stack.toLowerCase(), 'STACK_NAME')}`;
}

/**
 * Likewise. A certificate for `*.<zone>` is good for `minio-<domain>` and not for `minio.<domain>`, so that an operator
 * has reason to allow the former.
 */
function hostName(host: string, domain: string): string {
  return host.endsWith(`-${domain}`) ? `${host.slice(0, -domain.length)}DOMAIN` : host;
}

function said(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/** Each service's labels as docker merges them, those of the service and those of its containers apart. */
function servicesOf(files: readonly ComposeSource[]): { labels: Map<string, string>; place: Place }[] {
  const found = new Map<string, { labels: Map<string, string>; place: Place }>();
  for (const { compose, at } of files) {
    const { services } = compose;
    for (const [key, service] of Object.entries(isMapping(services) ? services : {})) {
      if (!isMapping(service)) continue;
      const deploy = isMapping(service['deploy']) ? service['deploy'] : {};
      const kinds = [
        [['deploy', 'labels'], deploy['labels']],
        [['labels'], service['labels']],
      ] as const;
      for (const [where, written] of kinds) {
        const id = `${key} ${where.join('.')}`;
        const { labels } = found.get(id) ?? { labels: new Map<string, string>() };
        const own = labelsOf(written);
        for (const [name, value] of own) labels.set(name, value);
        if (own.size > 0) found.set(id, { labels, place: at('services', key, ...where) });
      }
    }
  }
  return [...found.values()];
}
