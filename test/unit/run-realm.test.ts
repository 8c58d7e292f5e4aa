import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { ProvidedDependency } from '../../domain/dependency.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import type { RunRef } from '../../domain/run.ts';
import { BOUNDARY_CHANNEL, type Boundary, type Passed } from '../../host/machine/boundary.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createRealmKey } from '../../host/store/realm-secrets.ts';
import { createServices, type Services } from '../../host/store/services.ts';
import { createMachine, SWEEP, ZONE, type Machine } from './fake-machine.ts';
import type { MortalProcess } from './mortal-fs.ts';

/** What a run is given at a Keycloak, live or cold, until it is over. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const LIVE = stackName(warmDomain('keycloak', ZONE));
const COMMIT = { hedgedoc: '0'.repeat(40), drone: '1'.repeat(40), keycloak: '2'.repeat(40) };
const VERSION = '10.0.0+26.0.8';
const CHECK = '/recipes/hedgedoc/checks/login';

let folder: string;
let machine: Machine;
let services: Services;

const runOf = (recipe: string, runId = 'fedcba'): RunRef => ({
  recipe,
  asked: { by: 'sweep', ...SWEEP },
  workflow: { id: `${SWEEP.id}/${recipe}`, runId },
});
const RUN = runOf('hedgedoc');
const NAME = 'hedgedoc-fedcba';

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);
const provide = (recipe = 'keycloak', run = RUN, dependencies: ProvidedDependency[] = []) =>
  step((steps) => steps.provide({ run, recipe, dependencies }));
const takeBack = (run = RUN) => step((steps) => steps.teardown({ run, dependencies: ['keycloak'] }));
const reap = () =>
  step((steps) => steps.reap({ holder: { workflowId: SWEEP.id, runId: SWEEP.runId, what: 'reap' } }));

/** At the live Keycloak, or at whichever there is. */
const realms = (stack = LIVE): string[] => [...(machine.realms.get(stack)?.keys() ?? [])].sort();
const marked = (): string[] => {
  const there = path.join(machine.state, 'realms');
  return existsSync(there) ? readdirSync(there).sort() : [];
};

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'run-realm-'));
  machine = createMachine(folder, ['hedgedoc', 'drone', 'keycloak']);
  services = createServices({ state: machine.state, zone: ZONE });
  for (const id of [SWEEP.id, RUN.workflow.id]) machine.open.add(id);
  machine.settings.set('hedgedoc', {
    deps: ['keycloak'],
    env: {
      ISSUER: '${DEP_KEYCLOAK_ISSUER}',
      CLIENT: '${DEP_KEYCLOAK_CLIENT_ID} of ${DEP_KEYCLOAK_REALM} for ${DEP_KEYCLOAK_USER}',
    },
    checks: [CHECK],
  });
  machine.settings.set('drone', { deps: ['keycloak'] });
  for (const [recipe, commit] of Object.entries(COMMIT)) {
    const version = recipe === 'keycloak' ? VERSION : '1.0.0+1';
    machine.upstreams.set(recipe, [{ version, commit, quality: 'good' }]);
  }
  await step((steps) => steps.mirrorSync({ recipe: 'hedgedoc', run: RUN }));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Keycloak as a service of this host that is looked after, and is well. */
async function goLive(): Promise<void> {
  machine.settings.set('keycloak', { live: true });
  await services.commit({
    schema: 1,
    service: 'keycloak',
    version: VERSION,
    commit: COMMIT.keycloak,
    ts: '2026-11-29T03:00:00.000Z',
    run: 'reconcile-1/keycloak',
    domain: warmDomain('keycloak', ZONE),
    env: {},
    images: {},
    volumes: [],
  });
  machine.stacks.set(LIVE, {
    stack: LIVE,
    recipe: 'keycloak',
    lifetime: 'live',
    running: true,
    version: VERSION,
    commit: COMMIT.keycloak,
    healthy: true,
    secrets: new Set(),
  });
  machine.realms.set(
    LIVE,
    new Map([
      ['master', 'a stranger’s'],
      ['drone-123456', 'a stranger’s'],
    ]),
  );
}
const STRANGERS = ['drone-123456', 'master'];

