import { dependencyPrefix, dependencyVariables } from '../../domain/dependency.ts';
import type { Config } from '../config/config.ts';
import type { App } from '../../domain/app.ts';
import { httpService, taskAddress, webService } from '../probe/prober.ts';
import type { PreparedService } from '../prepare/prepare.ts';
import type { Swarm } from '../engine/swarm.ts';

/**
 * What hooks and checks are told of an app. Where the app is asked through the proxy, they ask it as a user does;
 * where it is asked at its task's address, they are told that as well, and URLs go with it to http and the port
 * that the proxy would use.
 */
export interface AppEnvironmentSettings {
  config: Pick<Config, 'probe'>;
  swarm: Pick<Swarm, 'services' | 'observe' | 'containers' | 'hostAddress'>;
  /** The services of the release that the app is; none where it cannot be read. */
  servicesOf(app: App): Promise<readonly Pick<PreparedService, 'name' | 'labels'>[]>;
}

const MAIN_SERVICE = 'app';

export function createAppEnvironment({ config, swarm, servicesOf }: AppEnvironmentSettings) {
  /** Of the service's running task, on docker_gwbridge. */
  async function addressOf(stack: string, service: string): Promise<string | null> {
    return taskAddress(swarm, stack, await swarm.observe(stack), service);
  }

  /** Of the service that speaks HTTP in a stack that is deployed. */
  async function deployedAddress(stack: string): Promise<string | null> {
    const http = await deployedHttp(swarm, stack);
    return addressOf(stack, http?.service ?? MAIN_SERVICE);
  }

  return async (app: App): Promise<Record<string, string>> => {
    const { domain, stack, recipe, version, checkout, dependencies, secrets } = app;
    const told = {
      APP_DOMAIN: domain,
      STACK_NAME: stack,
      RECIPE: recipe,
      VERSION: version ?? '',
      RECIPE_DIR: checkout,
      ...dependencyVariables(dependencies),
      ...secrets,
    };
    const services = await servicesOf(app);
    if (config.probe.via === 'proxy') {
      return webService(services, 'proxy') ? { ...told, APP_URL: `https://${domain}` } : told;
    }
    const http = httpService(services);
    const { probe } = app.settings;
    const own = probe === null || probe.protocol === 'http' ? MAIN_SERVICE : probe.service;
    const addresses: [string, string | null][] = [
      ['APP_ADDRESS', await addressOf(stack, http?.service ?? own)],
      ...(await Promise.all(
        dependencies.map(async (dependency): Promise<[string, string | null]> => [
          `${dependencyPrefix(dependency.recipe)}_ADDRESS`,
          await deployedAddress(dependency.stack),
        ]),
      )),
    ];
    return {
      ...told,
      ...(http ? { APP_URL: `${http.scheme}://${domain}:${http.port}` } : {}),
      ...Object.fromEntries(addresses.filter((entry): entry is [string, string] => entry[1] !== null)),
    };
  };
}

/** The service that speaks HTTP in a stack that is deployed, whoever deployed it; null where no label says which. */
export async function deployedHttp(
  swarm: Pick<Swarm, 'services'>,
  stack: string,
): Promise<ReturnType<typeof httpService>> {
  const services = await swarm.services(stack);
  return httpService(services.map(({ name, labels }) => ({ name, labels: new Map(Object.entries(labels)) })));
}
