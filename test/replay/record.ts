import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { ensureBuilt } from '../../setup/ensure-built.ts';
import { ensureTemporal } from '../../setup/temporal.ts';
import type {
  ledgerWorkflow,
  planWorkflow,
  reapWorkflow,
  recipeTestWorkflow,
  sweepWorkflow,
} from '../../workflows/index.ts';
import {
  abortUpdate,
  approveUpdate,
  CANONICAL_WORKFLOW,
  hostWorkflowId,
  pauseUpdate,
  RECONCILE_WORKFLOW,
  recipeWorkflowId,
  resumeUpdate,
  SERVICE_WORKFLOW,
  skipUpdate,
  type TestInput,
} from '../../workflows/protocol.ts';
import { fakeHost, type FakeRecipe } from '../workflow/fake-host.ts';
import { HOST, quietRuntime, startWorkflowServer, TASK_QUEUE } from '../workflow/server.ts';

/**
 * Records one history of every shape a workflow can take, as `histories/<generation>-<shape>.json`:
 * `npx tsx test/replay/record.ts <generation> [<beginning of shapes>]`. Histories once recorded stay: sweeps of that shape may be
 * running wherever a later version is started. docs/workflows.md says when to record.
 */

const FOLDER = path.join(import.meta.dirname, 'histories');

/** A pull request of it makes the next release. */
const NEXT: FakeRecipe = { releases: ['1.0.0+1'], canonical: '1.0.0+1', head: '1.1.0+1' };

/** One recipe per shape of recipeSweepWorkflow; all of them together are one sweep. */
const SHAPES: Record<string, FakeRecipe> = {
  'first-release': { releases: ['1.0.0+1'] },
  'newer-release': { releases: ['1.0.0+1', '1.1.0+1'], canonical: '1.0.0+1' },
  'no-new-version': { releases: ['1.0.0+1'], canonical: '1.0.0+1' },
  'never-released': {},
  held: { releases: ['1.0.0+1'], hold: 'for now' },
  'tool-missing': { releases: ['1.0.0+1'], deps: ['gitea'], lack: 'git-lfs is not on /usr/bin' },
  'red-install': { releases: ['1.0.0+1'], red: { 'cold-test: install': 'never healthy' } },
  'older-base': {
    releases: ['1.0.0+1', '1.1.0+1', '1.2.0+1'],
    canonical: '1.1.0+1',
    red: { 'cold-test: install base': 'manifest unknown' },
  },
  'no-base': {
    releases: ['1.0.0+1', '1.1.0+1'],
    canonical: '1.0.0+1',
    red: { 'cold-test: install base': 'manifest unknown' },
  },
  'red-upgrade': {
    releases: ['1.0.0+1', '1.1.0+1'],
    canonical: '1.0.0+1',
    red: { 'cold-test: upgrade': 'never healthy' },
  },
  'every-tier-but-custom': {
    releases: ['1.0.0+1', '1.1.0+1'],
    canonical: '1.0.0+1',
    skips: { 'cold-test: custom': 'the recipe has no checks' },
  },
  'no-backup': { releases: ['1.0.0+1'], skips: { 'cold-test: backup': 'it keeps no data' } },
  'red-backup': { releases: ['1.0.0+1'], red: { 'cold-test: backup': 'empty' } },
  'red-restore': { releases: ['1.0.0+1'], red: { 'cold-test: restore': 'data lost' } },
  'red-custom': { releases: ['1.0.0+1'], red: { 'cold-test: custom': 'exit status 1' } },
  'with-dependencies': { releases: ['1.0.0+1'], deps: ['keycloak', 'gitea'] },
  'dependency-error': {
    releases: ['1.0.0+1'],
    deps: ['keycloak'],
    faults: { 'dependency keycloak': { type: 'Dependency' } },
  },
  'promote-failed': { releases: ['1.0.0+1'], red: { promote: 'read-only' } },
  'mirror-sync-error': { faults: { 'mirror-sync': { type: 'TagMoved' } } },
  retried: { releases: ['1.0.0+1'], faults: { 'cold-test: install': { type: 'Registry', times: 1 } } },
  'teardown-failed': { releases: ['1.0.0+1'], faults: { teardown: { type: 'Daemon' } } },
  'settle-failed': { releases: ['1.0.0+1'], faults: { settle: { type: 'Daemon' } } },
  'lint-failed': { releases: ['1.0.0+1'], faults: { 'cold-test: lint': { type: 'Disk' } } },
  'record-failed': { releases: ['1.0.0+1'], canonical: '1.0.0+1', faults: { record: { type: 'Disk' } } },
  cancelled: { releases: ['1.0.0+1'], hangs: 'cold-test: install' },
};