describe('a run', () => {
  test('has a realm at the live Keycloak, which it leaves as it was', async () => {
    await goLive();
    const before = structuredClone(machine.stacks.get(LIVE));
    const provided = await provide();
    expect(provided).toMatchObject({
      recipe: 'keycloak',
      version: VERSION,
      stack: LIVE,
      realm: { name: NAME, clientId: 'hedgedoc', user: NAME },
    });
    expect(realms()).toEqual([...STRANGERS, NAME].sort());
    expect(machine.realms.get(LIVE)?.get(NAME)).toMatchObject({
      redirectUris: [`https://hedg-fedcba.${ZONE}/*`, `https://warm-hedgedoc.${ZONE}/*`],
    });
    await takeBack();
    await takeBack();
    expect(realms()).toEqual(STRANGERS);
    expect(marked()).toEqual([]);
    expect(machine.stacks.get(LIVE)).toEqual(before);
    expect(machine.deployed).toEqual([]);
  });

  test('has the same of a cold Keycloak where none is live', async () => {
    machine.settings.set('keycloak', { live: true });
    const provided = await provide();
    expect(machine.stacks.get(provided.stack)).toMatchObject({ lifetime: 'cold', running: true });
    expect(provided.realm).toMatchObject({ name: NAME, clientId: 'hedgedoc', user: NAME });
    expect(realms(provided.stack)).toEqual([NAME]);
    expect(marked()).toEqual([]);
    await takeBack();
    expect(machine.stacks.size).toBe(0);
  });

  test('is told of it, and of nothing secret, in env and on record', async () => {
    await goLive();
    const dependencies = [await provide()];
    const deploy = { version: '1.0.0+1', commit: COMMIT.hedgedoc };
    await step((steps) =>
      steps.coldInstall({ run: RUN, step: 'cold-test: install', deploy, dependencies, upgraded: false }),
    );
    const issuer = `https://${warmDomain('keycloak', ZONE)}/realms/${NAME}`;
    expect(machine.deployed.at(-1)?.env).toEqual({
      ISSUER: issuer,
      CLIENT: `hedgedoc of ${NAME} for ${NAME}`,
    });
    const secrets = await createRealmKey(machine.state).secretsOf({ clientId: 'hedgedoc', user: NAME });
    const told = JSON.stringify(dependencies);
    for (const secret of Object.values(secrets)) expect(told).not.toContain(secret);
    expect(machine.realms.get(LIVE)?.get(NAME)).toMatchObject({ secrets });
  });

  test('has another realm than any other run, also of its recipe', async () => {
    await goLive();
    const others = [runOf('hedgedoc', '012345'), runOf('drone')];
    const all = [await provide(), await provide('keycloak', others[0]), await provide('keycloak', others[1])];
    expect(new Set(all.map(({ realm }) => realm?.name)).size).toBe(3);
    await takeBack();
    expect(realms()).toEqual([...STRANGERS, 'drone-fedcba', 'hedgedoc-012345'].sort());
  });

  test('never takes a realm over that another has by its name', async () => {
    await goLive();
    machine.realms.get(LIVE)?.set(NAME, 'a stranger’s');
    await expect(provide()).rejects.toMatchObject({ type: 'NotOurs' });
    await takeBack();
    expect(realms()).toContain(NAME);
  });

  test('lets those log in as well whom it needs beside it', async () => {
    await goLive();
    machine.settings.set('hedgedoc', { deps: ['drone'] });
    const keycloak = await provide();
    const drone = await provide('drone', RUN, [keycloak]);
    expect(machine.realms.get(LIVE)?.get(NAME)).toMatchObject({
      redirectUris: expect.arrayContaining([`https://${drone.domain}/*`]),
    });
  });
});

