import type { Config } from './config.ts';
import { readSecretFile } from './secret-file.ts';

/** As whom a Keycloak is asked for realms. */
export interface AdminLogin {
  user: string;
  password: string;
  /** Where the password was read, as the end of a sentence about it. */
  from: string;
  /** What an operator can do where it is not taken. */
  how: string;
}

/** The admin that the configuration names; null where it names none. Throws Fault BadConfig as readSecretFile does. */
export async function configuredAdmin({ keycloak }: Pick<Config, 'keycloak'>): Promise<AdminLogin | null> {
  if (keycloak === undefined) return null;
  const { user, passwordFile } = keycloak;
  const how = 'write the password of that admin there, or take "keycloak" out of the configuration';
  const password = await readSecretFile('keycloak.passwordFile', passwordFile, how);
  return { user, password, from: `stands in ${passwordFile} (keycloak.passwordFile)`, how };
}
