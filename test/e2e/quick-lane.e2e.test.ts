import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createActivities, type Activities } from '../../activities/index.ts';
import type { DeployAnswer, TierAnswer } from '../../activities/tier.ts';
import type { ImageSeen } from '../../domain/app.ts';
import { Fault } from '../../domain/fault.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import type { Release } from '../../domain/release.ts';
import type { RunRef } from '../../domain/run.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { createLedger } from '../../host/git/ledger.ts';
import type { Mirrors } from '../../host/git/mirrors.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { processRunner } from '../../host/machine/process.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore } from '../../host/store/store.ts';
import { createTools } from '../../host/tools.ts';
import { ensureProxyNetwork, ofZone } from './engine.ts';
import { errorBody, startRegistry, type Registry } from './registry.ts';
import { plainConfig } from '../fixtures/plain-config.ts';

/**
 * The quick lane on the swarm of this machine, with an app whose new release migrates its database: Miniflux. One story,
 * in order. Needs the fixtures' images; everything it makes carries a zone of its own and is gone at the end.
 */

const zone = `t${randomBytes(3).toString('hex')}.test`;
const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
const scratch = mkdtempSync(path.join(tmpdir(), 'quick-lane-e2e-'));
const state = path.join(scratch, 'state');
const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

const RECIPE = 'miniflux';
const OLD = '2.0.0+2.0.51';
const NEW = '2.1.0+2.2.0';
const CANONICAL: Release = { version: OLD, commit: 'c'.repeat(40) };
const NEXT: Release = { version: NEW, commit: 'd'.repeat(40) };
const STACK = stackName(warmDomain(RECIPE, zone));

const config = plainConfig(
  { host: 'e2e', zone, state, recipes: path.join(scratch, 'recipes') },
  { deploy: 120_000 },
);
const now = (): Date => new Date();
const never = (): Promise<never> => Promise.reject(new Fault('MirrorSync', 'there is no upstream'));

/** By its commit what a checkout holds: a release of the fixture, as somebody changed it. */
const trees = new Map<string, { like: string; change: (compose: string) => string }>([
  [CANONICAL.commit, { like: OLD, change: (compose) => compose }],
  [NEXT.commit, { like: NEW, change: (compose) => compose }],
]);
const mirrors: Mirrors = {
  sync: never,
  accept: never,
  bringCommit: never,
  onMain: never,
  mergesToNothing: never,
  async checkout(recipe, commit, target) {
    const tree = trees.get(commit);
    if (tree === undefined) throw new Fault('MirrorSync', `no ${commit}`);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    for (const part of ['base', tree.like]) {
      cpSync(fixture(`recipes/${recipe}/${part}`), target, { recursive: true });
    }
    const compose = path.join(target, 'compose.yml');
    writeFileSync(compose, tree.change(readFileSync(compose, 'utf8')));
  },
  keep: async () => true,
  keepOnly: async () => undefined,
  diff: never,
  releaseNotes: never,
};

