import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import type { ServiceOrder } from '../../domain/service.ts';
import { BOUNDARY_CHANNEL } from '../../host/machine/boundary.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createServices, type Services } from '../../host/store/services.ts';
import type { ReconciledService } from '../../workflows/protocol.ts';
import { reconcileWorkflow } from '../../workflows/reconcile.ts';
import { serviceWorkflow } from '../../workflows/service.ts';
import type { Quality } from './fake-engine.ts';
import { createMachine, ZONE, type Machine } from './fake-machine.ts';
import type { MortalProcess } from './mortal-fs.ts';
import { playWorkflow, type Play } from './played-workflow.ts';

/** The real reconcile and its steps, on a machine without an engine whose worker dies at each boundary in turn. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

vi.mock('@temporalio/workflow', async (original) => {
  const { playedWorkflow } = await import('./played-workflow.ts');
  return playedWorkflow(await original<typeof import('@temporalio/workflow')>());
});

const SERVICE = 'keycloak';
const STACK = stackName(warmDomain(SERVICE, ZONE));
const CHECK = '/recipes/keycloak/checks/token';
const [OLD, NEW] = ['10.0.0+26.0.8', '10.1.0+26.1.0'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'reconcile-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Keycloak as somebody deployed it by hand, with a realm that is somebody's. */
function createHost(name: string): { machine: Machine; services: Services } {
  const machine = createMachine(path.join(folder, name), [SERVICE]);
  machine.listsOnly = true;
  machine.settings.set(SERVICE, { live: true, checks: [CHECK] });
  machine.programs.set(CHECK, ({ STACK_NAME }) => {
    const { commit = '' } = machine.stacks.get(STACK_NAME ?? '') ?? {};
    return machine.tagOf(SERVICE, commit).quality === 'fails its checks' ? 1 : 0;
  });
  publish(machine, OLD);
  const commit = machine.upstreams.get(SERVICE)?.[0]?.commit ?? '';
  machine.stacks.set(STACK, {
    stack: STACK,
    recipe: SERVICE,
    lifetime: null,
    running: true,
    zone: null,
    version: OLD,
    commit,
    healthy: true,
    secrets: new Set([`${STACK}_admin_v1`]),
  });
  for (const volume of ['data', 'files']) {
    mkdirSync(machine.volume(`${STACK}_${volume}`), { recursive: true });
    writeFileSync(path.join(machine.volume(`${STACK}_${volume}`), 'realm'), "somebody's");
  }
  return { machine, services: createServices({ state: machine.state, zone: ZONE }) };
}

let commits = 0;
function publish(machine: Machine, version: string, quality: Quality = 'good'): void {
  const commit = String(++commits).padStart(40, '0');
  machine.upstreams.set(SERVICE, [...(machine.upstreams.get(SERVICE) ?? []), { version, commit, quality }]);
}

/** A death of the worker when so many boundaries were passed; what it did is tried again, or its workflow terminated. */
interface Death {
  at: number;
  and: 'tried again' | 'terminated';
}

class Terminated extends Error {}

let asked = 0;

