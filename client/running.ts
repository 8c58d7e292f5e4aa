import type { WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, SWEEP_WORKFLOW, taskQueueOf, TEST_WORKFLOW } from '../workflows/protocol.ts';
import type { TemporalServer } from './connect.ts';
import { CommandStopped } from './failure.ts';

export interface RunningSweep {
  sweep: string;
  started: Date;
}

export interface RunningTest {
  test: string;
  recipe: string;
  started: Date;
}

/** The sweeps of a host that are open on the server now, oldest first. */
export async function runningSweeps(
  server: Pick<TemporalServer, 'client'>,
  host: string,
): Promise<RunningSweep[]> {
  const running = await runningOf(server, host, SWEEP_WORKFLOW);
  return running.map(({ workflowId, startTime }) => ({ sweep: workflowId, started: startTime }));
}

/** The same of tests, those that wait for their turn among them. */
export async function runningTests(
  server: Pick<TemporalServer, 'client'>,
  host: string,
): Promise<RunningTest[]> {
  const running = await runningOf(server, host, TEST_WORKFLOW);
  return running.map(({ workflowId, startTime, typedSearchAttributes }) => {
    const recipe = typedSearchAttributes.get(SEARCH_ATTRIBUTES.Recipe) ?? '';
    return { test: workflowId, recipe, started: startTime };
  });
}

async function runningOf({ client }: Pick<TemporalServer, 'client'>, host: string, type: string) {
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueueOf(host)}'`;
  const found: WorkflowExecutionInfo[] = [];
  for await (const one of client.workflow.list({ query })) found.push(one);
  return found.sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
}

/** The sweep that an operator means: the one they named, else the only one that runs. */
export function meantSweep(asked: string | undefined, running: readonly RunningSweep[]): string {
  if (asked !== undefined) return asked;
  const [only, ...others] = running;
  if (!only) throw new CommandStopped('no sweep is running');
  if (others.length > 0) {
    const names = running.map(({ sweep }) => sweep).join(', ');
    throw new CommandStopped(`several sweeps are running, name one: ${names}`);
  }
  return only.sweep;
}
