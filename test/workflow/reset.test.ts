import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { recipeWorkflowId, SEARCH_ATTRIBUTES } from '../../workflows/protocol.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { fakeHost } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { TASK_QUEUE } from './server.ts';

/** What `temporal workflow reset`, or the button in the UI, does to runs of ours. */

const server = await openWorkflowServer();

/** Back to the end of the first workflow task, which every run has. */
async function reset(workflowId: string): Promise<void> {
  const handle = server.client.workflow.getHandle(workflowId);
  const { runId } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const first = events?.find((event) => event.workflowTaskCompletedEventAttributes);
  await server.client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId, runId },
    reason: 'test',
    requestId: randomUUID(),
    workflowTaskFinishEventId: first?.eventId ?? null,
  });
}

const start = () =>
  server.client.workflow.start<typeof sweepWorkflow>('sweepWorkflow', {
    workflowId: `sweep-${randomUUID()}`,
    taskQueue: TASK_QUEUE,
    args: [{}],
  });

test('a sweep that is reset while a recipe runs ends that run before it runs the recipe again', async () => {
  const host = fakeHost({ ghost: { releases: ['1.0.0+1'], hangs: 'cold-test: install' } });
  await server.withWorker(host, async () => {
    const sweep = await start();
    await host.reached('ghost cold-test: install');
    const recipe = server.client.workflow.getHandle(recipeWorkflowId(sweep.workflowId, 'ghost'));
    const { runId: old } = await recipe.describe();
    host.recipes['ghost'] = { releases: ['1.0.0+1'] };
    await reset(sweep.workflowId);
    const result = await server.client.workflow.getHandle<typeof sweepWorkflow>(sweep.workflowId).result();
    expect(result.recipes).toMatchObject([{ recipe: 'ghost', outcome: 'PASS (promoted 1.0.0+1)' }]);
    const before = await server.client.workflow.getHandle(recipe.workflowId, old).describe();
    expect(before.status.name).toBe('CANCELLED');
    expect(host.results.get(`${sweep.workflowId}/ghost`)?.outcome.kind).toBe('PASS');
  });
});

test('a recipe run keeps its name when it is reset after its end', async () => {
  const host = fakeHost({ ghost: { releases: ['1.0.0+1'] } });
  await server.withWorker(host, async () => {
    const sweep = await start();
    await sweep.result();
    const workflowId = recipeWorkflowId(sweep.workflowId, 'ghost');
    const before = host.results.get(workflowId)?.workflow;
    host.results.clear();
    await reset(workflowId);
    await server.client.workflow.getHandle(workflowId).result();
    expect(host.results.get(workflowId)?.workflow).toEqual(before);
  });
});

test('a sweep that is reset after its end tells the truth of now', async () => {
  const host = fakeHost({ ghost: { releases: ['1.0.0+1'] } });
  await server.withWorker(host, async () => {
    const sweep = await start();
    await sweep.result();
    host.recipes['ghost'] = { releases: ['1.0.0+1'], canonical: '1.0.0+1' };
    await reset(sweep.workflowId);
    const again = server.client.workflow.getHandle<typeof sweepWorkflow>(sweep.workflowId);
    expect((await again.result()).recipes).toMatchObject([{ outcome: 'SKIP no-new-version' }]);
  });
});

test('a run that is reset after its record was written says what it promoted', async () => {
  const host = fakeHost({ ghost: { releases: ['1.0.0+1'] } });
  await server.withWorker(host, async () => {
    const sweep = await start();
    await sweep.result();
    const workflowId = recipeWorkflowId(sweep.workflowId, 'ghost');
    await reset(workflowId);
    const result = await server.client.workflow.getHandle(workflowId).result();
    expect(host.calls.filter((call) => call === 'ghost promote')).toHaveLength(1);
    expect(result).toMatchObject({ outcome: { kind: 'PASS', promoted: '1.0.0+1' } });
    expect(host.results.get(workflowId)?.outcome).toEqual({ kind: 'PASS', promoted: '1.0.0+1' });
    const { typedSearchAttributes } = await server.client.workflow.getHandle(workflowId).describe();
    expect(typedSearchAttributes.get(SEARCH_ATTRIBUTES.RecipeOutcome)).toBe('PASS');
  });
});