describe('a live Keycloak', () => {
  beforeEach(goLive);
  const stack = () => machine.stacks.get(LIVE) as NonNullable<ReturnType<Machine['stacks']['get']>>;
  const BEGUN = {
    ts: '2026-11-29T04:00:00.000Z',
    run: 'reconcile-2',
    to: { version: '10.1.0+26.1.0', commit: '3'.repeat(40) },
    fresh: false,
    stateful: true,
    snapshot: null,
    unhealthy: null,
  };

  test.each<[string, () => unknown]>([
    ['that does not serve', () => (stack().healthy = false)],
    ['that is gone', () => machine.stacks.delete(LIVE)],
    ['that is being changed', () => services.begin('keycloak', BEGUN)],
    [
      'that could not be put back',
      () => services.order('keycloak', { stopped: { evidence: '', why: 'no', ts: BEGUN.ts } }),
    ],
    ['that makes no realms', () => machine.away.add(LIVE)],
  ])('%s says nothing of who needs it, and is not taken down with the run', async (_, make) => {
    await make();
    await expect(provide()).rejects.toMatchObject({ type: 'Dependency', nonRetryable: false });
    machine.away.delete(LIVE);
    const left = machine.stacks.has(LIVE);
    await takeBack();
    expect(machine.stacks.has(LIVE)).toBe(left);
    expect(machine.deployed).toEqual([]);
  });

  test('that is away at the end is asked again, and only for what it may have', async () => {
    await takeBack();
    await provide();
    machine.away.add(LIVE);
    await expect(takeBack()).rejects.toMatchObject({ type: 'Dependency', nonRetryable: false });
    await takeBack(runOf('drone'));
    machine.away.clear();
    await takeBack();
    expect(realms()).toEqual(STRANGERS);
  });

  const custom = async () => {
    const dependencies = [await provide()];
    const deploy = { version: '1.0.0+1', commit: COMMIT.hedgedoc };
    const input = { run: RUN, deploy, dependencies, upgraded: false };
    await step((steps) => steps.coldInstall({ ...input, step: 'cold-test: install' }));
    return () => step((steps) => steps.coldCustom({ ...input, step: 'cold-test: custom' }));
  };

  test('that is well is not to blame for what is red', async () => {
    const ask = await custom();
    machine.programs.set(CHECK, () => 1);
    expect(await ask()).toMatchObject({ result: 'fail' });
  });

  /** A check has ended before a promise would settle. */
  function beginAtOnce(): void {
    const file = path.join(machine.state, 'services', 'keycloak', 'underway.json');
    writeFileSync(file, JSON.stringify({ schema: 1, ...BEGUN }));
  }

  test.each<[string, () => void]>([
    ['does not serve', () => void (stack().healthy = false)],
    ['was started again meanwhile', () => void machine.restarted.add(LIVE)],
    ['is being changed', beginAtOnce],
  ])('that %s makes nothing red', async (_, make) => {
    const ask = await custom();
    machine.programs.set(CHECK, () => {
      make();
      return 1;
    });
    await expect(ask()).rejects.toMatchObject({
      type: 'Dependency',
      nonRetryable: false,
      message: expect.stringContaining('nothing is learned from: check login'),
    });
  });

  test('that is not well keeps nothing from passing', async () => {
    const ask = await custom();
    machine.programs.set(CHECK, () => {
      stack().healthy = false;
      return 0;
    });
    expect(await ask()).toEqual({ result: 'pass' });
  });
});

describe('the reaper', () => {
  beforeEach(goLive);

  test('removes the realm of a run that is over, and no other', async () => {
    const waiting = runOf('drone');
    machine.open.add(waiting.workflow.id);
    await provide();
    await provide('keycloak', waiting);
    machine.open.delete(RUN.workflow.id);
    expect(await reap()).toEqual([]);
    expect(realms()).toEqual([...STRANGERS, 'drone-fedcba'].sort());
    expect(marked()).toEqual(['drone-fedcba']);
    machine.open.delete(waiting.workflow.id);
    expect(await reap()).toEqual([]);
    expect(realms()).toEqual(STRANGERS);
    expect(marked()).toEqual([]);
  });

  test('is stopped by no Keycloak that is away, and tells nobody of it', async () => {
    await provide();
    machine.open.delete(RUN.workflow.id);
    machine.away.add(LIVE);
    expect(await reap()).toEqual([]);
    expect((await createAlerts(machine.state).open()).alerts).toEqual([]);
    machine.away.clear();
    expect(await reap()).toEqual([]);
    expect(realms()).toEqual(STRANGERS);
  });

  test('asks none that is not there', async () => {
    machine.stacks.delete(LIVE);
    machine.away.add(LIVE);
    expect(await reap()).toEqual([]);
  });
});

