import { Fault } from '../../domain/fault.ts';
import type { Lifetime } from '../../domain/lifetime.ts';
import type { Config } from '../config/config.ts';
import { adminLogin, type AdminLoginSettings } from './admin-login.ts';
import { createRealms, type Realms } from './realms.ts';

/** A Keycloak that is deployed. */
export interface DeployedKeycloak {
  stack: string;
  domain: string;
  lifetime: Extract<Lifetime, 'live' | 'cold'>;
}

/** The realms of the one Keycloak or the other. */
export type RealmsAt = (keycloak: DeployedKeycloak) => Realms;

export interface RealmsAtSettings {
  config: Pick<Config, 'zone' | 'keycloak'>;
  stacks: {
    origin(deployed: { stack: string; domain: string }): Promise<string | null>;
    exec: AdminLoginSettings['exec'];
  };
  signal: AbortSignal;
  guard(): Promise<void>;
}

export function createRealmsAt({ config, stacks, signal, guard }: RealmsAtSettings): RealmsAt {
  return ({ stack, domain, lifetime }) =>
    createRealms({
      zone: config.zone,
      signal,
      guard,
      async place() {
        const origin = await stacks.origin({ stack, domain });
        if (origin !== null) return { domain, origin };
        throw new Fault('Dependency', `no task of keycloak at ${domain} runs on this host`);
      },
      login: () => adminLogin({ config, exec: stacks.exec }, { stack, lifetime }),
    });
}
