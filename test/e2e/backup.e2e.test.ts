import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createActivities, type Activities } from '../../activities/index.ts';
import type { World } from '../../activities/world.ts';
import { Fault } from '../../domain/fault.ts';
import { coldDomain, stackName } from '../../domain/names.ts';
import { ANY_ANSWER, type RecipeSettings } from '../../domain/recipe-settings.ts';
import type { RunRef } from '../../domain/run.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { createLedger } from '../../host/git/ledger.ts';
import type { Mirrors } from '../../host/git/mirrors.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createTools } from '../../host/tools.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore } from '../../host/store/store.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { ensureProxyNetwork, importBusybox, ofZone } from './engine.ts';

/**
 * Backup and restore of apps on the swarm of this machine, by the steps of a cold test. Needs the fixtures' images
 * and a static busybox; everything it makes carries a zone of its own and is gone at the end.
 */

const hex = randomBytes(3).toString('hex');
const zone = `t${hex}.test`;
const image = `localhost/recipe-sweep/table:${hex}`;
const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
const scratch = mkdtempSync(path.join(tmpdir(), 'backup-e2e-'));
const state = path.join(scratch, 'state');
const WEBDIS = fileURLToPath(new URL('../../fixtures/recipes/webdis', import.meta.url));
let removeProxy: (() => Promise<void>) | undefined;

/** A recipe for one test: what its checkout holds, and what its operator has for it. */
const checkouts = new Map<string, (target: string) => void>();
const settings = new Map<string, Partial<RecipeSettings>>();

const config = plainConfig({ host: 'e2e', zone, state, recipes: path.join(scratch, 'recipes') });
const environment = declaredEnvironment(config);
const now = (): Date => new Date();
const never = (): Promise<never> => Promise.reject(new Fault('MirrorSync', 'there is no upstream'));
const mirrors: Mirrors = {
  sync: never,
  accept: never,
  async checkout(recipe, _commit, target) {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    checkouts.get(recipe)?.(target);
  },
  bringCommit: never,
  onMain: never,
  mergesToNothing: never,
  keep: never,
  keepOnly: never,
  diff: never,
  releaseNotes: never,
};

const canonicals = createCanonicals({ state, zone });
const services = createServices({ state, zone });

const toolsFor: World['toolsFor'] = (bonds) =>
  createTools({ config, canonicals, now }, deployingOnSwarm({ config, docker, ...bonds }), bonds);

const activities = createActivities({
  config,
  forgeFor: async () => null,
  recipes: {
    strays: async () => [],
    all: async () => [],
    one: async (recipe) => ({ ...plainSettings(recipe), ...settings.get(recipe) }),
  },
  ledger: createLedger(state),
  canonicals,
  services,
  ...createStore(state),
  foreignWorker: async () => null,
  disks: async () => [],
  turns: { ask: async () => 'host', isOpen: async () => true },
  lock: createHostLock({ host: config.host, state, now, isOpen: async () => true }),
  attempts: createAttempts(state),
  environment: async () => ({ fingerprint: 'none', parts: {} }),
  runnerFor: ({ signal, commandMark }) =>
    processRunner({ environment: { ...environment, [COMMAND_MARK]: commandMark }, signal }),
  mirrorsFor: () => mirrors,
  toolsFor,
  now,
});

function runOf(recipe: string): RunRef {
  const runId = randomBytes(16).toString('hex');
  return {
    recipe,
    asked: { by: 'sweep', id: 'e2e', runId: 'e2e' },
    workflow: { id: `e2e/${recipe}`, runId },
  };
}

const stackOf = ({ recipe, workflow }: RunRef): string => stackName(coldDomain(recipe, zone, workflow.runId));
const evidenceOf = ({ recipe }: RunRef, tier: string, file: string): string =>
  path.join(state, 'runs/e2e', recipe, `cold-test-${tier}`, file);

/** One step of the run, as a worker does it. */
function step<T>(body: (steps: Activities) => Promise<T>): Promise<T> {
  return new MockActivityEnvironment({ startToCloseTimeoutMs: 600_000 }).run(() => body(activities));
}

/** The steps of one run, each on the same release. */
function coldTest(recipe: string, version: string) {
  const run = runOf(recipe);
  const deploy = { version, commit: 'c'.repeat(40) };
  const input = (tier: string) => ({
    run,
    step: `cold-test: ${tier}`,
    deploy,
    dependencies: [],
    upgraded: false,
  });
  return {
    run,
    install: () => step((steps) => steps.coldInstall(input('install'))),
    backup: () => step((steps) => steps.coldBackup(input('backup'))),
    restore: () => step((steps) => steps.coldRestore(input('restore'))),
    teardown: () => step((steps) => steps.teardown({ run })),
  };
}

