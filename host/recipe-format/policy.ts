import path from 'node:path';
import { isMapping, scalarText, type ComposeSource, type Mapping } from './compose.ts';
import { labelsOf } from './labels.ts';
import { routeFindings } from './routes.ts';
import { HOST_NETWORK } from './networks.ts';
import { placed, RecipeProblem, type Finding, type Key } from './problem.ts';

/**
 * What a recipe may not ask of the host beside other apps, unless the operator's own recipe.yml allows that one
 * by its name.
 *
 * Some of it `docker stack deploy` ignores: privileged, pid, ipc, network_mode, devices, security_opt. It is
 * refused all the same: such a recipe asks for what it does not get, so its test says nothing of it, and with an
 * engine that heeds it, it would own the host. Allowed, it is handed over as written, like all else.
 */

/** The forms that names of findings have. */
export const FINDING_FORMS: readonly { form: string; is: RegExp }[] = [
  { form: 'docker-socket', is: /^docker-socket$/ },
  { form: 'host-network', is: /^host-network$/ },
  { form: 'cap-add:<CAPABILITY>', is: /^cap-add:[A-Z0-9_]+$/ },
  { form: 'host-path:/absolute/path', is: /^host-path:[/~]/ },
  { form: 'bind-volume:/absolute/path', is: /^bind-volume:./ },
  { form: 'device:/absolute/path', is: /^device:./ },
  { form: 'privileged', is: /^privileged$/ },
  { form: 'pid-host', is: /^pid-host$/ },
  { form: 'ipc-host', is: /^ipc-host$/ },
  { form: 'security-opt:<option>', is: /^security-opt:./ },
  { form: 'sysctl:<name>', is: /^sysctl:./ },
  { form: 'route:<host>', is: /^route:./ },
  { form: 'router-priority', is: /^router-priority$/ },
  { form: 'tcp-entrypoint:<name>', is: /^tcp-entrypoint:./ },
  { form: 'udp-entrypoint:<name>', is: /^udp-entrypoint:./ },
  { form: 'traefik-name:<name>', is: /^traefik-name:./ },
  { form: 'traefik-label:<label>', is: /^traefik-label:./ },
];

/** Whether a finding can have this name; paths in it are spelt in the one way that findings spell them. */
export function isFindingName(text: string): boolean {
  const named = text.slice(text.indexOf(':') + 1);
  return FINDING_FORMS.some(({ is }) => is.test(text)) && normal(named) === named;
}

/** Host files that any app may read. */
const READABLE_HOST_FILES = new Set(['/etc/localtime', '/etc/timezone']);

/** Where engines have their socket; who has a folder above it has the socket. */
const ENGINE_SOCKETS = ['/run/docker.sock', '/var/run/docker.sock'];

/** What containers have anyway (docker's default set), and what cannot harm a neighbour. */
const HARMLESS_CAPABILITIES = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'IPC_LOCK',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
  'SYS_NICE',
  'SYS_RESOURCE',
]);

/** File systems of their own, which show nothing of this host. */
const OWN_FILE_SYSTEMS = new Set(['tmpfs', 'nfs', 'nfs4']);

/** Throws RecipeProblem for what is not allowed: the first is the message, each has a line of its own. */
export function checkPolicy(
  files: readonly ComposeSource[],
  app: { recipe: string; allow: readonly string[]; stack: string; domain: string },
): void {
  const { recipe } = app;
  const allowed = new Set(app.allow);
  const refused = policyFindings(files, app).filter(({ name }) => !allowed.has(name));
  const [first, ...others] = refused.map(({ name, place, what }) => ({
    place,
    what,
    advice: `if it must be so, allow: [${quoted(name)}] in recipes/${recipe}/recipe.yml`,
  }));
  if (first === undefined) return;
  const count = others.length === 0 ? '' : ` (the first of ${refused.length} findings)`;
  throw new RecipeProblem(
    first.place,
    `${first.what}${count}; ${first.advice}`,
    others.map(({ place, what, advice }) => placed(place, `${what}; ${advice}`)),
  );
}

/** As it must be written between brackets in YAML, so that one name never reads as two. */
function quoted(name: string): string {
  return /^[\w./:~@+=-]+$/.test(name) ? name : JSON.stringify(name);
}

/** Everything of the kind in interpolated files, each name once, where it is found first. */
function policyFindings(files: readonly ComposeSource[], app: { stack: string; domain: string }): Finding[] {
  const found = new Map<string, Finding>();
  for (const finding of [
    ...files.flatMap(serviceFindings),
    ...volumeFindings(files),
    ...files.flatMap(networkFindings),
    ...routeFindings(files, app),
  ]) {
    if (!found.has(finding.name)) found.set(finding.name, finding);
  }
  return [...found.values()];
}

