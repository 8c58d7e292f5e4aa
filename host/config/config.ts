import { isIP } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import { duration } from '../machine/duration.ts';
import { readYamlFile } from '../machine/yaml-file.ts';
import { withAbsoluteFiles } from './absolute-files.ts';
import { ALERT_TARGETS_SCHEMA, withAbsoluteAlertFiles } from './alert-targets.ts';

/** The one configuration file. Every key is explained in recipe-sweep.example.yml, which a test validates. */

const bytes = z
  .string()
  .regex(/^\d+(MB|GB)$/, 'a whole number of MB or GB, as in 10GB')
  .transform((written) => parseInt(written, 10) * (written.endsWith('GB') ? 1e9 : 1e6));

const domain = z
  .string()
  .max(120)
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'a domain name in lower case, as in ci.example.org');

/** The runtime of the worker resolves no names. */
const ipAndPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]{1,5}$/, 'an IP address and a port, as in 127.0.0.1:9464')
  .refine((listen) => {
    const colon = listen.lastIndexOf(':');
    const port = Number(listen.slice(colon + 1));
    return isIP(listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1')) !== 0 && port >= 1 && port <= 65_535;
  }, 'no such IP address or port');

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day, as in 03:00');

/** What may stand in the file. */
export const CONFIG_SCHEMA = z.strictObject({
  host: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/, 'a host name'),
  zone: domain,
  state: z.string().min(1),
  recipes: z.string().min(1),
  mirrors: z.string().includes('{recipe}', { message: 'needs {recipe}, which stands for the recipe name' }),
  path: z
    .string()
    .min(1)
    .prefault(
      '/run/wrappers/bin:/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ),
  deployer: z.enum(['swarm', 'abra']).prefault('swarm'),
  forge: z
    .strictObject({ url: z.url({ protocol: /^https?$/ }), tokenFile: z.string().min(1) })
    .exactOptional(),
  keycloak: z.strictObject({ user: z.string().min(1), passwordFile: z.string().min(1) }).exactOptional(),
  serve: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'an address and a port, as in 127.0.0.1:8080')
        .prefault('127.0.0.1:8080'),
      url: z.url({ protocol: /^https?$/ }).exactOptional(),
      webhookSecretFile: z.string().min(1).exactOptional(),
    })
    .prefault({}),
  metrics: z.strictObject({ listen: ipAndPort }).exactOptional(),
  alerts: ALERT_TARGETS_SCHEMA.prefault([]),
  docker: z
    .strictObject({
      socket: z.string().startsWith('/').prefault('/var/run/docker.sock'),
      pull: z.enum(['always', 'missing']).prefault('always'),
    })
    .prefault({}),
  probe: z.strictObject({ via: z.enum(['proxy', 'task']).prefault('proxy') }).prefault({}),
  temporal: z
    .strictObject({
      address: z.string().prefault('127.0.0.1:7233'),
      namespace: z.string().prefault('default'),
      ui: z.url().prefault('http://127.0.0.1:8233'),
      tls: z
        .strictObject({
          ca: z.string().min(1).exactOptional(),
          cert: z.string().min(1).exactOptional(),
          key: z.string().min(1).exactOptional(),
          serverName: z.string().min(1).exactOptional(),
        })
        .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key go together')
        .exactOptional(),
      apiKeyFile: z.string().min(1).exactOptional(),
    })
    .refine(
      ({ tls, apiKeyFile }) => apiKeyFile === undefined || tls !== undefined,
      'an API key over a connection without TLS is everybody’s: set "tls" (tls: {} trusts what this host trusts)',
    )
    .prefault({}),
  schedule: z
    .strictObject({
      day: z.enum(WEEKDAYS).prefault('sunday'),
      time: timeOfDay.prefault('03:00'),
      timezone: z
        .string()
        .refine(
          (zone) => Intl.supportedValuesOf('timeZone').includes(zone) || zone === 'UTC',
          'an IANA time zone, as in Europe/Berlin',
        )
        .prefault('UTC'),
      catchup: duration.prefault('2d'),
    })
    .prefault({}),
  reconcile: z
    .strictObject({
      day: z.enum(['daily', ...WEEKDAYS]).prefault('daily'),
      time: timeOfDay.prefault('01:00'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      sweep: duration.prefault('20h'),
      tier: duration.prefault('60m'),
      promote: duration.prefault('2h'),
      deploy: duration.prefault('5m'),
      stable: duration.prefault('15s'),
      attempts: z.number().int().min(2).max(20).prefault(4),
      tests_between: z.number().int().min(1).max(100).prefault(2),
      headroom: bytes.prefault('10GB'),
      fetch: bytes.prefault('1GB'),
    })
    .prefault({}),
  retention: z
    .strictObject({
      sweeps: duration.prefault('730d'),
      evidence: duration.prefault('90d'),
      alerts: duration.prefault('180d'),
      images: duration.prefault('30d'),
    })
    .prefault({}),
});

/** As used: paths absolute, durations in milliseconds, sizes in bytes. */
export type Config = z.output<typeof CONFIG_SCHEMA>;

/**
 * Reads and checks the configuration. Relative paths in it are relative to the file's own folder.
 * Throws Fault BadConfig that lists every problem at once.
 */
export async function readConfig(file: string): Promise<Config> {
  const config = await readYamlFile(file, CONFIG_SCHEMA);
  const folder = path.dirname(path.resolve(file));
  return {
    ...config,
    state: path.resolve(folder, config.state),
    recipes: path.resolve(folder, config.recipes),
    temporal: withAbsoluteTls(withAbsoluteFiles(config.temporal, folder), folder),
    ...(config.forge === undefined ? {} : { forge: withAbsoluteFiles(config.forge, folder) }),
    ...(config.keycloak === undefined ? {} : { keycloak: withAbsoluteFiles(config.keycloak, folder) }),
    serve: withAbsoluteFiles(config.serve, folder),
    alerts: withAbsoluteAlertFiles(config.alerts, folder),
  };
}

/** Whose keys are files but for the server's name. */
function withAbsoluteTls({ tls, ...rest }: Config['temporal'], folder: string): Config['temporal'] {
  if (tls === undefined) return rest;
  const { serverName, ...files } = tls;
  const named = Object.entries(files).map(([name, file]) => [name, path.resolve(folder, file)]);
  return {
    ...rest,
    tls: { ...Object.fromEntries(named), ...(serverName === undefined ? {} : { serverName }) },
  };
}

/** Where the mirror of a recipe is: any git URL, or a path on this host. */
export function mirrorUrl(config: Pick<Config, 'mirrors'>, recipe: string): string {
  return config.mirrors.replaceAll('{recipe}', recipe);
}

/** Where `docker login` keeps its logins for the worker. */
export function dockerFolder({ state }: Pick<Config, 'state'>): string {
  return path.join(state, 'home', '.docker');
}
