import { expect, it } from 'vitest';
import type { Observation } from '../../domain/convergence.ts';
import type { ProvidedDependency } from '../../domain/dependency.ts';
import type { Probe } from '../../domain/recipe-settings.ts';
import { createAppEnvironment } from '../../host/deploy/app-environment.ts';
import type { App } from '../../domain/app.ts';

const WEB = { 'traefik.http.services.x.loadbalancer.server.port': '8080' };

/** Stacks that run, by name: their services, and the address of each. */
type Running = Record<string, Record<string, { labels?: Record<string, string>; address: string }>>;

interface Situation {
  via: 'proxy' | 'task';
  /** Of the release's services. */
  labels?: Record<string, string>;
  running?: Running;
  dependencies?: ProvidedDependency[];
  secrets?: Record<string, string>;
  probe?: Probe;
}

async function told(situation: Situation) {
  const { via, labels = {}, running = {}, dependencies = [], secrets = {}, probe } = situation;
  const of = (stack: string) => Object.entries(running[stack] ?? {});
  const environment = createAppEnvironment({
    config: { probe: { via } },
    swarm: {
      services: async (stack) =>
        of(stack).map(([name, one]) => ({ name, labels: one.labels ?? {}, mounts: [] })),
      observe: async (stack) =>
        ({
          services: of(stack).map(([name]) => ({
            name,
            tasks: [{ id: `${stack}.${name}`, current: true, state: 'running' }],
          })),
        }) as unknown as Observation,
      containers: async (stack) =>
        of(stack).map(([service, { address }]) => ({
          id: address,
          service,
          taskId: `${stack}.${service}`,
          imageId: '',
          runs: true,
        })),
      hostAddress: async (container) => container,
    },
    servicesOf: async () => [{ name: 'app', labels: new Map(Object.entries(labels)) }],
  });
  const { APP_DOMAIN, STACK_NAME, RECIPE, VERSION, RECIPE_DIR, ...rest } = await environment({
    recipe: 'thing',
    version: '1.0.0+1',
    checkout: '/checkout',
    domain: 'thin.test',
    stack: 'thin_test',
    dependencies,
    secrets,
    settings: { probe: probe ?? null },
  } as unknown as App);
  expect([APP_DOMAIN, STACK_NAME, RECIPE, VERSION, RECIPE_DIR]).toEqual([
    'thin.test',
    'thin_test',
    'thing',
    '1.0.0+1',
    '/checkout',
  ]);
  return rest;
}

const GITEA = {
  recipe: 'gitea-lts',
  version: null,
  domain: 'gite.test',
  stack: 'gite_test',
  url: 'http://gite.test:3000',
};

it('through the proxy an app is asked as a user does, if it speaks HTTP', async () => {
  expect(await told({ via: 'proxy', labels: WEB })).toEqual({ APP_URL: 'https://thin.test' });
  expect(await told({ via: 'proxy' })).toEqual({});
});

it('at the task it is asked at its port, and by its address once it runs', async () => {
  expect(await told({ via: 'task', labels: WEB })).toEqual({ APP_URL: 'http://thin.test:8080' });
  const running = { thin_test: { db: { address: '10.0.0.1' }, app: { address: '10.0.0.2' } } };
  expect(await told({ via: 'task', labels: WEB, running })).toEqual({
    APP_URL: 'http://thin.test:8080',
    APP_ADDRESS: '10.0.0.2',
  });
});

it('one that speaks no HTTP has an address alone: of the service that is probed, else of app', async () => {
  const running = { thin_test: { app: { address: '10.0.0.2' }, voice: { address: '10.0.0.3' } } };
  expect(await told({ via: 'task', running })).toEqual({ APP_ADDRESS: '10.0.0.2' });
  const probe = { protocol: 'udp', service: 'voice', port: 64_738 } as Probe;
  expect(await told({ via: 'task', running, probe })).toEqual({ APP_ADDRESS: '10.0.0.3' });
});

it('one with a route and no port label has a URL through the proxy, and at the task is one that speaks none', async () => {
  const labels = { 'traefik.http.routers.web.rule': 'Host(`thin.test`)' };
  expect(await told({ via: 'proxy', labels })).toEqual({ APP_URL: 'https://thin.test' });
  const running = { thin_test: { app: { address: '10.0.0.2' }, voice: { address: '10.0.0.3' } } };
  const probe = { protocol: 'udp', service: 'voice', port: 64_738 } as Probe;
  expect(await told({ via: 'task', labels, running, probe })).toEqual({ APP_ADDRESS: '10.0.0.3' });
});

it('dependencies are told, at the task with the address of what speaks HTTP in them', async () => {
  const named = {
    DEP_GITEA_LTS_DOMAIN: 'gite.test',
    DEP_GITEA_LTS_STACK_NAME: 'gite_test',
    DEP_GITEA_LTS_URL: 'http://gite.test:3000',
  };
  expect(await told({ via: 'proxy', dependencies: [GITEA] })).toEqual(named);
  const running = { gite_test: { app: { address: '10.0.0.4' }, web: { address: '10.0.0.5', labels: WEB } } };
  expect(await told({ via: 'task', dependencies: [GITEA], running })).toEqual({
    ...named,
    DEP_GITEA_LTS_ADDRESS: '10.0.0.5',
  });
});

it('of a Keycloak the realm of the run is told, with its secrets', async () => {
  const keycloak = {
    recipe: 'keycloak',
    version: null,
    domain: 'warm-keycloak.test',
    stack: 'warm-keycloak_test',
    url: 'https://warm-keycloak.test',
    realm: {
      name: 'thing-abcdef',
      issuer: 'https://warm-keycloak.test/realms/thing-abcdef',
      clientId: 'thing',
      user: 'thing-abcdef',
    },
  };
  const secrets = { DEP_KEYCLOAK_CLIENT_SECRET: 'c', DEP_KEYCLOAK_PASSWORD: 'p' };
  expect(await told({ via: 'proxy', dependencies: [keycloak], secrets })).toEqual({
    DEP_KEYCLOAK_DOMAIN: 'warm-keycloak.test',
    DEP_KEYCLOAK_STACK_NAME: 'warm-keycloak_test',
    DEP_KEYCLOAK_URL: 'https://warm-keycloak.test',
    DEP_KEYCLOAK_REALM: 'thing-abcdef',
    DEP_KEYCLOAK_ISSUER: 'https://warm-keycloak.test/realms/thing-abcdef',
    DEP_KEYCLOAK_CLIENT_ID: 'thing',
    DEP_KEYCLOAK_USER: 'thing-abcdef',
    ...secrets,
  });
});