function hooks(recipe: string, written: Record<string, string>): Record<string, string> {
  const folder = path.join(scratch, 'recipes', recipe, 'hooks');
  mkdirSync(folder, { recursive: true });
  return Object.fromEntries(
    Object.entries(written).map(([name, text]) => {
      writeFileSync(path.join(folder, name), `#!/bin/sh\nset -eu\n${text}\n`, { mode: 0o755 });
      return [name, path.join(folder, name)];
    }),
  );
}

/** A database of one table, kept in a file; a dump is another one. */
function table(recipe: string, labels: Record<string, string>, command = 'touch /data/table'): void {
  const written = { 'coop-cloud.${STACK_NAME}.version': '1.0.0+1', ...labels };
  checkouts.set(recipe, (target) => {
    writeFileSync(
      path.join(target, 'compose.yml'),
      `version: "3.8"
services:
  app:
    image: ${image}
    command: ['/bin/sh', '-c', '${command}; exec sleep 100000']
    volumes: ['data:/data']
    secrets: [key]
    stop_grace_period: 1s
    deploy:
      update_config: {monitor: 1s}
      restart_policy: {delay: 1s}
      labels: ${JSON.stringify(Object.entries(written).map((label) => label.join('=')))}
volumes: {data: }
secrets:
  key: {external: true, name: "\${STACK_NAME}_key_\${SECRET_KEY_VERSION}"}
`,
    );
    writeFileSync(
      path.join(target, '.env.sample'),
      `TYPE=${recipe}\nDOMAIN=${recipe}.example.com\nSECRET_KEY_VERSION=v1 # length=20\n`,
    );
  });
}

/** Told by the whole answer, which has the reason. It has no page, and nothing else that could be asked. */
const INSTALLED = {
  result: 'pass',
  images: expect.any(Object),
  note: 'nobody was asked whether it serves: no label says where, and recipe.yml has no probe',
};

const tests: RunRef[] = [];

beforeAll(async () => {
  const programs = ['sh', 'sleep', 'touch', 'cat', 'cp', 'rm', 'echo', 'grep', 'test'];
  importBusybox(image, programs, (root) => mkdirSync(path.join(root, 'data')));
  removeProxy = await ensureProxyNetwork(docker);
}, 60_000);

afterEach(async () => {
  for (const run of tests.splice(0)) await step((steps) => steps.teardown({ run }));
}, 120_000);

afterAll(async () => {
  await removeProxy?.();
  await docker.getImage(image).remove({ force: true });
  rmSync(scratch, { recursive: true, force: true });
  expect(await ofZone(docker, zone)).toEqual([]);
}, 60_000);

test('a volume that is backed up whole, after a hook: redis and its rows', async () => {
  checkouts.set('webdis', (target) => {
    for (const part of ['base', '1.1.0+0.1.22']) cpSync(path.join(WEBDIS, part), target, { recursive: true });
  });
  const redis = (command: string): string =>
    `in-service db sh -c 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli --no-auth-warning ${command}'`;
  settings.set('webdis', {
    probe: { ...ANY_ANSWER, path: '/PING' },
    hooks: hooks('webdis', {
      'write-data': redis('set greeting hello'),
      'check-data': `${redis('get greeting')} | grep -x hello`,
    }),
  });
  const { run, install, backup, restore, teardown } = coldTest('webdis', '1.1.0+0.1.22');
  tests.push(run);
  expect(await install()).toEqual({ result: 'pass', images: expect.any(Object) });
  expect(await backup()).toEqual({ result: 'pass' });
  expect(readFileSync(evidenceOf(run, 'backup', 'backup-hooks.txt'), 'utf8')).toMatch(
    /^== backup pre-hook of service db: .*redis-cli save\nOK\n== exit status 0\n/,
  );
  expect(readFileSync(evidenceOf(run, 'backup', 'backup.txt'), 'utf8')).toMatch(
    /^archived: volume \S+_redis_data, all of it: [1-9]\d* files/,
  );
  // Redis reads its files when it starts, and the recipe has no hook that would make it read them again.
  const note = expect.stringMatching(/^only after its services were restarted; at once: hook check-data: /);
  expect(await restore()).toEqual({ result: 'pass', note });
  expect(readFileSync(evidenceOf(run, 'restore', 'restore.txt'), 'utf8')).toContain(
    `found: the mark that was put into volume ${stackOf(run)}_redis_data before the backup\n` +
      'hook check-data: before the restore, on empty volumes, it failed as it should\n',
  );
  await teardown();
  expect(existsSync(path.join(state, 'backups', stackOf(run)))).toBe(false);
}, 120_000);