/** Plays a workflow of the host; null where it was terminated. Answers how many boundaries it passed as well. */
async function play<T>(
  machine: Machine,
  workflow: () => Promise<T>,
  death: Death | null = null,
): Promise<{ result: T | null; passes: number }> {
  const workflowId = `reconcile-${++asked}`;
  const runId = createHash('sha256').update(workflowId).digest('hex').slice(0, 32);
  let worker: MortalProcess = { dead: false };
  let died: () => void = () => undefined;
  let passes = 0;
  const onBoundary = (): void => {
    passes += 1;
    if (passes !== death?.at) return;
    worker.dead = true;
    died();
  };
  const step = async <R>(attempts: number, body: (activities: Activities) => Promise<R>): Promise<R> => {
    for (let number = 1; ; number++) {
      const death_ = new Promise<'died'>((resolve) => (died = () => resolve('died')));
      const attempt = machine.attempt(worker, number, body).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      const end = await Promise.race([attempt, death_]);
      if (end === 'died') {
        if (death?.and === 'terminated') throw new Terminated();
        worker = { dead: false };
      } else if ('value' in end) return end.value;
      else if (number >= attempts || (end.error as { nonRetryable?: boolean }).nonRetryable) throw end.error;
    }
  };
  let terminated: (error: unknown) => void = () => undefined;
  const termination = new Promise<null>((resolve) => (terminated = () => resolve(null)));
  const played: Play = {
    workflowId,
    runId,
    cancelled: false,
    handlers: new Map(),
    async step(name, attempts, input) {
      try {
        const answer = await step(attempts, async (activities) => {
          if (name !== 'openReconcile')
            return (activities[name as keyof Activities] as (input: unknown) => Promise<unknown>)(input);
          // As it is, but for what a machine must have.
          const { holder } = input as Parameters<Activities['openReconcile']>[0];
          await activities.reap({ holder });
          return {
            services: [SERVICE],
            settings: { attempts: 3, tierMs: 60_000, promoteMs: 60_000, sweepMs: 0 },
          };
        });
        if (name === 'askForTurn') {
          const { number } = input as { number: number };
          played.handlers.get('turn')?.({ number });
        }
        return answer;
      } catch (error) {
        if (!(error instanceof Terminated)) throw error;
        terminated(error);
        return new Promise<never>(() => undefined);
      }
    },
  };
  machine.open.add(workflowId);
  subscribe(BOUNDARY_CHANNEL, onBoundary);
  try {
    return { result: await Promise.race([playWorkflow(played, workflow), termination]), passes };
  } finally {
    unsubscribe(BOUNDARY_CHANNEL, onBoundary);
    machine.open.delete(workflowId);
  }
}

async function order(machine: Machine, said: ServiceOrder): Promise<string | null> {
  const { result } = await play(machine, () => serviceWorkflow({ service: SERVICE, order: said, by: 'ada' }));
  return result;
}

async function reconcile(machine: Machine): Promise<ReconciledService | undefined> {
  return (await play(machine, () => reconcileWorkflow())).result?.services[0];
}

/** A host whose Keycloak is looked after. */
async function createAdopted(name: string): Promise<ReturnType<typeof createHost>> {
  const host = createHost(name);
  expect(await order(host.machine, { order: 'adopt' })).toContain(`${SERVICE} ${OLD} at`);
  return host;
}

const alertsOf = async ({ state }: Machine): Promise<string[]> =>
  (await createAlerts(state).open()).alerts.map(({ kind }) => kind);

/** What somebody sees of the service. */
const seen = (machine: Machine) => {
  const { version, healthy, running } = machine.stacks.get(STACK) ?? {};
  return { version, healthy, running };
};

describe('a service that somebody deployed', () => {
  test('is adopted, and nothing of it is touched', async () => {
    const { machine, services } = createHost('adopt');
    expect(await reconcile(machine)).toMatchObject({ outcome: 'not-adopted', version: null });
    expect(await alertsOf(machine)).toEqual(['service-not-adopted']);
    await order(machine, { order: 'adopt' });
    expect(machine.deployed).toEqual([]);
    expect(await services.lastGood(SERVICE)).toMatchObject({ version: OLD, domain: `warm-keycloak.${ZONE}` });
    expect(await reconcile(machine)).toMatchObject({ outcome: 'noop', version: OLD });
    expect(machine.deployed).toEqual([]);
    expect(await alertsOf(machine)).toEqual([]);
    expect((await services.history(SERVICE)).map(({ outcome }) => outcome)).toEqual([
      'not-adopted',
      'adopted',
      'noop',
    ]);
  });

  test.each<[string, (machine: Machine) => void, string]>([
    ['another environment', (machine) => machine.differences.push('environment of app: KC_X'), 'KC_X'],
    [
      'no answer',
      (machine) => Object.assign(machine.stacks.get(STACK) ?? {}, { healthy: false }),
      'not healthy',
    ],
    [
      'a version of nobody',
      (machine) => Object.assign(machine.stacks.get(STACK) ?? {}, { version: '9.9.9+1' }),
      'no release',
    ],
    [
      'no version',
      (machine) => Object.assign(machine.stacks.get(STACK) ?? {}, { version: null }),
      'no label',
    ],
    ['nothing there', (machine) => void machine.stacks.delete(STACK), 'nothing runs at'],
  ])('is refused with %s', async (_situation, spoil, why) => {
    const { machine, services } = createHost('refused');
    spoil(machine);
    await expect(order(machine, { order: 'adopt' })).rejects.toThrow(why);
    expect(await services.lastGood(SERVICE)).toBeNull();
    expect(machine.deployed).toEqual([]);
  });
});

