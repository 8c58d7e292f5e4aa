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
 * - flock, which is no git (repository-lock.ts).
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
  let finished: Finished | undefined;
  const options: Partial<SimpleGitOptions> = {
    baseDir: folder,
    // Its own time-out is one of silence, and starts anew with each line of progress.
    abort: stop.signal,
    // At the end of the output, not 50 ms after the exit: what was not read by then would be missing from the answer.
    completion: { onClose: true, onExit: false },
    // A git that was killed is one that wrote nothing to it, and a bad status without a message is a good one.
    errors(error, { exitCode, stdOut, stdErr }) {
      const status: number | null = exitCode;
      finished = { status, stdout: textOf(stdOut, secrets), stderr: textOf(stdErr, secrets) };
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
  let answer = '';
  let refused: unknown;
  try {
    answer = await simpleGit(options)
      .env({ ...environment, ...env, ...credentials?.env, ...stop.env })
      .outputHandler((_git, stdout, stderr) => {
        passBoundary('command.after-start', { marked: stop.env });
        stop.watch([stdout as Readable, stderr as Readable]);
        // For a git that wrote nothing it waits another 50 ms, in case of output that comes late: there is none.
        stdout.once('end', () => stdout.emit('data', Buffer.alloc(0)));
      })
      .raw([...args]);
  } catch (error) {
    refused = error;
  } finally {
    await stop.over();
  }
  signal?.throwIfAborted();
  const shown = redact(['git', ...args].join(' '), secrets);
  const nothing: Finished = { status: null, stdout: '', stderr: '' };
  if (stop.why) throw new CommandFailed(shown, finished ?? nothing, stop.why.how, stop.why.ending);
  if (finished === undefined) {
    // Its folder is gone; or one of its guards is closed, which is a mistake of ours.
    if (!(refused instanceof GitConstructError)) throw refused;
    throw new CommandFailed(shown, nothing, refused.message, 'not started');
  }
  const { status, stderr } = finished;
  if (status === 0) return redact(answer, secrets);
  if (status === null) throw new CommandFailed(shown, finished, 'ended by a signal', 'signal');
  if (status > 0) throw new CommandFailed(shown, finished, `exit status ${status}`);
  // The system's error number; simple-git writes the error, with a stack, to the standard error that there was not.
  throw new CommandFailed(shown, nothing, stderr.split('\n')[0] ?? '', 'not started');
}

function textOf(chunks: readonly Buffer[], secrets: readonly string[]): string {
  return redact(Buffer.concat(chunks).toString(), secrets);
}
