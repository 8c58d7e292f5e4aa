import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/client';
import { taskQueueOf } from '../workflows/protocol.ts';
import type { TemporalServer } from './connect.ts';
import { EXIT } from './failure.ts';
import type { Ended } from './follow.ts';
import type { Terminal } from './render/terminal.ts';
import type { Session } from './session.ts';
import { stopSignal } from './signals.ts';

/** What is started by a command, and followed until it ends. */

interface Start {
  host: string;
  type: string;
  /** The workflow ID of one that is started then: its second is in it. */
  idAt(now: Date): string;
  input: object;
  /** Beside it in the Temporal UI. */
  summary: string;
}

/** Starts it, and answers its ID. Where another one has the name of this second already, it takes the next second's. */
export async function startByHand(
  { client }: TemporalServer,
  { host, type, idAt, input, summary }: Start,
): Promise<string> {
  for (;;) {
    const now = new Date();
    const workflowId = idAt(now);
    try {
      await client.workflow.start(type, {
        workflowId,
        taskQueue: taskQueueOf(host),
        args: [input],
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: summary,
      });
      return workflowId;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await sleep(1000 - now.getMilliseconds());
    }
  }
}

interface Followed<Result> {
  id: string;
  url: string;
  /** Standard output is kept for a document; progress goes to standard error. */
  json: boolean;
  follow(terminal: Pick<Terminal, 'live' | 'out'>, signal: AbortSignal): Promise<Ended<Result>>;
}

/** Shows it until it ends. Null where somebody left before that, who is told how to find it again. */
export async function followByHand<Result>(
  session: Session,
  { id, url, json, follow }: Followed<Result>,
): Promise<Exclude<Ended<Result>, { interrupted: true }> | null> {
  const { terminal } = session;
  const progress = json ? { live: null, out: terminal.err } : terminal;
  progress.out(`${id} started: ${url}`);
  const stop = stopSignal();
  const end = await follow(progress, stop.signal);
  stop.dispose();
  if (!('interrupted' in end)) return end;
  terminal.err(
    `${id} goes on without this terminal. Watch it: recipe-sweep status, or ${url}. Stop it: recipe-sweep abort ${id}`,
  );
  session.exitStatus = EXIT.interrupted;
  return null;
}
