import { execa, type Options } from 'execa';
import { passBoundary } from './boundary.ts';

/**
 * The one module that starts processes. Arguments are arrays and there is no shell; the environment is the
 * one declared in the configuration plus what the caller names, never the worker's own; secrets travel by
 * standard input and are masked in whatever a failure quotes.
 */

export interface Command {
  /** A program's name, looked up on the declared path, or an absolute path. */
  file: string;
  args: readonly string[];
  cwd?: string;
  /** Added to the declared environment. */
  env?: Readonly<Record<string, string>>;
  input?: string;
  /** Given to the program on file descriptor 3, where no process listing shows it. */
  secretInput?: string;
  /** Texts that must not be quoted, whatever the program prints. */
  secrets?: readonly string[];
  /** Standard output goes to this file instead of memory. */
  stdoutFile?: string;
  /** Milliseconds; the whole process group is ended when they have passed. */
  timeoutMs?: number;
}

export interface Finished {
  /** Exit status; null when a signal ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A command that could not be started, was ended by a signal or a deadline, or left with a bad status. */
export class CommandFailed extends Error {
  readonly command: string;
  readonly status: number | null;
  readonly stderr: string;

  constructor(command: string, finished: Finished, how: string) {
    const last = lastLines(finished.stderr || finished.stdout, 12);
    super(`${command}: ${how}${last ? `\n${last}` : ''}`);
    this.name = 'CommandFailed';
    this.command = command;
    this.status = finished.status;
    this.stderr = finished.stderr;
  }
}

export interface ProcessRunner {
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
const LARGEST_OUTPUT = 32 * 1024 * 1024;

export function processRunner(settings: ProcessSettings): ProcessRunner {
  async function run(command: Command): Promise<Finished> {
    const secrets = command.secrets ?? [];
    const shown = shownCommand(command);
    const options = {
      env: { ...settings.environment, ...command.env },
      extendEnv: false,
      reject: false,
      detached: true,
      cleanup: true,
      stripFinalNewline: false,
      maxBuffer: LARGEST_OUTPUT,
      stdio: [
        command.input === undefined ? 'ignore' : Buffer.from(command.input),
        command.stdoutFile === undefined ? 'pipe' : { file: command.stdoutFile },
        'pipe',
        ...(command.secretInput === undefined ? [] : [Buffer.from(command.secretInput)]),
      ],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    } satisfies Options;
    settings.signal?.throwIfAborted();
    const child = execa(command.file, [...command.args], options);
    const end = groupKiller(child.pid);
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
        stdout: redact(text(result.stdout), secrets),
        stderr: redact(text(result.stderr), secrets),
      };
      settings.signal?.throwIfAborted();
      if (late) throw new CommandFailed(shown, finished, `not finished after ${command.timeoutMs} ms, ended`);
      if (result.isMaxBuffer) {
        throw new CommandFailed(shown, finished, `printed more than ${LARGEST_OUTPUT} characters, ended`);
      }
      if (result.exitCode === undefined) {
        const how = result.signal
          ? `ended by ${result.signal}`
          : (result.cause as Error | undefined)?.message;
        throw new CommandFailed(shown, finished, how ?? 'could not be started');
      }
      return finished;
    } finally {
      clearTimeout(deadline);
      end.forget();
      settings.signal?.removeEventListener('abort', onAbort);
    }
  }

  return {
    run,
    async output(command) {
      const finished = await run(command);
      if (finished.status === 0) return finished.stdout;
      throw new CommandFailed(shownCommand(command), finished, `exit status ${finished.status}`);
    },
  };
}

function shownCommand({ file, args, secrets }: Command): string {
  return redact([file, ...args].join(' '), secrets ?? []);
}

/** execa's own kill reaches the direct child only; a command's helpers share its process group. */
function groupKiller(pid: number | undefined): { kill(): void; forget(): void } {
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
      force = setTimeout(() => send('SIGKILL'), KILL_AFTER_MS);
    },
    forget() {
      clearTimeout(force);
    },
  };
}

function text(output: unknown): string {
  return typeof output === 'string' ? output : '';
}

function redact(quoted: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => (secret ? shown.replaceAll(secret, '***') : shown), quoted);
}

function lastLines(output: string, count: number): string {
  return output.trimEnd().split('\n').slice(-count).join('\n');
}
