import { Fault } from '../../domain/fault.ts';
import type { Config } from '../config/config.ts';
import { configuredAdmin, type AdminLogin } from '../config/keycloak-admin.ts';

export interface AdminLoginSettings {
  config: Pick<Config, 'keycloak'>;
  /** Runs a shell command in the running container of a stack's service. */
  exec(
    stack: string,
    service: string,
    command: string,
    timeoutMs: number,
  ): Promise<{ status: number | null; output: string }>;
}

const SECRET = '/run/secrets/admin_password';
/** The recipe's own admin: the name by its env, the password by its secret, both as the container has them. */
const COMMAND = `printf '%s\\n' "\${ADMIN_USERNAME:-admin}" && cat ${SECRET}`;
const EXEC_MS = 30_000;

const HOW =
  'where the password was changed since, write it into a file and name that in the configuration (keycloak.passwordFile)';

/**
 * The admin of the configuration at the live service where it names one, else the one that the recipe made. Throws Fault
 * BadConfig where there is no password to be had.
 */
export async function adminLogin(
  { config, exec }: AdminLoginSettings,
  { stack, lifetime }: { stack: string; lifetime: 'live' | 'cold' },
): Promise<AdminLogin> {
  const configured = lifetime === 'live' ? await configuredAdmin(config) : null;
  if (configured !== null) return configured;
  const { status, output } = await exec(stack, 'app', COMMAND, EXEC_MS);
  const [user = '', password = ''] = output.split(/\r?\n/);
  if (status === 0 && user !== '' && password !== '') {
    return { user, password, from: `stands in ${SECRET} in the container of ${stack}_app`, how: HOW };
  }
  throw new Fault(
    'BadConfig',
    `the container of ${stack}_app has no password of its admin in ${SECRET}: write one into a file and name that in the configuration (keycloak.passwordFile)`,
  );
}