test('a dump of a volume, with hooks for both ways', async () => {
  table('dumped', {
    'backupbot.backup': 'True',
    'backupbot.backup.pre-hook': 'cp /data/table /data/dump.sql',
    'backupbot.backup.post-hook': 'rm /data/dump.sql',
    'backupbot.backup.volumes.data.path': 'dump.sql',
    'backupbot.restore.pre-hook': 'test ! -s /data/table',
    'backupbot.restore.post-hook': 'cp /data/dump.sql /data/table',
  });
  settings.set('dumped', {
    hooks: hooks('dumped', {
      'write-data': `in-service app sh -c 'echo row >> /data/table'`,
      'check-data': `in-service app grep -qx row /data/table`,
    }),
  });
  const { run, install, backup, restore } = coldTest('dumped', '1.0.0+1');
  tests.push(run);
  expect(await install()).toEqual(INSTALLED);
  expect(await backup()).toEqual({ result: 'pass' });
  expect(await restore()).toEqual({ result: 'pass' });
  const printed = readFileSync(evidenceOf(run, 'restore', 'restore-hooks.txt'), 'utf8');
  expect(printed.match(/^== restore .*-hook/gm)).toEqual(['== restore pre-hook', '== restore post-hook']);
}, 120_000);

test('the whole folder of a running database, without a hook for the restore, is red', async () => {
  // As published mattermost-lts has it; what is seen here was first seen by hand, with the official postgres:15.
  checkouts.set('hot', (target) => {
    writeFileSync(
      path.join(target, 'compose.yml'),
      `version: "3.8"
services:
  app:
    image: localhost/recipe-sweep/postgres:15
    environment: {POSTGRES_PASSWORD: none}
    volumes: ['postgres:/var/lib/postgresql/data']
    healthcheck: {test: ['CMD', 'pg_isready', '-h', '127.0.0.1', '-U', 'postgres'], interval: 1s, retries: 30}
    deploy:
      restart_policy: {delay: 1s}
      update_config: {monitor: 1s}
      labels: ['coop-cloud.\${STACK_NAME}.version=1.0.0+15', 'coop-cloud.\${STACK_NAME}.timeout=30', 'backupbot.backup=true']
volumes: {postgres: }
`,
    );
    writeFileSync(path.join(target, '.env.sample'), 'TYPE=hot\nDOMAIN=hot.example.com\n');
  });
  const psql = 'in-service app psql -U postgres -tAc';
  settings.set('hot', {
    hooks: hooks('hot', {
      'write-data': `${psql} "create table if not exists rows (name text)"; ${psql} "insert into rows values ('cafe')"`,
      'check-data': `${psql} 'select name from rows' | grep -qx cafe`,
    }),
  });
  const { run, install, backup, restore } = coldTest('hot', '1.0.0+15');
  tests.push(run);
  expect(await install()).toEqual(INSTALLED);
  expect(await backup()).toEqual({ result: 'pass' });
  const answer = await restore();
  expect(answer).toMatchObject({ result: 'fail', reason: expect.stringContaining('on the restored data') });
  const folder = path.dirname(evidenceOf(run, 'restore', ''));
  const logs = execFileSync('grep', ['-rhE', 'PANIC', folder], { encoding: 'utf8' });
  expect(logs).toContain('could not locate a valid checkpoint record');
  expect(readFileSync(evidenceOf(run, 'restore', 'restore.txt'), 'utf8')).toMatch(
    /^at once: hook check-data: /m,
  );
}, 240_000);

test('a backup without a file is red', async () => {
  table('nothing', { 'backupbot.backup': 'true' }, 'true');
  const { run, install, backup } = coldTest('nothing', '1.0.0+1');
  tests.push(run);
  expect(await install()).toEqual(INSTALLED);
  expect(await backup()).toEqual({
    result: 'fail',
    reason: 'the backup is empty: there is not one file in its volumes',
    evidence: evidenceOf(run, 'backup', 'backup.txt'),
  });
}, 60_000);

test('a backup whose hook fails is red, and its evidence tells no secret', async () => {
  table('broken', {
    'backupbot.backup': 'true',
    'backupbot.backup.pre-hook': 'echo "key $$(cat /run/secrets/key)"; echo no database >&2; exit 4',
  });
  const { run, install, backup } = coldTest('broken', '1.0.0+1');
  tests.push(run);
  expect(await install()).toEqual(INSTALLED);
  const evidence = evidenceOf(run, 'backup', 'backup-hooks.txt');
  expect(await backup()).toEqual({
    result: 'fail',
    reason: expect.stringMatching(
      /^backup pre-hook of service app: exit status 4: (no database|key \*\*\*)$/,
    ),
    evidence,
  });
  expect(readFileSync(evidence, 'utf8')).toMatch(/^key \*\*\*$/m);
}, 60_000);