describe('a crash', () => {
  beforeEach(goLive);

  /** Does it in a worker that dies where that boundary is passed. */
  async function dyingAt(
    boundary: Boundary,
    body: (activities: Activities) => Promise<unknown>,
  ): Promise<void> {
    const worker: MortalProcess = { dead: false };
    let died: (how: 'died') => void = () => undefined;
    const death = new Promise<'died'>((resolve) => (died = resolve));
    const onBoundary = (message: unknown): void => {
      if ((message as Passed).boundary !== boundary) return;
      worker.dead = true;
      died('died');
    };
    subscribe(BOUNDARY_CHANNEL, onBoundary);
    try {
      const ended = machine.attempt(worker, 1, body).then(() => 'ended');
      expect(await Promise.race([ended, death])).toBe('died');
    } finally {
      unsubscribe(BOUNDARY_CHANNEL, onBoundary);
    }
  }
  const providing = (steps: Activities) => steps.provide({ run: RUN, recipe: 'keycloak', dependencies: [] });
  const tearingDown = (steps: Activities) => steps.teardown({ run: RUN, dependencies: ['keycloak'] });

  test.each<[Boundary, (steps: Activities) => Promise<unknown>]>([
    ['realm.after-mark', providing],
    ['realm.after-create', providing],
    ['realm.after-remove', tearingDown],
    ['realm.after-clear', tearingDown],
  ])('at %s leaves nothing that the same step, or the reaper, does not see to', async (boundary, body) => {
    for (const next of ['the same step', 'the reaper']) {
      if (body === tearingDown) await provide();
      await dyingAt(boundary, body);
      if (next === 'the same step') {
        await step(body);
        await takeBack();
      } else {
        machine.open.delete(RUN.workflow.id);
        await reap();
      }
      expect([next, realms(), marked()]).toEqual([next, STRANGERS, []]);
      machine.open.add(RUN.workflow.id);
    }
  });
});

describe('the secrets of a realm', () => {
  const REALM = { clientId: 'hedgedoc', user: NAME };

  test('are of the host: the client’s the same in each run of its recipe, the user’s the run’s own', async () => {
    const key = createRealmKey(machine.state);
    const secrets = await key.secretsOf(REALM);
    expect(await createRealmKey(machine.state).secretsOf(REALM)).toEqual(secrets);
    const next = await key.secretsOf({ ...REALM, user: 'hedgedoc-012345' });
    expect(next.clientSecret).toBe(secrets.clientSecret);
    expect(next.password).not.toBe(secrets.password);
    const other = await key.secretsOf({ clientId: 'drone', user: 'drone-fedcba' });
    const elsewhere = await createRealmKey(path.join(folder, 'elsewhere')).secretsOf(REALM);
    const all = [secrets, next, other, elsewhere].flatMap((one) => Object.values(one));
    expect(new Set(all).size).toBe(7);
    expect(all.every((secret) => /^[\w-]{43}$/.test(secret))).toBe(true);
  });

  test('come of a key that its owner alone may read, made once', async () => {
    const [one, two] = await Promise.all([1, 2].map(() => createRealmKey(machine.state).secretsOf(REALM)));
    expect(one).toEqual(two);
    const file = path.join(machine.state, 'realms.key');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file)).toHaveLength(32);
    expect(readdirSync(machine.state).filter((name) => name.includes('.realms-'))).toEqual([]);
  });

  test('are not made of a key that was cut', async () => {
    writeFileSync(path.join(machine.state, 'realms.key'), 'half');
    await expect(createRealmKey(machine.state).secretsOf(REALM)).rejects.toMatchObject({
      type: 'RecordUnreadable',
    });
  });
});
