import type { Command } from 'commander';
import { taskQueueOf } from '../workflows/protocol.ts';
import { requireWorker, workflowUrl } from './connect.ts';
import { CommandStopped, explain } from './failure.ts';
import { safeLines } from './render/terminal.ts';
import { withServer, type Session } from './session.ts';

/** A workflow that does one small thing for an operator, and answers what was done. */
export interface Errand {
  workflow: string;
  /** What its workflow ID begins with. */
  name: string;
  input: unknown;
  summary: string;
}

/** Has the worker do it, and prints what it answers. */
export async function askWorker(session: Session, command: Command, errand: Errand): Promise<void> {
  const { workflow, name, input, summary } = errand;
  await withServer(session, command, async (server, config) => {
    await requireWorker(server, config.host);
    const workflowId = `${name}-${config.host}-${new Date().toISOString()}`;
    try {
      const done = await server.client.workflow.execute<(asked: unknown) => Promise<string>>(workflow, {
        workflowId,
        taskQueue: taskQueueOf(config.host),
        args: [input],
        staticSummary: summary,
      });
      session.terminal.out(safeLines(done));
    } catch (error) {
      throw new CommandStopped(`${explain(error)}\ntemporal  ${workflowUrl(config, workflowId)}`);
    }
  });
}
