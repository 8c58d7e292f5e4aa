import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import {
  approveUpdate,
  RECONCILE_WORKFLOW,
  SEARCH_ATTRIBUTES,
  SERVICE_WORKFLOW,
  servicesQuery,
  type ReconcileResult,
  type ServiceOrderInput,
} from '../../workflows/protocol.ts';
import { fakeHost, type FakeHost, type FakeService } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { failureOf, TASK_QUEUE, until } from './server.ts';

/** Reconciles of live services, in real workflows; the steps are a fake host's. */

const server = await openWorkflowServer();

function start(type: string, ...args: unknown[]): Promise<WorkflowHandle> {
  const workflowId = `reconcile-${randomUUID()}`;
  return server.client.workflow.start(type, { workflowId, taskQueue: TASK_QUEUE, args });
}

function hostOf(services: Record<string, FakeService>): FakeHost {
  return Object.assign(fakeHost({}), { services });
}

async function reconcile(host: FakeHost, ...args: unknown[]): Promise<ReconcileResult> {
  return server.withWorker(
    host,
    async () => (await start(RECONCILE_WORKFLOW, ...args)).result() as Promise<ReconcileResult>,
  );
}

/** Of a reconcile that waits for an approval. */
async function waits(handle: WorkflowHandle): Promise<ReconcileResult> {
  await until(
    'it waits',
    async () => (await handle.query(servicesQuery)).state === 'waiting for an approval',
  );
  return handle.query(servicesQuery);
}

const attributesOf = async (handle: WorkflowHandle): Promise<unknown> =>
  (await handle.describe()).typedSearchAttributes.get(SEARCH_ATTRIBUTES.ServiceOutcome);

const KEYCLOAK: FakeService = { at: '10.0.0+26.0.8' };
const MAJOR = { version: '11.0.0+27.0.0', held: 'Breaking.' };

describe('a reconcile', () => {
  test('says of each service what it did, and gives the host back', async () => {
    const host = hostOf({
      keycloak: { ...KEYCLOAK, newer: [{ version: '10.1.0+26.1.0' }] },
      traefik: { at: '3.0.0+3.1', newer: [{ version: '3.1.0+3.2', unhealthy: 'no answer' }] },
      latest: { at: '1.0.0+1' },
    });
    const result = await reconcile(host);
    expect(result).toMatchObject({
      state: 'done',
      services: [
        { service: 'keycloak', outcome: 'upgraded', version: '10.1.0+26.1.0', held: null },
        {
          service: 'traefik',
          outcome: 'rolled-back',
          why: '3.1.0+3.2 is unhealthy: no answer; 3.0.0+3.1 is there as before',
          version: '3.0.0+3.1',
        },
        { service: 'latest', outcome: 'noop' },
      ],
    });
    expect(host.calls.slice(-3)).toEqual(['latest observe', 'latest tell noop', 'sweep give back']);
    const handle = server.client.workflow.getHandle(result.reconcile);
    expect(await attributesOf(handle)).toEqual(['upgraded', 'rolled-back', 'noop']);
  });

  test('goes on with the other services where one breaks off', async () => {
    const faults = { observe: { type: 'RecordUnreadable' } } as const;
    const host = hostOf({ keycloak: { ...KEYCLOAK, faults }, traefik: { at: '3.0.0+3.1' } });
    expect((await reconcile(host)).services).toMatchObject([
      { service: 'keycloak', outcome: 'error' },
      { service: 'traefik', outcome: 'noop' },
    ]);
  });

  test('that cannot even roll back says so', async () => {
    const newer = [{ version: '10.1.0+26.1.0', unhealthy: 'no answer' }];
    const host = hostOf({ keycloak: { ...KEYCLOAK, newer, lost: true } });
    expect((await reconcile(host)).services).toMatchObject([{ outcome: 'rollback-failed', why: 'no disk' }]);
  });

  test.each([
    [{ services: ['ghost'] }, 'no live service: ghost'],
    [{ services: [] }, 'services'],
    [{ servcies: ['keycloak'] }, 'unknown key'],
    ['keycloak', 'not an object'],
  ])('of %j is refused', async (input, why) => {
    expect((await failureOf(reconcile(hostOf({ keycloak: KEYCLOAK }), input))).message).toContain(why);
  });
});

describe('a release that is held', () => {
  test('is let through by an update of that very version, and of no other', async () => {
    const host = hostOf({ keycloak: { ...KEYCLOAK, newer: [MAJOR] } });
    await server.withWorker(host, async () => {
      const handle = await start(RECONCILE_WORKFLOW);
      expect((await waits(handle)).services).toMatchObject([
        { outcome: 'held-major', version: KEYCLOAK.at, held: MAJOR.version },
      ]);
      // It has let go of the host meanwhile.
      expect(host.calls.at(-1)).toBe('sweep give back');
      for (const [service, version] of [
        ['keycloak', '11.0.1+27.0.1'],
        ['traefik', MAJOR.version],
      ] as const) {
        const approved = handle.executeUpdate(approveUpdate, { args: [{ service, version }] });
        await expect(approved).rejects.toMatchObject({ cause: { message: expect.stringMatching(/back/) } });
      }
      await handle.executeUpdate(approveUpdate, { args: [{ service: 'keycloak', version: MAJOR.version }] });
      expect(await handle.result()).toMatchObject({
        services: [{ outcome: 'upgraded', version: MAJOR.version, held: null }],
      });
      expect(await attributesOf(handle)).toEqual(['upgraded']);
    });
  });

  test('can be given up: a cancelled reconcile ends, and touches nothing', async () => {
    const host = hostOf({ keycloak: { ...KEYCLOAK, newer: [MAJOR] } });
    await server.withWorker(host, async () => {
      const handle = await start(RECONCILE_WORKFLOW);
      await waits(handle);
      await handle.cancel();
      await failureOf(handle.result());
      expect(host.calls.some((call) => call.includes('upgrade'))).toBe(false);
    });
  });
});

test('a reconcile that is cancelled over an upgrade rolls it back, and tells', async () => {
  const hangs = 'upgrade to 10.1.0+26.1.0';
  const host = hostOf({ keycloak: { ...KEYCLOAK, newer: [{ version: '10.1.0+26.1.0' }], hangs } });
  await server.withWorker(host, async () => {
    const handle = await start(RECONCILE_WORKFLOW);
    await host.reached('keycloak upgrade to 10.1.0+26.1.0');
    await handle.cancel();
    await failureOf(handle.result());
  });
  expect(host.calls.slice(-3)).toEqual(['keycloak roll back', 'keycloak tell error', 'sweep give back']);
});

test('an operator’s word is done in its turn, and answered', async () => {
  const host = hostOf({ keycloak: KEYCLOAK });
  const input: ServiceOrderInput = {
    service: 'keycloak',
    order: { order: 'hold', reason: 'a conference' },
    by: 'ada@ci-1',
  };
  const said = await server.withWorker(host, async () => (await start(SERVICE_WORKFLOW, input)).result());
  expect(said).toBe('hold keycloak');
  const failure = await failureOf(
    server.withWorker(host, async () =>
      (await start(SERVICE_WORKFLOW, { ...input, order: { order: 'delete' } })).result(),
    ),
  );
  expect(failure.message).toContain('order');
});
