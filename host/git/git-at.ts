import type { Readable } from 'node:stream';
import { GitConstructError, simpleGit, type SimpleGitOptions } from 'simple-git';
import { passBoundary } from '../machine/boundary.ts';
import { CommandFailed, redact, type Finished, type ProcessSettings } from '../machine/process.ts';
import type { GivenCredentials } from './credentials.ts';
import { createStop } from './git-stop.ts';

/**
 * How git is run: by simple-git, with every switch of it that is set, and why. What it cannot do is left to the process
 * runner (host/machine/process.ts), and is all of this:
 *
 * - a fetch, since no file that it writes may be larger than the configuration says: prlimit sets that limit and
 *   becomes git, and simple-git starts no program but git with its arguments;
 * - flock, which is no git (../machine/file-lock.ts).
 *
 * It cannot give a git a process group either: what a git started is found by its mark (git-stop.ts), and Ctrl-C at a
 * worker's own terminal ends its gits as well.
 */

export interface GitCommand {
  /** Of host/git/commands.ts: nothing that others chose is among them. */
  args: readonly string[];
  /** Added to the declared environment. */
  env?: Readonly<Record<string, string>>;
  /** Its standard input, which is empty without. */
  input?: string;
  credentials?: GivenCredentials | null;
  /** Milliseconds from its start until it is ended, with whatever it started. */
  deadlineMs: number;
}

/**
 * Runs git in a folder, and answers what it wrote to standard output. Throws CommandFailed for every end but exit status
 * 0, and what the attempt's signal was aborted with.
 */
export async function gitAt(
  folder: string,
  { args, env, input = '', credentials = null, deadlineMs }: GitCommand,
  { environment, signal }: ProcessSettings,
): Promise<string> {
  signal?.throwIfAborted();
  const secrets = credentials?.secrets ?? [];
  const stop = createStop(deadlineMs, signal);
  let ended: { status: number | null; said: string } | undefined;
  let [stdout, stderr] = [gathered(null), gathered(null)];
  const options: Partial<SimpleGitOptions> = {
    baseDir: folder,
    // Its own time-out is one of silence, and starts anew with each line of progress.
    abort: stop.signal,
    // A git that was killed is one that wrote nothing to it, and a bad status without a message is a good one.
    errors(error, { exitCode, stdErr }) {
      const status: number | null = exitCode;
      ended = { status, said: Buffer.concat(stdErr).toString() };
      return status === 0 ? error : new Error(`exit status ${status}`);
    },
    // An empty one is written too: standard input stays open without.
    input: () => Buffer.from(input),
    allowEnvironment: [
      // Declared: git asks nobody, no configuration counts but ours, and there are no further protocols.
      'GIT_TERMINAL_PROMPT',
      'GIT_CONFIG_NOSYSTEM',
      'GIT_CONFIG_GLOBAL',
      'GIT_ALLOW_PROTOCOL',
      // A checkout's own index.
      'GIT_INDEX_FILE',
      // The credential helper.
      ...(credentials === null ? [] : ['GIT_CONFIG_COUNT', 'GIT_CONFIG_KEY_0', 'GIT_CONFIG_VALUE_0']),
    ],
    unsafe: {
      // core.hooksPath=/dev/null: no repository's hooks are run.
      allowUnsafeHooksPath: true,
      // protocol.ext.allow=never: it only forbids.
      allowUnsafeProtocolOverride: true,
      // GIT_CONFIG_GLOBAL; and --git-dir and --work-tree, so that no repository is looked for in the folders above.
      allowUnsafeConfigPaths: true,
      // --template= with nothing: a new repository gets no hooks.
      allowUnsafeTemplateDir: true,
      // The helper's text is constant, and stands in the environment, where no message quotes it.
      allowUnsafeCredentialHelper: credentials !== null,
      allowUnsafeConfigEnvCount: credentials !== null,
    },
  };
  let refused: unknown;
  try {
    await simpleGit(options)
      .env({ ...environment, ...env, ...credentials?.env, ...stop.env })
      .outputHandler((_git, output, errors) => {
        passBoundary('command.after-start', { marked: stop.env });
        [stdout, stderr] = [gathered(output as Readable), gathered(errors as Readable)];
        stop.watch([output as Readable, errors as Readable]);
        // For a git that wrote nothing it waits another 50 ms, in case of output that comes late: there is none.
        output.once('end', () => output.emit('data', Buffer.alloc(0)));
      })
      .raw([...args]);
  } catch (error) {
    refused = error;
  } finally {
    await Promise.all([stdout.whole, stderr.whole]);
    await stop.over();
  }
  signal?.throwIfAborted();
  const shown = redact(['git', ...args].join(' '), secrets);
  const finished: Finished = {
    status: ended?.status ?? null,
    stdout: redact(stdout.text(), secrets),
    stderr: redact(stderr.text(), secrets),
  };
  if (stop.why) throw new CommandFailed(shown, finished, stop.why.how, stop.why.ending);
  if (ended === undefined) {
    // Its folder is gone; or one of its guards is closed, which is a mistake of ours.
    if (!(refused instanceof GitConstructError)) throw refused;
    throw new CommandFailed(shown, finished, refused.message, 'not started');
  }
  const { status, said } = ended;
  if (status === 0) return finished.stdout;
  if (status === null) throw new CommandFailed(shown, finished, 'ended by a signal', 'signal');
  if (status > 0) throw new CommandFailed(shown, finished, `exit status ${status}`);
  // The system's error number; simple-git has the error, with a stack, for the standard error that there was not.
  throw new CommandFailed(shown, { ...finished, status: null }, said.split('\n')[0] ?? '', 'not started');
}

/**
 * What a git writes to one of its outputs, to the end. What simple-git itself gathers is what came within 50 ms of
 * the exit; and where it is told to wait for the end (`completion.onExit: false`) it waits for a promise beside, the
 * same one for each git, which is never kept and so never lets go of any of them.
 */
function gathered(output: Readable | null): { text(): string; whole: Promise<void> } {
  const chunks: Buffer[] = [];
  output?.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const whole = new Promise<void>((resolve) => {
    if (output === null) resolve();
    else output.once('close', resolve);
  });
  return { text: () => Buffer.concat(chunks).toString(), whole };
}
