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

/** The last lines that a service wrote, for the message of its failure. */
export async function lastLogLines({ logFile }: Service, count: number): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
