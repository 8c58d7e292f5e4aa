import type { Command } from 'commander';
import { taskQueueOf } from '../workflows/protocol.ts';
import { requireWorker } from './connect.ts';
import { workflowUrl } from '../host/config/temporal-ui.ts';
import { CommandStopped, EXIT } from './failure.ts';
import { explain } from './temporal-failure.ts';
import { safeLines } from './render/terminal.ts';
import { withServer, type Session } from './session.ts';
import { stopSignal } from './signals.ts';

/** A workflow that does one small thing for an operator, and answers what was done. */
export interface Errand {
  workflow: string;
  /** What its workflow ID begins with. */
  name: string;
  input: unknown;
  summary: string;
}

const PATIENCE_MS = 3_000;

/** Has the worker do it, and prints what it answers. */
export async function askWorker(session: Session, command: Command, errand: Errand): Promise<void> {
  const { workflow, name, input, summary } = errand;
  await withServer(session, command, async (server, config) => {
    await requireWorker(server, config.host);
    const workflowId = `${name}-${config.host}-${new Date().toISOString()}`;
    try {
      const asked = await server.client.workflow.start<(asked: unknown) => Promise<string>>(workflow, {
        workflowId,
        taskQueue: taskQueueOf(config.host),
        args: [input],
        staticSummary: summary,
      });
      const stop = stopSignal();
      const waiting = setTimeout(
        () =>
          session.terminal.err(`${workflowId}: accepted; what has ${config.host} now: recipe-sweep status`),
        PATIENCE_MS,
      );
      try {
        const left = new Promise<null>((resolve) => {
          stop.signal.addEventListener('abort', () => resolve(null), { once: true });
        });
        const result = asked.result();
        // Whoever leaves closes the connection under it.
        result.catch(() => undefined);
        const done = await Promise.race([result, left]);
        if (done !== null) session.terminal.out(safeLines(done));
        else {
          session.terminal.err(
            `${workflowId} goes on without this terminal. Stop it: temporal workflow cancel --namespace ${server.namespace} --workflow-id ${workflowId}`,
          );
          session.exitStatus = EXIT.interrupted;
        }
      } finally {
        clearTimeout(waiting);
        stop.dispose();
      }
    } catch (error) {
      throw new CommandStopped(`${explain(error)}\ntemporal  ${workflowUrl(config, workflowId)}`);
    }
  });
}
