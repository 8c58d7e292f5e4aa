import { randomUUID } from 'node:crypto';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { progressQuery, type SweepResult } from '../../workflows/protocol.ts';
import type { FakeHost } from './fake-host.ts';
import { TASK_QUEUE, type WorkflowServer } from './server.ts';

export type Sweep = WorkflowHandleWithFirstExecutionRunId<typeof sweepWorkflow>;

/** Sweeps against fake hosts. */
export function sweepsOn(server: WorkflowServer) {
  /** Starts a sweep, and lets the body watch it to its end. */
  async function withSweep(
    host: FakeHost,
    input: unknown,
    body: (sweep: Sweep) => Promise<void>,
  ): Promise<void> {
    await server.withWorker(host, async () => {
      const sweep = await server.client.workflow.start<typeof sweepWorkflow>('sweepWorkflow', {
        workflowId: `sweep-${randomUUID()}`,
        taskQueue: TASK_QUEUE,
        args: [input as { recipes?: string[] }],
      });
      await body(sweep);
    });
  }

  async function sweepOf(host: FakeHost, input: unknown = {}): Promise<SweepResult> {
    let result: SweepResult | undefined;
    await withSweep(host, input, async (sweep) => {
      result = await sweep.result();
    });
    return result as SweepResult;
  }

  const progressOf = (sweep: string) => server.client.workflow.getHandle(sweep).query(progressQuery);

  return { withSweep, sweepOf, progressOf };
}

export const outcomes = (result: SweepResult): Record<string, string> =>
  Object.fromEntries(result.recipes.map(({ recipe, outcome }) => [recipe, outcome]));