/** One recipe per shape of recipeTestWorkflow that is no more than a commit of it and a mode. */
const TESTS: Record<string, FakeRecipe & { quick?: true }> = {
  cold: { ...NEXT },
  'without-base': { head: '1.0.0+1', isOnMain: true },
  'over-main': { head: '1.1.0+1', main: '1.0.0+1' },
  'quick-that-is-cold': { ...NEXT, head: '1.0.0+1', quick: true },
  red: { ...NEXT, red: { 'cold-test: upgrade': 'never healthy' } },
  'no-version': { ...NEXT, head: null },
  gone: { ...NEXT, gone: true },
  unready: { ...NEXT, faults: { 'open test': { type: 'Preflight' } } },
  'with-dependencies': { ...NEXT, deps: ['keycloak', 'gitea'] },
  'record-failed': { ...NEXT, faults: { record: { type: 'Disk' } } },
};
const testRecipe = (shape: string): string => `test-${shape}`;

/** Of sweeps of their own. */
const OTHERS: Record<string, FakeRecipe> = {
  hanging: {
    releases: ['1.0.0+1'],
    hangs: 'cold-test: install',
    pullRequests: { 12: 'f'.repeat(40) },
    head: '1.0.0+1',
    isOnMain: true,
  },
  slow: { releases: ['1.0.0+1'], slow: 'cold-test: install' },
  'ahead-given-up': { releases: ['1.0.0+1'] },
};

const [generation, only = ''] = process.argv.slice(2);
if (!generation || !/^[a-z0-9-]+$/.test(generation)) {
  throw new Error('usage: record.ts <generation> [<beginning of shapes>]');
}
if ((await readdir(FOLDER)).some((name) => name.startsWith(`${generation}-${only}`))) {
  throw new Error(`generation ${generation} is recorded already; histories are kept, so choose another name`);
}
await ensureBuilt(console.log);
quietRuntime();
const server = await startWorkflowServer(await ensureTemporal(console.log));
const host = fakeHost({
  ...SHAPES,
  ...OTHERS,
  ...Object.fromEntries(Object.entries(TESTS).map(([shape, recipe]) => [testRecipe(shape), recipe])),
});

/** Names of this machine and its folders mean nothing to a replay. */
function withoutThisMachine(key: string, value: unknown): unknown {
  return ['identity', 'stackTrace', 'workerInstanceKey'].includes(key) ? '' : value;
}

async function save(shape: string, workflowId: string, runId?: string): Promise<void> {
  if (!shape.startsWith(only)) return;
  const history = await server.client.workflow.getHandle(workflowId, runId).fetchHistory();
  const text = JSON.stringify(JSON.parse(historyToJSON(history), withoutThisMachine));
  await writeFile(path.join(FOLDER, `${generation}-${shape}.json`), `${text}\n`);
  console.log(`${shape}: ${history.events?.length} events`);
}

function startSweep(...recipes: string[]) {
  return server.client.workflow.start<typeof sweepWorkflow>('sweepWorkflow', {
    workflowId: 'sweep',
    taskQueue: TASK_QUEUE,
    args: [{ recipes }],
  });
}

const HEAD = 'f'.repeat(40);

