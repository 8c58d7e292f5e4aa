import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/**
 * A program that runs beside us until we stop it: the development server, a worker of its own. It has a
 * process group of its own, so that Ctrl-C reaches only us and we end it in our order; it never outlives us.
 */
export interface Service {
  pid: number;
  logFile: string;
  /** Answers how it ended; never rejects. */
  ended: Promise<string>;
  /** SIGTERM to its group, SIGKILL when it takes too long; resolves when it has ended. */
  stop(): Promise<void>;
}

export interface ServiceCommand {
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Its output is appended here. */
  logFile: string;
}

const KILL_AFTER_MS = 20_000;

export function startService({ file, args, env, logFile }: ServiceCommand): Service {
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = { file: logFile, append: true };
  const child = execa(file, [...args], {
    env,
    extendEnv: false,
    reject: false,
    detached: true,
    buffer: false,
    stdin: 'ignore',
    stdout: log,
    stderr: log,
  });
  const { pid } = child;
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // the group has ended
    }
  };
  const killWithUs = (): void => signalGroup('SIGKILL');
  process.once('exit', killWithUs);
  const ended = child.then((result) => {
    process.off('exit', killWithUs);
    if (result.signal) return `ended by ${result.signal}`;
    return result.exitCode === undefined ? 'could not be started' : `exit status ${result.exitCode}`;
  });
  return {
    pid: pid ?? 0,
    logFile,
    ended,
    async stop() {
      signalGroup('SIGTERM');
      const late = new AbortController();
      await Promise.race([
        ended,
        sleep(KILL_AFTER_MS, undefined, { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
      signalGroup('SIGKILL');
      await ended;
    },
  };
}

/** When a service is ready, and how long it is waited for. */
export interface Readiness {
  isReady: () => Promise<boolean>;
  /** What is said of one that is not, as in `does not answer`. */
  lack: string;
  withinMs: number;
  everyMs: number;
}

/** The last lines of a log that stand in a message. */
const SHOWN_LINES = 5;

/**
 * Waits until a service is ready, and no longer than until it ends. Null when it is ready; else why it is not, with
 * its log's name and end, to stand in a message behind the name of the service.
 */
export async function whyNotReady(
  service: Service,
  { isReady, lack, withinMs, everyMs }: Readiness,
): Promise<string | null> {
  let ended: string | null = null;
  void service.ended.then((how) => (ended = how));
  const deadline = Date.now() + withinMs;
  // Whoever else answers in its place once it has ended is not it.
  while (ended === null && Date.now() < deadline) {
    if ((await isReady()) && ended === null) return null;
    await sleep(everyMs);
  }
  const why = ended ?? `${lack} after ${withinMs / 1000} s`;
  return `${why}; its log is ${service.logFile}\n${await lastLogLines(service)}`;
}

async function lastLogLines({ logFile }: Service): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
}
