import path from 'node:path';
import { alertAccess, alertTargets, secretsOfAccess } from '../../host/config/alert-targets.ts';
import { mirrorUrl, type Config } from '../../host/config/config.ts';
import { forgeAccess } from '../../host/config/forge-access.ts';
import { configuredAdmin } from '../../host/config/keycloak-admin.ts';
import { webhookSecret } from '../../host/config/webhook-secret.ts';
import { entriesBelow } from '../../host/machine/below-folder.ts';
import { readYaml } from '../../host/machine/yaml-file.ts';
import { credentialsIn, settingsToMask, type Setting } from './mask.ts';

/**
 * What of the configuration and the recipes' settings is, or may be, a secret: to be masked wherever it stands. Settings
 * are read as they are written, since also what is wrong with them may be quoted.
 */
export async function secretsOf(config: Config): Promise<string[]> {
  const { host, zone, state, recipes, temporal } = config;
  const names = (await entriesBelow(recipes, '.').catch(() => [])).map(({ name }) => name);
  const texts = [mirrorUrl(config, 'recipe'), temporal.ui];
  const set: Setting[] = [];
  for (const name of names) {
    const read = await readYaml(path.join(recipes, name, 'recipe.yml'));
    if (!read.ok) continue;
    texts.push(...textsIn(read.data));
    const { env, upgrade_env: upgradeEnv } = (read.data ?? {}) as Record<string, unknown>;
    set.push(...settingsIn(env), ...settingsIn(upgradeEnv));
  }
  const token = await forgeAccess(config).then(
    (access) => access?.token ?? '',
    () => '',
  );
  const webhook = await webhookSecret(config.serve).catch(() => '');
  const admin = await configuredAdmin(config).then(
    (login) => login?.password ?? '',
    () => '',
  );
  const told = await Promise.all(
    alertTargets(config.alerts).map(async (target) => alertAccess(target).then(secretsOfAccess, () => [])),
  );
  return [
    ...[token, webhook, admin].filter((secret) => secret !== ''),
    ...told.flat(),
    ...credentialsIn(texts),
    ...settingsToMask(set, [host, zone, state, recipes, ...names]),
  ];
}

/** With numbers, which YAML makes of what looks like one. */
function settingsIn(written: unknown, name = ''): Setting[] {
  if (typeof written === 'string' || typeof written === 'number') return [{ name, value: String(written) }];
  if (typeof written !== 'object' || written === null) return [];
  return Object.entries(written).flatMap(([key, one]) =>
    settingsIn(one, name === '' ? key : `${name}.${key}`),
  );
}

function textsIn(written: unknown): string[] {
  if (typeof written === 'string') return [written];
  return typeof written === 'object' && written !== null ? Object.values(written).flatMap(textsIn) : [];
}

/**
 * The keys of a configuration that is refused, dotted, and none of its values: which of them is a secret, only a schema
 * that accepts it could tell. Null where it is no YAML.
 */
export async function keysOf(file: string): Promise<string[] | null> {
  const read = await readYaml(file);
  return read.ok ? dotted(read.data, '') : null;
}

function dotted(value: unknown, above: string): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return above === '' ? [] : [above];
  return Object.entries(value).flatMap(([key, one]) => dotted(one, above === '' ? key : `${above}.${key}`));
}
