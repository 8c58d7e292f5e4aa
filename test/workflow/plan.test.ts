import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import type { World } from '../../activities/world.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors, type Mirrors } from '../../host/git/mirrors.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore } from '../../host/store/store.ts';
import type { planWorkflow } from '../../workflows/index.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { fakeHost } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { TASK_QUEUE } from './server.ts';

/** What a plan says of our own recipes on a new host whose network is down: the steps are real, and reach nobody. */

const OURS = path.resolve(import.meta.dirname, '../../recipes');
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9/';

const server = await openWorkflowServer();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'plan-'));
  await cp(OURS, path.join(folder, 'recipes'), { recursive: true });
  for (const recipe of await folders()) {
    const file = path.join(folder, 'recipes', recipe, 'recipe.yml');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('https://git.coopcloud.tech/', NOWHERE));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function folders(): Promise<string[]> {
  const entries = await readdir(OURS, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}

function steps() {
  const state = path.join(folder, 'state');
  const config = plainConfig({
    host: 'ci-1',
    zone: 'ci.example.org',
    state,
    recipes: path.join(folder, 'recipes'),
    mirrors: path.join(folder, 'mirrors/{recipe}.git'),
  });
  const ledger = createLedger(state);
  const now = (): Date => new Date();
  return createActivities({
    config,
    forgeFor: async () => null,
    recipes: createRecipes(config.recipes),
    ledger,
    canonicals: createCanonicals(config),
    services: createServices(config),
    ...createStore(state),
    attempts: createAttempts(state),
    runnerFor: ({ signal }: { signal: AbortSignal }) =>
      processRunner({ environment: declaredEnvironment(config), signal }),
    mirrorsFor: (commands: ProcessRunner): Mirrors =>
      createMirrors({ config, commands, ledger, now, endOrphans: async () => undefined }),
    now,
  } as unknown as World);
}

test('a plan accounts for each of our recipes, whose upstreams cannot be reached', async () => {
  const { reports } = createStore(path.join(folder, 'state'));
  await mkdir(path.join(folder, 'state'), { recursive: true });
  await reports.writeLast({
    schema: 1,
    sweep: 'sweep-1',
    environment: null,
    notes: [],
    roster: { enrolled: ['ghost', 'wordpress'], gone: {} },
  });
  const host = fakeHost({});
  const { enrolled, leftOut, mirrorSync, resolve } = steps();
  Object.assign(host.activities, { enrolled, leftOut, mirrorSync, resolve });
  const plan = await server.withWorker(host, () =>
    server.client.workflow.execute<typeof planWorkflow>('planWorkflow', {
      workflowId: randomUUID(),
      taskQueue: TASK_QUEUE,
      args: [{}],
    }),
  );
  const ours = await folders();
  expect(ours.length).toBeGreaterThanOrEqual(22);
  expect(plan.map(({ recipe }) => recipe).sort()).toEqual([...ours, 'wordpress'].sort());
  const entry = (name: string) => plan.find(({ recipe }) => recipe === name);
  for (const service of ['keycloak', 'traefik']) {
    expect(entry(service)).toEqual({
      recipe: service,
      latest: null,
      canonical: null,
      disk: null,
      decision: 'not enrolled',
      reason: 'a shared live service, which has its own reconcile',
    });
  }
  expect(entry('wordpress')).toMatchObject({
    decision: 'error',
    reason: expect.stringMatching(/^wordpress was swept before and has no folder/),
  });
  const enrolledOurs = ours.filter((recipe) => recipe !== 'keycloak' && recipe !== 'traefik');
  for (const recipe of enrolledOurs) {
    expect(entry(recipe), recipe).toEqual({
      recipe,
      latest: null,
      canonical: null,
      disk: null,
      decision: 'error',
      // Which upstream, and that it is not there: nothing of the recipe.
      reason: expect.stringMatching(new RegExp(`${NOWHERE}coop-cloud/${recipe}\\.git.*[Cc]onnect`, 's')),
    });
  }
  // Nothing was deployed, and nobody was told.
  expect((await createStore(path.join(folder, 'state')).alerts.open()).alerts).toEqual([]);
}, 180_000);
