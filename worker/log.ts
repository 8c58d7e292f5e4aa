import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger } from '@temporalio/worker';
import type { Logger } from 'pino';
import { messageOf } from '../domain/fault.ts';
import { quotable } from '../domain/printable.ts';
import { subjectOf } from '../workflows/protocol.ts';

/** Has what Temporal's library tells, and what steps tell through it, written to our log. */
export function temporalLogger(log: Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error'>) {
  return new DefaultLogger('INFO', ({ level, message, meta = {} }) => {
    if (isSaidAlready(message, meta)) return;
    const write = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
    log[write[level]](inOurWords(meta), message);
  });
}

/** The library's own line about a step that failed: step-log.ts has said it, with its outcome. */
function isSaidAlready(message: string, meta: Readonly<Record<string, unknown>>): boolean {
  return message === 'Activity failed' && meta['sdkComponent'] === 'worker';
}

/** What the library adds to each line and nobody reads: where it looks itself, and IDs that the UI shows. */
const NOISE = new Set([
  'activityId',
  'activityRunId',
  'isLocal',
  'namespace',
  'runId',
  'sdkComponent',
  'taskQueue',
  'taskToken',
  'workflowRunId',
]);

/** What a line of the library is about, in the words of this project. An error is its type and its message. */
export function inOurWords(meta: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { workflowId, workflowType, activityType, error, ...rest } = meta;
  const subject =
    typeof workflowId === 'string' ? subjectOf({ type: String(workflowType), id: workflowId }) : {};
  return {
    ...(activityType === undefined ? {} : { step: activityType }),
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !NOISE.has(name))),
    // Whatever a step of a run is told to see to, it is that run's story.
    ...subject,
    ...(error === undefined ? {} : errorInWords(error)),
  };
}

/** An error's type and message; of one that nobody expected also where it came from. */
export function errorInWords(error: unknown): { type?: string; error: string; stack?: string } {
  const said = { error: quotable(messageOf(error)) };
  if (error instanceof ApplicationFailure) return { type: error.type ?? error.name, ...said };
  if (!(error instanceof Error) || isPassedOn(error)) return said;
  return { type: error.name, ...said, stack: quotable(error.stack ?? '') };
}

/**
 * What a step failed with, as its workflow fails with it in turn. It comes out of the workflow's thread as a plain error, of
 * which the first word of its stack alone says what it was.
 */
function isPassedOn({ stack = '' }: Error): boolean {
  return /^(?:Application|Activity|ChildWorkflow|Cancelled|Terminated|Timeout)Failure\b/.test(stack);
}