const environment = declaredEnvironment(config);
const canonicals = createCanonicals({ state, zone });
const services = createServices({ state, zone });
const ledger = createLedger(state);
/** The workflow that is open. */
let open = '';
const activities = createActivities({
  config,
  forgeFor: async () => null,
  recipes: createRecipes(config.recipes),
  ledger,
  canonicals,
  services,
  ...createStore(state),
  foreignWorker: async () => null,
  disks: async () => [],
  turns: { ask: async () => 'host', isOpen: async () => true },
  lock: createHostLock({
    host: config.host,
    state,
    now,
    isOpen: async ({ workflowId }) => workflowId === open,
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

function step<T>(workflowId: string, body: (steps: Activities) => Promise<T>): Promise<T> {
  open = workflowId;
  return new MockActivityEnvironment({ startToCloseTimeoutMs: 600_000 }).run(() => body(activities));
}

async function promote(release: Release): Promise<void> {
  const run: RunRef = {
    recipe: RECIPE,
    asked: { by: 'sweep', id: 'sweep', runId: 'sweep' },
    workflow: { id: `sweep/${RECIPE}`, runId: randomBytes(16).toString('hex') },
  };
  const tag = { tag: release.version, commit: release.commit, ts: now().toISOString() };
  await ledger.append(RECIPE, [tag]);
  const tested: Record<string, ImageSeen> = {};
  for (const [service, name] of [
    ['app', `miniflux:${release.version.split('+')[1]}`],
    ['db', 'postgres:15'],
  ] as const) {
    const image = `localhost/recipe-sweep/${name}`;
    tested[service] = { image, digest: (await docker.getImage(image).inspect()).Id };
  }
  const promoted = await step('sweep', (steps) => steps.promote({ run, release, tested, dependencies: [] }));
  expect(promoted).toEqual({ promoted: true });
  await step('sweep', (steps) => steps.settle({ run }));
}

/** A pull request whose tree is that of a release, with another version and whatever else it changes. */
function pullRequest(version: string, change: (compose: string) => string = (compose) => compose): Release {
  const commit = randomBytes(20).toString('hex');
  trees.set(commit, { like: NEW, change: (compose) => change(compose.replaceAll(NEW, version)) });
  return { version, commit };
}

/** The steps of one quick run, as its workflow asks them. */
function quickRun(head: Release) {
  const runId = randomBytes(16).toString('hex');
  // Its own, since a test has the host until its workflow ends.
  const id = `test-e2e-${RECIPE}-${runId}`;
  const run: RunRef = { recipe: RECIPE, asked: { by: 'test', id, runId }, workflow: { id, runId } };
  const input = (name: string, deploy: Release) => ({
    run,
    step: `quick-lane: ${name}`,
    deploy,
    dependencies: [],
    upgraded: deploy === head,
  });
  return {
    reattach: (canonical = CANONICAL): Promise<DeployAnswer> =>
      step(id, (steps) => steps.quickReattach(input('reattach', canonical))),
    upgrade: (): Promise<DeployAnswer> => step(id, (steps) => steps.quickUpgrade(input('upgrade', head))),
    custom: (): Promise<TierAnswer> => step(id, (steps) => steps.quickCustom(input('custom', head))),
    lint: () => step(id, (steps) => steps.quickLint(input('lint', head))),
    undeploy: () => step(id, (steps) => steps.quickUndeploy({ run })),
    settle: () => step(id, (steps) => steps.settle({ run })),
  };
}

/** What the running database answers. */
async function sql(query: string): Promise<string> {
  const filters = { label: [`com.docker.swarm.service.name=${STACK}_db`], status: ['running'] };
  const [container] = await docker.listContainers({ filters });
  const psql = ['psql', '-qAt', '-U', 'miniflux', '-d', 'miniflux', '-c', query];
  return execFileSync('docker', ['exec', container?.Id ?? '', ...psql], { encoding: 'utf8' }).trim();
}

const SCHEMA = 'SELECT version FROM schema_version';
const OF_PULL_REQUEST = "SELECT count(*) FROM categories WHERE title = 'Of a pull request'";

/** Of everything that is in the warm volumes, with owners, modes and times. */
async function contents(): Promise<Record<string, string>> {
  const { Volumes: volumes } = await docker.listVolumes({
    filters: { label: [`com.docker.stack.namespace=${STACK}`] },
  });
  return Object.fromEntries(
    volumes.map(({ Name, Mountpoint }) => {
      const args = ['--create', '--sort=name', '--numeric-owner', '--directory', Mountpoint, '.'];
      const tar = execFileSync('tar', args, { maxBuffer: 1e9 });
      return [Name, createHash('sha256').update(tar).digest('hex')];
    }),
  );
}

const folderOf = (): string => path.join(state, 'canonicals', RECIPE);
const isAttached = (): boolean => existsSync(path.join(folderOf(), 'attached.json'));

/** Of every file of the canonical, but for the mark that its data is in use. */
function onDisk(): Record<string, string> {
  const names = readdirSync(folderOf(), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'attached.json')
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    names.map((name) => [name, createHash('sha256').update(readFileSync(name)).digest('hex')]),
  );
}

/** What stands at the warm domain, by kind and name. */
const standing = async (): Promise<string[]> => (await ofZone(docker, zone)).sort();

let proven: { disk: Record<string, string>; contents: Record<string, string>; standing: string[] };
let registry: Registry;
let removeProxy: (() => Promise<void>) | undefined;
/** What is to be put back, should a test have ended early. */
let started: ReturnType<typeof quickRun> | null = null;

async function expectProven(): Promise<void> {
  expect(onDisk()).toEqual(proven.disk);
  expect(await contents()).toEqual(proven.contents);
  expect(await standing()).toEqual(proven.standing);
  expect(isAttached()).toBe(false);
}

beforeAll(async () => {
  registry = await startRegistry((url) =>
    url.includes('/manifests/')
      ? { status: 404, body: errorBody('MANIFEST_UNKNOWN', 'manifest unknown') }
      : null,
  );
  cpSync(fixture(`recipe-folders/${RECIPE}`), path.join(config.recipes, RECIPE), { recursive: true });
  const settings = path.join(config.recipes, RECIPE, 'recipe.yml');
  writeFileSync(settings, `upstream: ${scratch}/upstream.git\n${readFileSync(settings, 'utf8')}`);
  removeProxy = await ensureProxyNetwork(docker);
  await promote(CANONICAL);
  proven = { disk: onDisk(), contents: await contents(), standing: await standing() };
}, 300_000);

afterEach(async () => {
  await started?.settle();
  started = null;
}, 120_000);

afterAll(async () => {
  const holder = { workflowId: 'by-hand', runId: 'by-hand', what: 'canonical forget' };
  const asked = { recipe: RECIPE, holder, domain: null };
  if (existsSync(folderOf())) await step('by-hand', (steps) => steps.forgetCanonical(asked));
  registry?.close();
  await removeProxy?.();
  rmSync(scratch, { recursive: true, force: true });
  expect(await ofZone(docker, zone)).toEqual([]);
}, 120_000);

/** Takes a pull request through, and leaves a row of its own in the database that it migrated. */
async function pass(head: Release): Promise<{ before: number; after: number }> {
  const run = (started = quickRun(head));
  expect(await run.reattach()).toMatchObject({ result: 'pass' });
  const before = Number(await sql(SCHEMA));
  expect(await sql(OF_PULL_REQUEST)).toBe('0');
  expect(await run.upgrade()).toMatchObject({ result: 'pass' });
  const after = Number(await sql(SCHEMA));
  await sql("INSERT INTO categories (user_id, title) SELECT id, 'Of a pull request' FROM users LIMIT 1");
  expect(await run.custom()).toEqual({ result: 'pass' });
  expect(await run.lint()).toEqual({ problems: expect.any(Array) });
  await run.undeploy();
  started = null;
  return { before, after };
}

test('a pull request that migrates the database passes, and the canonical is what it was', async () => {
  const { before, after } = await pass(pullRequest('2.0.1+2.2.0'));
  expect(after).toBeGreaterThan(before);
  expect(onDisk()).toEqual(proven.disk);
  expect(isAttached()).toBe(true);
  expect(await contents()).not.toEqual(proven.contents);
  expect((await standing()).filter((thing) => !/^(volume|secret) /.test(thing))).toEqual([]);
});

test("another quick run begins with the canonical's schema and rows, and so does the reaper", async () => {
  await pass(pullRequest('2.0.2+2.2.0'));
  const holder = { workflowId: 'reaper', runId: 'reaper', what: 'reap' };
  expect(await step('reaper', (steps) => steps.reap({ holder }))).toEqual([]);
  await expectProven();
});

test.each<[string, (compose: string) => string, RegExp]>([
  [
    'names an image that does not exist',
    (compose) => compose.replace('localhost/recipe-sweep/miniflux:2.2.0', `${registry.host}/miniflux:9`),
    /cannot be pulled: .*manifest unknown/,
  ],
  [
    'never becomes healthy',
    (compose) =>
      compose.replace("'miniflux', '-healthcheck', 'auto'", "'false'").replace('TIMEOUT:-120', 'TIMEOUT:-30'),
    /./,
  ],
  [
    'corrupts the data',
    (compose) =>
      compose
        // The database is started anew, and the app with it, which is no update that failed.
        .replaceAll('failure_action: rollback', 'failure_action: continue')
        .replace(
          "'pg_isready', '-qh', 'localhost', '-U', 'miniflux'",
          "'psql', '-qU', 'miniflux', '-d', 'miniflux', '-c', 'DELETE FROM feeds'",
        ),
    /check-data/,
  ],
])('a pull request that %s is red, and what it did is undone', async (_what, change, reason) => {
  const run = (started = quickRun(pullRequest('2.0.3+2.2.0', change)));
  expect(await run.reattach()).toMatchObject({ result: 'pass' });
  expect(await run.upgrade()).toMatchObject({ result: 'fail', reason: expect.stringMatching(reason) });
  await run.settle();
  await expectProven();
});

test('a pull request that fails a check is red, and what it did is undone', async () => {
  const run = (started = quickRun(pullRequest('2.0.4+9.9.9')));
  expect(await run.reattach()).toMatchObject({ result: 'pass' });
  expect(await run.upgrade()).toMatchObject({ result: 'pass' });
  expect(await run.custom()).toMatchObject({
    result: 'fail',
    reason: expect.stringMatching(/api-version.*expected version 9\.9\.9/),
  });
  await run.settle();
  await expectProven();
});

test("the promote of a newer release finds the canonical's data, and its snapshot has nothing of a pull request", async () => {
  await pass(pullRequest('2.0.5+2.2.0'));
  await promote(NEXT);
  expect((await canonicals.read(RECIPE))?.version).toBe(NEW);
  // Its own data, started again and looked into.
  const run = (started = quickRun(pullRequest('2.2.0+2.2.0')));
  expect(await run.reattach(NEXT)).toMatchObject({ result: 'pass' });
  expect(await sql(OF_PULL_REQUEST)).toBe('0');
  expect(await sql('SELECT count(*) FROM users')).toBe('2');
});
