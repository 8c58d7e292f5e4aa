import { LONGEST_NAME } from '../../host/secrets/needed.ts';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type Dockerode from 'dockerode';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fault } from '../../domain/fault.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import type { App } from '../../domain/app.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors } from '../../host/git/mirrors.ts';
import { prepareRecipe } from '../../host/prepare/prepare.ts';
import { labelled, writeCompose } from '../../host/recipe-format/render.ts';
import { LABEL } from '../../domain/labels.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { filledIn } from './cases/hostile-case.ts';
import { OVERLAY_CASES } from './cases/overlays.ts';
import { RECIPE_CASES, RELEASE, type RecipeFile } from './cases/recipe-files.ts';
import { writeRecipe } from './hostile-repository.ts';
import { ROUTE_CASES } from './cases/routes.ts';
import { expectClear, makeSurroundings, type Surroundings } from './surroundings.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { plainLimits } from '../fixtures/plain-config.ts';

/**
 * Hostile files in a release: published to a real repository, synced, checked out and prepared by the real
 * mirrors and deployer. Whoever is refused here must be so before the engine is asked for anything.
 */

const RECIPE = 'thing';
const DOMAIN = 'warm-thing.hostile.test';
const STACK = 'warm-thing_hostile_test';

let around: Surroundings;

beforeEach(async () => {
  around = await makeSurroundings();
  process.env['WORKER_SECRET'] = 'hunter2';
});

afterEach(async () => {
  delete process.env['WORKER_SECRET'];
  await around.remove();
});

/** Publishes, syncs and checks out, as mirror-sync and the cold test do. */
async function released(files: Readonly<Record<string, RecipeFile>>): Promise<App> {
  const repo = await around.upstream(RECIPE);
  await writeRecipe(repo, files, around);
  const mirrors = createMirrors({
    config: {
      mirrors: path.join(around.root, 'ours', 'mirrors', '{recipe}.git'),
      state: around.state,
      limits: { fetch: 1e9 },
    },
    commands: around.commands,
    ledger: createLedger(around.state),
    now: () => new Date(),
    endOrphans: async () => undefined,
  });
  const [release] = (await mirrors.sync(RECIPE, repo.folder)).releases;
  const checkout = path.join(around.state, 'checkouts', RECIPE);
  const evidence = path.join(around.state, 'evidence');
  await mkdir(evidence);
  await mirrors.checkout(RECIPE, release?.commit ?? '', checkout);
  return {
    recipe: RECIPE,
    version: RELEASE,
    commit: release?.commit ?? '',
    checkout,
    scratch: path.join(around.state, 'scratch'),
    domain: DOMAIN,
    stack: STACK,
    lifetime: 'cold',
    run: 'sweep/thing',
    env: {},
    settings: plainSettings('thing'),
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(evidence, 'images.json'),
    provenImages: null,
    evidence,
  };
}

const neverAsked = new Proxy({} as Dockerode, {
  get(_, call) {
    throw new Error(`the engine was asked for ${String(call)}`);
  },
});

function deployer() {
  return deployingOnSwarm({
    config: {
      zone: 'hostile.test',
      state: around.state,
      docker: { socket: '/nonexistent.sock', pull: 'missing' },
      probe: { via: 'task' },
      limits: plainLimits({ sweep: 0, tier: 60_000, promote: 0, deploy: 1_000 }),
    },
    commands: around.commands,
    docker: neverAsked,
    signal: new AbortController().signal,
    guard: async () => undefined,
    commandMark: '',
    report: () => undefined,
  }).deployer;
}

const REFUSED = [...RECIPE_CASES, ...ROUTE_CASES].filter(({ says }) => says !== null);

test.each(REFUSED)('$name: $hostile', async ({ files, says }) => {
  const app = await released(files);
  const begun = Date.now();
  const deployment = await deployer().deploy(app);
  expect(deployment).toMatchObject({ ok: false });
  if (deployment.ok) return;
  expectClear(deployment.reason, says ?? '');
  expect(deployment.reason).not.toContain('\n');
  const [first] = (await readFile(deployment.evidence, 'utf8')).split('\n');
  expect(first).toBe(deployment.reason);
  // A step whose worker does not beat for 20 s is given to another.
  expect(Date.now() - begun).toBeLessThan(10_000);
  await around.expectUntouched();
});

test('a name of ours that is too long at the warm domain is no fault of the recipe, and none of who needs it', async () => {
  const long = `\${STACK_NAME}_${'k'.repeat(LONGEST_NAME - STACK.length - 5)}_v1`;
  const app = await released({
    'compose.yml': `version: "3.8"
services:
  app:
    image: localhost/x:1
    secrets: [key]
    deploy: {labels: ["coop-cloud.\${STACK_NAME}.version=${RELEASE}"]}
secrets:
  key: {external: true, name: "${long}"}
`,
  });
  const recipe = 'thing-with-a-name-of-many-words';
  const own = { ...app, recipe, run: `sweep/${recipe}` };
  await expect(deployer().deploy(own)).rejects.toMatchObject({
    type: 'BadConfig',
    message: expect.stringContaining(`warm-${recipe}`),
  });
  // The next thing that is looked at is the engine.
  const needed = { ...app, recipe, run: 'sweep/other' };
  await expect(deployer().deploy(needed)).rejects.toThrow('the engine was asked');
});

test.each(OVERLAY_CASES)('$name: $hostile', async ({ files, overlay, says }) => {
  const app = await released(files);
  const folder = path.join(around.root, 'ours', 'recipes', RECIPE);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'overlay.yml'), filledIn(overlay, around));
  const settings = { ...app.settings, overlay: path.join(folder, 'overlay.yml') };
  const failure = await deployer()
    .deploy({ ...app, settings })
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ name: 'Fault', type: 'BadConfig' });
  expectClear((failure as Fault).message, says ?? '');
  await around.expectUntouched();
});

const PLAIN_TEXT = RECIPE_CASES.filter(({ says }) => says === null);

test.each(PLAIN_TEXT)('$name is plain text: $hostile', async ({ files, deployed }) => {
  const app = await released(files);
  const clientVariables = new Set(
    Object.keys(declaredEnvironment({ path: '', state: '', docker: { socket: '', pull: 'missing' } })),
  );
  const recipe = await prepareRecipe(app, { clientVariables });
  const ours = { [LABEL.zone]: 'hostile.test', [LABEL.recipe]: RECIPE, [LABEL.lifetime]: 'cold' };
  const services = { [LABEL.run]: app.run, [LABEL.deployment]: 'one' };
  await writeCompose(labelled(recipe.files, ours, services, {}), app.evidence);
  const [written = ''] = await readdir(app.evidence);
  const text = await readFile(path.join(app.evidence, written), 'utf8');
  for (const part of deployed?.holds ?? []) expect(text).toContain(filledIn(part, around));
  for (const part of deployed?.lacks ?? []) expect(text).not.toContain(filledIn(part, around));
  await around.expectUntouched();
});