function startTest(workflowId: string, input: TestInput) {
  return server.client.workflow.start<typeof recipeTestWorkflow>('recipeTestWorkflow', {
    workflowId,
    taskQueue: TASK_QUEUE,
    args: [input],
  });
}

/** As comments ask for it, each later than those with a smaller number. */
function asked(recipe: string, comment: number): TestInput {
  const at = new Date(comment * 1000).toISOString();
  return { recipe, pr: 12, ref: HEAD, request: { comment, by: 'ada', at } };
}

async function recordTests(): Promise<void> {
  for (const [shape, { quick }] of Object.entries(TESTS)) {
    const input = { recipe: testRecipe(shape), ref: HEAD, ...(quick ? { quick } : {}) };
    await (await startTest(`test-${shape}`, input)).result().catch(() => undefined);
    await save(`test-${shape}`, `test-${shape}`);
  }
  const unknown = await startTest('test-unknown', { recipe: 'unknown' });
  await unknown.result().catch(() => undefined);
  await save('test-unknown', 'test-unknown');
  const hanging = await startTest('test-cancelled', { recipe: 'hanging', pr: 12 });
  await host.reached('hanging cold-test: install');
  // While it has the host: one that leaves, one that a later one supersedes, and that one.
  const left = await startTest('test-left', { recipe: 'held', ref: HEAD });
  const older = await startTest('test-superseded', asked('test-cold', 1));
  host.forgeAway = 1;
  const newer = await startTest('test-answered', asked('test-cold', 2));
  await older.result();
  const granting = server.client.workflow.getHandle(hostWorkflowId(HOST));
  const { runId } = await granting.describe();
  await left.cancel();
  await left.result().catch(() => undefined);
  await hanging.cancel();
  await hanging.result().catch(() => undefined);
  await newer.result();
  for (const shape of ['cancelled', 'left', 'superseded', 'answered'])
    await save(`test-${shape}`, `test-${shape}`);
  await granting.result();
  await save('test-host', hostWorkflowId(HOST), runId);
}