test('the checks of Keycloak log in as the configuration says, where it does', async () => {
  const { machine } = createHost('login');
  const told: (string | undefined)[] = [];
  machine.programs.set(CHECK, ({ KEYCLOAK_ADMIN_USER, KEYCLOAK_ADMIN_PASSWORD }) => {
    told.push(KEYCLOAK_ADMIN_USER, KEYCLOAK_ADMIN_PASSWORD);
    return 1;
  });
  await expect(order(machine, { order: 'adopt' })).rejects.toThrow('not healthy');
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, 'changed since\n', { mode: 0o600 });
  machine.config.keycloak = { user: 'root', passwordFile };
  await expect(order(machine, { order: 'adopt' })).rejects.toThrow('not healthy');
  expect(told).toEqual([undefined, undefined, 'root', 'changed since']);
});

describe('a service that is gone', () => {
  test('comes up again as it was, also where upstream cannot be trusted', async () => {
    const { machine } = await createAdopted('gone');
    publish(machine, NEW);
    expect(await reconcile(machine)).toMatchObject({ outcome: 'upgraded' });
    Object.assign(machine.upstreams.get(SERVICE)?.[0] ?? {}, { commit: 'f'.repeat(40) });
    expect(await reconcile(machine)).toMatchObject({ outcome: 'error' });
    expect(await alertsOf(machine)).toEqual(['service-not-reconciled']);
    Object.assign(machine.stacks.get(STACK) ?? {}, { running: false });
    const done = await reconcile(machine);
    expect(done).toMatchObject({ outcome: 'recovered', version: NEW });
    expect(done?.why).toContain('moved');
    expect(seen(machine)).toEqual({ version: NEW, healthy: true, running: true });
  });

  test('is not deployed without the data that it had', async () => {
    const { machine } = await createAdopted('empty');
    machine.stacks.delete(STACK);
    for (const volume of ['data', 'files']) rmSync(machine.volume(`${STACK}_${volume}`), { recursive: true });
    const done = await reconcile(machine);
    expect(done).toMatchObject({ outcome: 'error', version: null });
    expect(done?.why).toContain(`what it had in ${STACK}_data, ${STACK}_files is gone`);
    expect(machine.deployed).toEqual([]);
    expect(await alertsOf(machine)).toEqual(['service-down']);
  });

  test('is not made anew over what is left of an earlier one', async () => {
    const { machine } = await createAdopted('left');
    publish(machine, '10.0.1+26.0.8');
    expect(await reconcile(machine)).toMatchObject({ outcome: 'upgraded' });
    rmSync(path.join(machine.state, 'services', SERVICE, 'last-good.json'));
    Object.assign(machine.stacks.get(STACK) ?? {}, { running: false });
    publish(machine, NEW, 'red');
    expect(await reconcile(machine)).toMatchObject({ outcome: 'not-deployed' });
    await order(machine, { order: 'approve', version: NEW });
    const done = await reconcile(machine);
    expect(done).toMatchObject({ outcome: 'error' });
    expect(done?.why).toContain('of an earlier keycloak there are');
    expect(machine.rows(STACK).size).toBe(2);
  });
});

