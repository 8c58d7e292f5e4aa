import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { LARGEST_OUTPUT, type Ending } from '../machine/process.ts';
import { end, withVariable, type ProcessName } from '../machine/processes.ts';

/**
 * In the environment of each git, and so of whatever that starts (a remote's helper, the pack's indexer): one value for
 * each. The mark of commands (host/machine/processes.ts) is of all that an attempt runs, so that to end one git by it
 * would end the others.
 */
const MARK = 'RECIPE_SWEEP_GIT';

/** For a git that is told to end: it removes its lock files. */
const GRACE_MS = 5_000;
const POLL_MS = 50;

/** What ends one git before its time. */
export interface Stop {
  /** For its environment. */
  env: Record<string, string>;
  /** For simple-git, which interrupts the git itself, and nothing that it started. */
  signal: AbortSignal;
  /** Counts what it writes. */
  watch(outputs: readonly Readable[]): void;
  /** Why it was ended; undefined while it was not. */
  readonly why: { how: string; ending: Ending } | undefined;
  /** To be called when it has ended. Answers when nothing is left of one that was ended before its time. */
  over(): Promise<void>;
}

/** Ends it at the deadline (in milliseconds), with the attempt, and when it writes too much. */
export function createStop(deadlineMs: number, attempt: AbortSignal | undefined): Stop {
  const mark = randomUUID();
  const stopping = new AbortController();
  let outputs: readonly Readable[] = [];
  let why: Stop['why'];
  let ended: Promise<void> | undefined;

  async function endAll(): Promise<void> {
    await endMarked(mark);
    // Whoever took the mark off and holds the output open is not waited for.
    for (const output of outputs) output.destroy();
  }

  function stop(how: string, ending: Ending): void {
    if (why) return;
    why = { how, ending };
    stopping.abort();
    ended = endAll();
  }

  const deadline = setTimeout(
    () => stop(`not finished after ${deadlineMs} ms, ended`, 'deadline'),
    deadlineMs,
  );
  const withAttempt = (): void => stop('ended with its attempt', 'signal');
  attempt?.addEventListener('abort', withAttempt, { once: true });

  return {
    env: { [MARK]: mark },
    signal: stopping.signal,
    watch(streams) {
      outputs = streams;
      let bytes = 0;
      for (const stream of streams) {
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > LARGEST_OUTPUT)
            stop(`printed more than ${LARGEST_OUTPUT} bytes, ended`, 'too much output');
        });
      }
    },
    get why() {
      return why;
    },
    async over() {
      clearTimeout(deadline);
      attempt?.removeEventListener('abort', withAttempt);
      await ended;
    },
  };
}

async function endMarked(mark: string): Promise<void> {
  const told = new Set<number>();
  for (const since = performance.now(); ; await sleep(POLL_MS)) {
    const left = (await withVariable(MARK)).filter(({ value }) => value === mark);
    if (left.length === 0) return;
    if (performance.now() - since >= GRACE_MS) await Promise.all(left.map(end));
    else for (const one of left) if (!told.has(one.pid)) tell(one, told);
  }
}

function tell({ pid }: ProcessName, told: Set<number>): void {
  told.add(pid);
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