await server.withWorker(host, async () => {
  await recordTests();
  if (only.startsWith('test')) return;

  const sweep = await startSweep(...Object.keys(SHAPES));
  await host.reached('cancelled cold-test: install');
  await sweep.cancel();
  await sweep.result().catch(() => undefined);
  await save('sweep-begun', 'sweep', sweep.firstExecutionRunId);
  await save('sweep-continued-and-cancelled', 'sweep');
  for (const shape of Object.keys(SHAPES)) await save(`recipe-${shape}`, recipeWorkflowId('sweep', shape));

  // What is pulled ahead takes longer than the test beside it.
  host.ahead.does = 'hangs';
  await (await startSweep('ahead-given-up', 'held')).result();
  await save('recipe-ahead-given-up', recipeWorkflowId('sweep', 'ahead-given-up'));
  host.ahead.does = 'pulls';

  // A budget that is over while the sweep is paused.
  host.sweepMs = 4_000;
  const paused = await startSweep('no-new-version', 'never-released');
  await paused.executeUpdate(pauseUpdate);
  await paused.result();
  await save('sweep-paused', 'sweep');

  host.sweepMs = 60 * 60_000;

  // What a run left, and nobody can reap.
  host.faults['reap'] = { type: 'Daemon' };
  await (await startSweep('teardown-failed', 'held')).result();
  await save('sweep-reap-failed', 'sweep');
  delete host.faults['reap'];

  // An operator pauses and resumes, skips one recipe and aborts while another one runs.
  const aborted = await startSweep('hanging', 'held', 'no-new-version');
  await host.reached('hanging cold-test: install');
  await aborted.executeUpdate(pauseUpdate);
  await aborted.executeUpdate(resumeUpdate);
  await aborted.executeUpdate(skipUpdate, { args: [{ recipe: 'held' }] });
  await aborted.executeUpdate(abortUpdate);
  await aborted.result();
  await save('sweep-steered', 'sweep', aborted.firstExecutionRunId);
  await save('sweep-aborted', 'sweep');

  // Another sweep is refused, and something else goes between two recipes.
  const gaveWay = await startSweep('slow', 'no-new-version');
  await host.reached('slow cold-test: install');
  await server.client.workflow.execute('sweepWorkflow', {
    workflowId: 'second',
    taskQueue: TASK_QUEUE,
    args: [{ recipes: ['held'] }],
  });
  await save('sweep-refused', 'second');
  await server.client.workflow.execute(CANONICAL_WORKFLOW, {
    workflowId: 'canonical',
    taskQueue: TASK_QUEUE,
    args: [{ recipe: 'held', change: 'forget' }],
  });
  await save('canonical', 'canonical');
  await gaveWay.result();
  await save('sweep-gave-way', 'sweep', gaveWay.firstExecutionRunId);
  await save('sweep-gave-way-and-continued', 'sweep');
  await server.client.workflow.getHandle(hostWorkflowId(HOST)).result();
  await save('host', hostWorkflowId(HOST));

  // Reset after its end, to its beginning.
  const ended = server.client.workflow.getHandle('sweep');
  const { runId } = await ended.describe();
  const { events } = await ended.fetchHistory();
  const firstTask = events?.find((event) => event.workflowTaskCompletedEventAttributes);
  await server.client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: 'sweep', runId },
    workflowTaskFinishEventId: firstTask?.eventId ?? null,
    requestId: 'reset',
    reason: 'to record it',
  });
  await ended.result();
  await save('sweep-reset', 'sweep');

  await server.client.workflow.execute<typeof planWorkflow>('planWorkflow', {
    workflowId: 'plan',
    taskQueue: TASK_QUEUE,
    args: [{ recipes: ['newer-release', 'mirror-sync-error'] }],
  });
  await save('plan', 'plan');
  await server.client.workflow.execute<typeof planWorkflow>('planWorkflow', {
    workflowId: 'plan-of-all',
    taskQueue: TASK_QUEUE,
    args: [{}],
  });
  await save('plan-of-all', 'plan-of-all');
  await server.client.workflow.execute<typeof ledgerWorkflow>('ledgerWorkflow', {
    workflowId: 'ledger',
    taskQueue: TASK_QUEUE,
    args: [{ recipe: 'no-new-version', tag: '1.0.0+1', reason: 'only the notes changed', by: 'ada@ci' }],
  });
  await save('ledger', 'ledger');
  host.services = {
    upgraded: { at: '1.0.0+1', newer: [{ version: '1.1.0+1' }] },
    'rolled-back': { at: '1.0.0+1', newer: [{ version: '1.1.0+1', unhealthy: 'no answer' }] },
    held: { at: '1.0.0+1', newer: [{ version: '2.0.0+2', held: 'Breaking.' }] },
    broken: { at: '1.0.0+1', faults: { observe: { type: 'RecordUnreadable' } } },
    down: { at: '1.0.0+1', down: true },
  };
  const reconcile = await server.client.workflow.start(RECONCILE_WORKFLOW, {
    workflowId: 'reconcile',
    taskQueue: TASK_QUEUE,
    args: [{}],
  });
  await host.reached('down tell recovered');
  await host.reached('sweep give back');
  await reconcile.executeUpdate(approveUpdate, { args: [{ service: 'held', version: '2.0.0+2' }] });
  await reconcile.result();
  await save('reconcile', 'reconcile');
  await server.client.workflow.execute(SERVICE_WORKFLOW, {
    workflowId: 'service',
    taskQueue: TASK_QUEUE,
    args: [{ service: 'held', order: { order: 'hold', reason: 'a conference' }, by: 'ada@ci' }],
  });
  await save('service', 'service');
  await server.client.workflow.execute<typeof reapWorkflow>('reapWorkflow', {
    workflowId: 'reap',
    taskQueue: TASK_QUEUE,
  });
  await save('reap', 'reap');
});
await server.close();