describe('a newer release', () => {
  test.each<[Quality, string, ReconciledService['outcome'], string[]]>([
    ['good', NEW, 'upgraded', []],
    ['red', OLD, 'rolled-back', ['service-rolled-back']],
    ['fails on data attached again', OLD, 'rolled-back', ['service-rolled-back']],
    ['fails its checks', OLD, 'rolled-back', ['service-rolled-back']],
    ['has no image', OLD, 'rolled-back', ['service-rolled-back']],
  ])(
    'that is %s: at %s, whenever the worker dies',
    { timeout: 120_000 },
    async (quality, version, outcome, alerts) => {
      const judge = async ({ machine, services }: ReturnType<typeof createHost>): Promise<void> => {
        expect(seen(machine)).toEqual({ version, healthy: true, running: true });
        expect(await services.lastGood(SERVICE)).toMatchObject({ version });
        expect(await services.underway(SERVICE)).toBeNull();
        for (const [volume, files] of machine.rows(STACK)) {
          expect([volume, files]).toEqual([volume, expect.arrayContaining(['realm'])]);
          expect(files).not.toContain('migrated');
        }
        expect([...(machine.stacks.get(STACK)?.secrets ?? [])]).toContain(`${STACK}_admin_v1`);
        expect(await alertsOf(machine)).toEqual(alerts);
        if (outcome === 'upgraded') expect(readdirSync(services.snapshotsFolder(SERVICE))).toHaveLength(1);
        const checkouts = path.join(machine.state, 'checkouts');
        expect(readdirSync(checkouts, { recursive: false })).toEqual([]);
      };
      const undisturbed = await createAdopted('undisturbed');
      publish(undisturbed.machine, NEW, quality);
      const { result, passes } = await play(undisturbed.machine, () => reconcileWorkflow());
      expect(result?.services).toEqual([expect.objectContaining({ outcome, version })]);
      await judge(undisturbed);
      const deployments = undisturbed.machine.deployed.length;
      // Not tried again.
      expect(await reconcile(undisturbed.machine)).toMatchObject({ outcome: 'noop', version });
      expect(undisturbed.machine.deployed).toHaveLength(deployments);
      await judge(undisturbed);

      // What is rolled back for another reason passes the same boundaries.
      const every = quality === 'good' || quality === 'fails its checks' ? 1 : 4;
      for (let at = 1; at <= passes; at += every) {
        const again = await createAdopted(`again-${at}`);
        publish(again.machine, NEW, quality);
        const { result: done } = await play(again.machine, () => reconcileWorkflow(), {
          at,
          and: 'tried again',
        });
        expect([at, done?.services[0]?.outcome]).toEqual([at, outcome]);
        await judge(again);

        const gone = await createAdopted(`gone-${at}`);
        publish(gone.machine, NEW, quality);
        await play(gone.machine, () => reconcileWorkflow(), { at, and: 'terminated' });
        const next = await reconcile(gone.machine);
        expect([at, next?.version]).toEqual([at, version]);
        await judge(gone);
      }
    },
  );

  test('that is rolled back although it was approved is not tried again', async () => {
    const { machine } = await createAdopted('approved');
    publish(machine, NEW, 'red');
    await order(machine, { order: 'approve', version: NEW });
    expect(await reconcile(machine)).toMatchObject({ outcome: 'rolled-back', version: OLD });
    const deployments = machine.deployed.length;
    expect(await reconcile(machine)).toMatchObject({ outcome: 'noop', version: OLD });
    expect(machine.deployed).toHaveLength(deployments);
    await order(machine, { order: 'approve', version: NEW });
    expect(await reconcile(machine)).toMatchObject({ outcome: 'rolled-back', version: OLD });
  });

  test('over which the worker dies, and the one before is unhealthy by then, is not tried on', async () => {
    for (const at of [1, 2, 4, 8, 12, 16]) {
      const { machine, services } = await createAdopted(`dies-${at}`);
      publish(machine, NEW, 'red');
      // Unhealthy as soon as anything was deployed.
      const [first] = machine.upstreams.get(SERVICE) ?? [];
      machine.started = () => Object.assign(first ?? {}, { quality: 'red' });
      const { result } = await play(machine, () => reconcileWorkflow(), { at, and: 'tried again' });
      expect([at, result?.services[0]?.outcome]).toEqual([at, 'rollback-failed']);
      expect((await services.underway(SERVICE))?.snapshot).not.toBeNull();
      expect(await alertsOf(machine)).toContain('service-down');
    }
  });

  test('whose snapshot is damaged when it is needed runs on, and somebody is told', async () => {
    const { machine, services } = await createAdopted('damaged');
    publish(machine, NEW, 'fails its checks');
    const snapshots = services.snapshotsFolder(SERVICE);
    const judge = machine.programs.get(CHECK);
    machine.programs.set(CHECK, (environment) => {
      if (judge?.(environment) !== 1) return 0;
      for (const id of readdirSync(snapshots)) {
        for (const file of readdirSync(path.join(snapshots, id)))
          writeFileSync(path.join(snapshots, id, file), 'bad');
      }
      return 1;
    });
    const done = await reconcile(machine);
    expect(done).toMatchObject({ outcome: 'error', version: null });
    expect(done?.why).toContain(`${NEW} is to be undone, and that broke off`);
    expect(seen(machine)).toMatchObject({ running: true });
    expect(await alertsOf(machine)).toContain('service-down');
  });

  describe('after which the one before is unhealthy, too,', () => {
    const mended = 'mended';
    async function createStopped(name: string): Promise<ReturnType<typeof createHost>> {
      const host = await createAdopted(name);
      const { machine, services } = host;
      publish(machine, NEW, 'red');
      Object.assign(machine.upstreams.get(SERVICE)?.[0] ?? {}, { quality: 'red' });
      expect(await reconcile(machine)).toMatchObject({ outcome: 'rollback-failed', version: null });
      expect(await services.lastGood(SERVICE)).toMatchObject({ version: OLD });
      const deployments = machine.deployed.length;
      expect(await reconcile(machine)).toMatchObject({ outcome: 'rollback-failed' });
      // Somebody mends it, while reconciles and reapers come and go.
      Object.assign(machine.upstreams.get(SERVICE)?.[0] ?? {}, { quality: 'good' });
      writeFileSync(path.join(machine.volume(`${STACK}_data`), mended), 'by hand');
      expect(await reconcile(machine)).toMatchObject({ outcome: 'rollback-failed' });
      expect(machine.deployed).toHaveLength(deployments);
      expect(await alertsOf(machine)).toContain('service-down');
      return host;
    }

    test('what is mended by hand stays as it is', async () => {
      const { machine, services } = await createStopped('mended');
      Object.assign(machine.stacks.get(STACK) ?? {}, { healthy: true });
      expect(await order(machine, { order: 'resume' })).toContain(
        `${OLD} is healthy, and looked after again`,
      );
      expect(await services.underway(SERVICE)).toBeNull();
      expect(await reconcile(machine)).toMatchObject({ outcome: 'noop', version: OLD });
      expect(readdirSync(machine.volume(`${STACK}_data`))).toContain(mended);
      expect(await alertsOf(machine)).not.toContain('service-down');
    });

    test('what is not is put back from the snapshot', async () => {
      const { machine, services } = await createStopped('not-mended');
      Object.assign(machine.stacks.get(STACK) ?? {}, { healthy: false });
      expect(await order(machine, { order: 'resume' })).toContain(`puts ${SERVICE} back to ${OLD}`);
      // By the reaper, with which each reconcile opens.
      expect(await reconcile(machine)).toMatchObject({ outcome: 'noop', version: OLD });
      expect(await services.underway(SERVICE)).toBeNull();
      expect(readdirSync(machine.volume(`${STACK}_data`))).not.toContain(mended);
    });

    test('what is adopted in its place stays as it is', async () => {
      const { machine, services } = await createStopped('adopted');
      publish(machine, '10.2.0+26.1.0');
      const commit = machine.upstreams.get(SERVICE)?.at(-1)?.commit ?? '';
      Object.assign(machine.stacks.get(STACK) ?? {}, { healthy: true, version: '10.2.0+26.1.0', commit });
      await order(machine, { order: 'adopt' });
      expect(await services.underway(SERVICE)).toBeNull();
      expect(await reconcile(machine)).toMatchObject({ outcome: 'noop', version: '10.2.0+26.1.0' });
      expect(readdirSync(machine.volume(`${STACK}_data`))).toContain(mended);
    });
  });

  test('that is a major step waits, untouched, until that very version is approved', async () => {
    const { machine, services } = await createAdopted('major');
    publish(machine, '11.0.0+27.0.0');
    const held = { outcome: 'held-major', version: OLD, held: '11.0.0+27.0.0' };
    expect(await reconcile(machine)).toMatchObject(held);
    expect(await reconcile(machine)).toMatchObject(held);
    expect(machine.deployed).toEqual([]);
    expect(await alertsOf(machine)).toEqual(['service-held']);
    await expect(order(machine, { order: 'approve', version: NEW })).rejects.toThrow('11.0.0+27.0.0');
    await order(machine, { order: 'approve', version: '11.0.0+27.0.0' });
    expect(await reconcile(machine)).toMatchObject({
      outcome: 'upgraded',
      version: '11.0.0+27.0.0',
      held: null,
    });
    expect(await services.orders(SERVICE)).toMatchObject({ approved: null, rolledBack: null });
    expect(await alertsOf(machine)).toEqual([]);
  });
});
