import { SWEEP_WORKFLOW, taskQueueOf } from '../workflows/protocol.ts';
import type { TemporalServer } from './connect.ts';
import { CommandStopped } from './failure.ts';

export interface RunningSweep {
  sweep: string;
  started: Date;
}

/** The sweeps of a host that are open on the server now, oldest first. */
export async function runningSweeps(
  { client }: Pick<TemporalServer, 'client'>,
  host: string,
): Promise<RunningSweep[]> {
  const found: RunningSweep[] = [];
  const query = `WorkflowType = '${SWEEP_WORKFLOW}' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueueOf(host)}'`;
  for await (const { workflowId, startTime } of client.workflow.list({ query })) {
    found.push({ sweep: workflowId, started: startTime });
  }
  return found.sort((a, b) => a.started.getTime() - b.started.getTime());
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
