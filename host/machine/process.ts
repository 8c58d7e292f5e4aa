import type { ChildProcess } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { execa, type Options } from 'execa';
import { passBoundary } from './boundary.ts';

/**
 * The one module that starts processes, but for those that stay (child.ts) and git's (host/git/git-at.ts). Arguments
 * are arrays and there is no shell; the environment is the one declared in the configuration plus what the caller
 * names, never the worker's own; secrets travel by standard input and are masked in whatever a failure quotes.
 */

export interface Command {
  /** A program's name, looked up on the declared path, or an absolute path. */
  file: string;
  args: readonly string[];
  cwd?: string;
  /** Added to the declared environment. */
  env?: Readonly<Record<string, string>>;
  /** A text, or an open file of ours that the program shares: its standard input. */
  input?: string | FileHandle;
  /** Texts that must not be quoted, whatever the program prints. */
  secrets?: readonly string[];
  /** Standard output goes to this file instead of memory. */
  stdoutFile?: string;
  /** What goes to standard error is answered with standard output, in the order it came. */
  merged?: true;
  /** A folder whose programs are found before those of the declared path. */
  toolsFirst?: string;
  /** Milliseconds; the whole process group is ended when they have passed. */
  timeoutMs?: number;
}

export interface Finished {
  /** Exit status; null when a signal ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
}

/** What ended a command that failed: itself with a bad status, or else. */
export type Ending = 'status' | 'not started' | 'deadline' | 'signal' | 'too much output';

/** A command that could not be started, was ended by a signal or a deadline, or left with a bad status. */
export class CommandFailed extends Error {
  readonly command: string;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly how: string;
  readonly ending: Ending;

  constructor(command: string, finished: Finished, how: string, ending: Ending = 'status') {
    const last = lastLines(finished.stderr || finished.stdout, 12);
    super(`${command}: ${how}${last ? `\n${last}` : ''}`);
    this.name = 'CommandFailed';
    this.command = command;
    this.status = finished.status;
    this.stdout = finished.stdout;
    this.stderr = finished.stderr;
    this.how = how;
    this.ending = ending;
  }
}

export interface ProcessRunner {
  /** What its commands are run with, for one that is started elsewhere (host/git/git-at.ts). */
  readonly settings: ProcessSettings;
  /** Runs to the end and answers whatever the exit status; throws CommandFailed when there is none. */
  run(command: Command): Promise<Finished>;
  /** Like run, but a status other than 0 throws CommandFailed too. Answers standard output. */
  output(command: Command): Promise<string>;
}

export interface ProcessSettings {
  /** The declared environment: the same whoever starts the worker. */
  environment: Readonly<Record<string, string>>;
  /** Ends every running command (its whole process group) when aborted. */
  signal?: AbortSignal;
}

const KILL_AFTER_MS = 5_000;
/** In characters, of each of a command's outputs. */
export const LARGEST_OUTPUT = 32 * 1024 * 1024;

export function processRunner(settings: ProcessSettings): ProcessRunner {
  async function run(command: Command): Promise<Finished> {
    const secrets = command.secrets ?? [];
    const shown = shownCommand(command);
    const { toolsFirst } = command;
    const path = settings.environment['PATH'] ?? '';
    const options = {
      env: {
        ...settings.environment,
        ...(toolsFirst === undefined ? {} : { PATH: `${toolsFirst}:${path}` }),
        ...command.env,
      },
      extendEnv: false,
      reject: false,
      detached: true,
      stripFinalNewline: false,
      maxBuffer: LARGEST_OUTPUT,
      all: command.merged ?? false,
      stdio: [
        inputOf(command),
        command.stdoutFile === undefined ? 'pipe' : { file: command.stdoutFile },
        'pipe',
      ],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    } satisfies Options;
    settings.signal?.throwIfAborted();
    const child = execa(command.file, [...command.args], options);
    const end = groupKiller(child);
    if (child.pid !== undefined) passBoundary('command.after-start', { group: child.pid });
    let late = false;
    const deadline =
      command.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            late = true;
            end.kill();
          }, command.timeoutMs);
    const onAbort = (): void => end.kill();
    settings.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const result = await child;
      const finished: Finished = {
        status: result.exitCode ?? null,
        stdout: redact(text(command.merged ? result.all : result.stdout), secrets),
        stderr: redact(text(command.merged ? '' : result.stderr), secrets),
      };
      settings.signal?.throwIfAborted();
      if (late) {
        const how = `not finished after ${command.timeoutMs} ms, ended`;
        throw new CommandFailed(shown, finished, how, 'deadline');
      }
      if (result.isMaxBuffer) {
        const how = `printed more than ${LARGEST_OUTPUT} characters, ended`;
        throw new CommandFailed(shown, finished, how, 'too much output');
      }
      if (result.signal) throw new CommandFailed(shown, finished, `ended by ${result.signal}`, 'signal');
      if (result.exitCode === undefined) {
        const how = (result.cause as Error | undefined)?.message ?? 'could not be started';
        throw new CommandFailed(shown, finished, how, 'not started');
      }
      return finished;
    } finally {
      clearTimeout(deadline);
      end.forget();
      settings.signal?.removeEventListener('abort', onAbort);
    }
  }

  return {
    settings,
    run,
    async output(command) {
      const finished = await run(command);
      if (finished.status === 0) return finished.stdout;
      throw new CommandFailed(shownCommand(command), finished, `exit status ${finished.status}`);
    },
  };
}

function inputOf({ input }: Command): 'ignore' | Buffer | 3 {
  if (input === undefined) return 'ignore';
  // execa takes any open file; its types know those of a shell only.
  return typeof input === 'string' ? Buffer.from(input) : (input.fd as 3);
}

function shownCommand({ file, args, secrets }: Command): string {
  return redact([file, ...args].join(' '), secrets ?? []);
}

/**
 * execa's own kill reaches the direct child only; a command's helpers share its process group. One that left the
 * group and still holds the command's output open is not waited for.
 */
function groupKiller(child: Pick<ChildProcess, 'pid' | 'stdout' | 'stderr'>): {
  kill(): void;
  forget(): void;
} {
  const { pid } = child;
  let force: NodeJS.Timeout | undefined;
  const send = (signal: NodeJS.Signals): void => {
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // the group has ended
    }
  };
  return {
    kill() {
      send('SIGTERM');
      // A deadline and an abort may both come; a second timer would outlive the command, and strike whoever has
      // its group's number by then.
      force ??= setTimeout(() => {
        send('SIGKILL');
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, KILL_AFTER_MS);
    },
    forget() {
      clearTimeout(force);
    },
  };
}

function text(output: unknown): string {
  return typeof output === 'string' ? output : '';
}

/** Masks the secrets in a text. */
export function redact(quoted: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => (secret ? shown.replaceAll(secret, '***') : shown), quoted);
}

function lastLines(output: string, count: number): string {
  return output.trimEnd().split('\n').slice(-count).join('\n');
}
