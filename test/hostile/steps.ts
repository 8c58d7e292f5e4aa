import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities, type Activities } from '../../activities/index.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors, type Mirrors } from '../../host/git/mirrors.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore } from '../../host/store/store.ts';
import type { Surroundings } from './surroundings.ts';
import { plainConfig } from '../fixtures/plain-config.ts';

/** The worker's own steps over these surroundings. */
export interface Steps {
  /** Folder of recipe.yml files. */
  recipes: string;
  /** Runs one as the worker would; a failure is the one that Temporal records. */
  run<Input, Output>(
    pick: (activities: Activities) => (input: Input) => Promise<Output>,
    input: Input,
  ): Promise<Output>;
  /** What the steps check out with. */
  mirrors: Mirrors;
}

export function stepsIn(around: Surroundings): Steps {
  const { root, state } = around;
  const recipes = path.join(root, 'ours', 'recipes');
  const now = (): Date => new Date();
  const config = plainConfig(
    {
      host: 'hostile',
      zone: 'hostile.test',
      state,
      recipes,
      mirrors: path.join(root, 'ours', 'mirrors', '{recipe}.git'),
      docker: { socket: '/nonexistent.sock', pull: 'missing' },
    },
    { sweep: 60_000, tier: 60_000, promote: 60_000, deploy: 1_000 },
  );
  const ledger = createLedger(state);
  const mirrorsFor = (commands: ProcessRunner): Mirrors =>
    createMirrors({ config, commands, ledger, now, endOrphans: async () => undefined });
  const activities = createActivities({
    config,
    forgeFor: async () => null,
    recipes: createRecipes(recipes),
    ledger,
    attempts: createAttempts(state),
    environment: async () => ({ fingerprint: 'none', parts: {} }),
    runnerFor: ({ signal }) => processRunner({ environment: declaredEnvironment(config), signal }),
    mirrorsFor,
    toolsFor: () => {
      throw new Error('no engine belongs to these steps');
    },
    canonicals: createCanonicals(config),
    services: createServices(config),
    ...createStore(state),
    foreignWorker: async () => null,
    disks: async () => [],
    turns: { ask: async () => 'host', isOpen: async () => true },
    lock: createHostLock({ host: config.host, state, now, isOpen: async () => true }),
    now,
  });
  return {
    recipes,
    mirrors: mirrorsFor(around.commands),
    async run(pick, input) {
      return new MockActivityEnvironment().run(pick(activities), input);
    },
  };
}