function serviceFindings({ compose, at }: ComposeSource): Finding[] {
  return sectionOf(compose, 'services').flatMap(([key, service]) => {
    const found: Finding[] = [];
    const find = (where: readonly Key[], name: string, what: string): void => {
      found.push({ name, place: at('services', key, ...where), what });
    };
    for (const [index, volume] of itemsOf(service['volumes'])) {
      const bound = hostPathOf(volume);
      if (bound === null) continue;
      const { source, readOnly } = bound;
      if (!READABLE_HOST_FILES.has(source)) find(['volumes', index], ...pathFinding('host-path', source));
      else if (!readOnly) {
        const what = `${JSON.stringify(source)} belongs to the host: mount it read-only`;
        find(['volumes', index], `host-path:${source}`, what);
      }
    }
    for (const [index, written] of itemsOf(service['cap_add'])) {
      const capability = scalarText(written).toUpperCase().replace(/^CAP_/, '');
      if (HARMLESS_CAPABILITIES.has(capability)) continue;
      find(
        ['cap_add', index],
        `cap-add:${capability}`,
        `the capability ${capability} reaches the whole host`,
      );
    }
    for (const [index, written] of itemsOf(service['devices'])) {
      const device = normal(scalarText(written).split(':')[0] ?? '');
      find(
        ['devices', index],
        `device:${device}`,
        `the device ${JSON.stringify(device)} belongs to the host`,
      );
    }
    for (const [index, written] of itemsOf(service['security_opt'])) {
      if (!/\b(unconfined|disable)\b/i.test(scalarText(written))) continue;
      const shown = JSON.stringify(written);
      find(
        ['security_opt', index],
        `security-opt:${scalarText(written)}`,
        `${shown} takes the confinement away`,
      );
    }
    for (const name of labelsOf(service['sysctls']).keys()) {
      if (name.startsWith('net.')) continue;
      const shown = JSON.stringify(name);
      find(['sysctls', name], `sysctl:${name}`, `the sysctl ${shown} is not of the container's own network`);
    }
    if (service['privileged'] === true) {
      find(['privileged'], 'privileged', 'a privileged container owns the host');
    }
    if (service['pid'] === 'host') find(['pid'], 'pid-host', "it would see the host's processes");
    if (service['ipc'] === 'host') find(['ipc'], 'ipc-host', "it would share the host's memory segments");
    if (service['network_mode'] === HOST_NETWORK) find(['network_mode'], ...HOST_NETWORK_FINDING);
    return found;
  });
}

const HOST_NETWORK_FINDING = [
  'host-network',
  "the host's own network leads to what listens for the host alone: use an overlay network",
] as const;

function networkFindings({ compose, at }: ComposeSource): Finding[] {
  return sectionOf(compose, 'networks').flatMap(([key, network]) => {
    const { name, external, driver } = network;
    const named = [name, isMapping(external) ? external['name'] : undefined].filter(
      (written) => typeof written === 'string' && written !== '',
    );
    const outside = external !== undefined && external !== false;
    const isHost =
      driver === HOST_NETWORK ||
      named.includes(HOST_NETWORK) ||
      (key === HOST_NETWORK && outside && named.length === 0);
    const [finding, what] = HOST_NETWORK_FINDING;
    return isHost ? [{ name: finding, place: at('networks', key), what }] : [];
  });
}

/** Volumes that are folders or disks of the host: a volume's driver mounts whatever its options name. */
function volumeFindings(files: readonly ComposeSource[]): Finding[] {
  const merged = new Map<string, Mapping>();
  return files.flatMap(({ compose, at }) =>
    sectionOf(compose, 'volumes').flatMap(([key, { driver_opts: own }]) => {
      if (!isMapping(own)) return [];
      const all = { ...merged.get(key), ...own };
      merged.set(key, all);
      return [own, all].flatMap(hostSourcesOf).map((source): Finding => {
        const [name, what] = pathFinding('bind-volume', source);
        return { name, place: at('volumes', key, 'driver_opts'), what };
      });
    }),
  );
}

/** What of the host a volume's driver_opts would mount: every path in them, else the device as it is written. */
function hostSourcesOf(options: Mapping): string[] {
  const { type, device, o } = options;
  const own = OWN_FILE_SYSTEMS.has(scalarText(type)) && !/\br?bind\b/i.test(scalarText(o));
  const values = Object.values(options).map(scalarText);
  const inside = (value: string): string[] => (own ? [] : (value.match(/(?<=[=:,])\/[^,:]*/g) ?? []));
  const paths = values.flatMap((value) => (value.startsWith('/') ? [value] : inside(value)));
  if (paths.length > 0 || own || device === undefined) return paths.map(normal);
  return [scalarText(device)];
}

/** The host's folder that an item of a service's volumes binds; null for anything else. */
function hostPathOf(volume: unknown): { source: string; readOnly: boolean } | null {
  const [source, readOnly] = isMapping(volume)
    ? [volume['source'], volume['read_only'] === true]
    : shortForm(volume);
  return typeof source === 'string' && /^[/~]/.test(source) ? { source: normal(source), readOnly } : null;
}

/** `source:target[:options]`; a target alone is a volume without a name. */
function shortForm(volume: unknown): [source: string | undefined, readOnly: boolean] {
  const [source, target, options = ''] = typeof volume === 'string' ? volume.split(':') : [];
  return [target === undefined ? undefined : source, options.split(',').includes('ro')];
}

/** A path of the host, under the name that it has when it comes this way. */
function pathFinding(way: 'host-path' | 'bind-volume', bound: string): [name: string, what: string] {
  const shown = JSON.stringify(bound);
  if (path.posix.basename(bound) === 'docker.sock') {
    return ['docker-socket', `${shown} belongs to the host: who has the engine's socket owns the host`];
  }
  const above = ENGINE_SOCKETS.some((socket) => socket.startsWith(bound === '/' ? bound : `${bound}/`));
  const socket = above ? ", the engine's socket docker.sock with it" : '';
  return [`${way}:${bound}`, `${shown} belongs to the host${socket}: use a volume`];
}

/** One spelling for each path; one below a home folder stays as it is, since only docker knows which. */
function normal(written: string): string {
  if (!written.startsWith('/')) return written;
  return path.posix.normalize(written).replace(/(?<=.)\/$/, '');
}

function sectionOf(compose: Mapping, kind: 'services' | 'networks' | 'volumes'): [string, Mapping][] {
  const written = compose[kind];
  return Object.entries(isMapping(written) ? written : {}).flatMap(([key, value]) =>
    isMapping(value) ? [[key, value] as [string, Mapping]] : [],
  );
}

function itemsOf(written: unknown): [number, unknown][] {
  return Array.isArray(written) ? [...(written as unknown[]).entries()] : [];
}
