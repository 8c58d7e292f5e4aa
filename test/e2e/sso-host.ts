import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import Dockerode from 'dockerode';
import { createActivities, type Activities } from '../../activities/index.ts';
import type { ProvidedDependency } from '../../domain/dependency.ts';
import { Fault } from '../../domain/fault.ts';
import type { Release } from '../../domain/release.ts';
import type { RunRef } from '../../domain/run.ts';
import type { Config } from '../../host/config/config.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { createLedger, type Ledger } from '../../host/git/ledger.ts';
import type { Mirrors } from '../../host/git/mirrors.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { processRunner } from '../../host/machine/process.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore, type Store } from '../../host/store/store.ts';
import { createTools } from '../../host/tools.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { ensureProxyNetwork } from './engine.ts';
import { removeZone } from './system.ts';

/**
 * Steps on the swarm of this machine, without a Temporal server, for runs of Miniflux that log people in at Keycloak by
 * its domain (fixtures/sso). Needs the fixtures' images; everything it makes carries a zone of its own.
 */

export const RECIPE = 'miniflux';
export const OLD: Release = { version: '2.0.0+2.0.51', commit: 'c'.repeat(40) };
export const NEW: Release = { version: '2.1.0+2.2.0', commit: 'd'.repeat(40) };
export const KEYCLOAK: Release = { version: '10.1.0+26.1.0', commit: 'e'.repeat(40) };
const RELEASES = [OLD, NEW, KEYCLOAK];

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
const now = (): Date => new Date();
const never = (): Promise<never> => Promise.reject(new Fault('MirrorSync', 'there is no upstream'));

const mirrors: Mirrors = {
  async sync(recipe) {
    const releases = RELEASES.filter((release) => (release === KEYCLOAK) === (recipe === 'keycloak'));
    const main = releases.at(-1)?.commit ?? '';
    return { main, releases, tags: releases.length, changed: false, moved: [] };
  },
  accept: never,
  bringCommit: never,
  onMain: never,
  mergesToNothing: never,
  diff: never,
  releaseNotes: never,
  async checkout(recipe, commit, target) {
    const release = RELEASES.find((one) => one.commit === commit);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    for (const part of ['base', release?.version ?? '']) {
      cpSync(fixture(`recipes/${recipe}/${part}`), target, { recursive: true });
    }
  },
  keep: async () => true,
  keepOnly: async () => undefined,
};

/** A run, whose workflow is open until it ends. */
export interface SsoRun {
  ref: RunRef;
  input(
    name: string,
    deploy: Release,
    dependencies: ProvidedDependency[],
  ): Parameters<Activities['coldInstall']>[0];
  step<T>(body: (steps: Activities) => Promise<T>): Promise<T>;
  provide(): Promise<ProvidedDependency>;
  /** Takes down all that it made. */
  end(): Promise<void>;
}

export interface SsoHost {
  zone: string;
  state: string;
  docker: Dockerode;
  ledger: Ledger;
  store: Store;
  /** The workflows that are open. */
  open: Set<string>;
  /** One step, as a worker does it for that workflow, which has the host meanwhile. */
  step<T>(workflowId: string, body: (steps: Activities) => Promise<T>): Promise<T>;
  begin(id: string): SsoRun;
  /** Deploys Keycloak as the live service that it then is. */
  goLive(): Promise<unknown>;
  remove(): Promise<void>;
}

export async function createSsoHost(limits: Partial<Config['limits']> = {}): Promise<SsoHost> {
  const zone = `t${randomBytes(3).toString('hex')}.test`;
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  const scratch = mkdtempSync(path.join(tmpdir(), 'sso-'));
  const state = path.join(scratch, 'state');
  const config = plainConfig(
    { host: 'e2e', zone, state, recipes: path.join(scratch, 'recipes') },
    { deploy: 120_000, ...limits },
  );
  for (const recipe of ['keycloak', RECIPE]) {
    const ours = path.join(config.recipes, recipe);
    cpSync(fixture(`sso/${recipe}`), ours, { recursive: true });
    const settings = path.join(ours, 'recipe.yml');
    writeFileSync(settings, `upstream: ${scratch}/upstream.git\n${readFileSync(settings, 'utf8')}`);
  }
  const environment = declaredEnvironment(config);
  const canonicals = createCanonicals({ state, zone });
  const ledger = createLedger(state);
  const store = createStore(state);
  const open = new Set<string>();
  let holder = '';
  const activities = createActivities({
    config,
    forgeFor: async () => null,
    recipes: createRecipes(config.recipes),
    ledger,
    canonicals,
    services: createServices(config),
    ...store,
    foreignWorker: async () => null,
    disks: async () => [],
    turns: { ask: async () => 'host', isOpen: async ({ id }) => open.has(id) },
    lock: createHostLock({
      host: config.host,
      state,
      now,
      // Between two steps of one run comes another's.
      isOpen: async ({ workflowId }) => workflowId === holder,
    }),
    attempts: createAttempts(state),
    environment: async () => ({ fingerprint: 'none', parts: {} }),
    runnerFor: ({ signal, commandMark }) =>
      processRunner({ environment: { ...environment, [COMMAND_MARK]: commandMark }, signal }),
    mirrorsFor: () => mirrors,
    toolsFor: (bonds) =>
      createTools({ config, canonicals, now }, deployingOnSwarm({ config, docker, ...bonds }), bonds),
    now,
  });
  const removeProxy = await ensureProxyNetwork(docker);

  async function step<T>(workflowId: string, body: (steps: Activities) => Promise<T>): Promise<T> {
    holder = workflowId;
    return new MockActivityEnvironment({ startToCloseTimeoutMs: 600_000 }).run(() => body(activities));
  }

  return {
    zone,
    state,
    docker,
    ledger,
    store,
    open,
    step,
    begin(id) {
      const runId = randomBytes(16).toString('hex');
      const ref: RunRef = { recipe: RECIPE, asked: { by: 'test', id, runId }, workflow: { id, runId } };
      open.add(id);
      return {
        ref,
        input: (name, deploy, dependencies) => ({
          run: ref,
          step: name,
          deploy,
          dependencies,
          upgraded: deploy === NEW,
        }),
        step: (body) => step(id, body),
        provide: () => step(id, (steps) => steps.provide({ run: ref, recipe: 'keycloak', dependencies: [] })),
        async end() {
          await step(id, (steps) => steps.teardown({ run: ref }));
          await step(id, (steps) => steps.teardown({ run: ref, dependencies: ['keycloak'] }));
          open.delete(id);
        },
      };
    },
    goLive: () =>
      step('reconcile', (steps) =>
        steps.upgradeService({
          run: { service: 'keycloak', asked: { id: 'reconcile', runId: 'reconcile' } },
          to: KEYCLOAK,
        }),
      ),
    async remove() {
      await removeZone(docker, zone);
      await removeProxy();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
