import { randomUUID } from 'node:crypto';
import { appendFile, chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import ms from 'ms';
import { Fault } from '../../domain/fault.ts';
import { quotableLine } from '../../domain/printable.ts';
import { saysDaemonUnwell, saysDiskFull } from '../engine/daemon.ts';
import type { ScriptResult } from './app-scripts.ts';
import type { ExecResult } from '../engine/exec.ts';
import type { App } from '../../domain/app.ts';
import { CommandFailed, type ProcessRunner } from '../machine/process.ts';
import { POST_COMMANDS, type Post, type PostCommand } from '../recipe-format/post-commands.ts';
import { runningContainer } from '../engine/containers.ts';
import { ContainerEnded } from '../engine/exec.ts';
import type { Swarm } from '../engine/swarm.ts';
import type { Masked } from '../secrets/masker.ts';

/**
 * Runs what a recipe has abra run once an app is deployed or upgraded, and as abra does (cli/internal, PostCmds and
 * RunCmdRemote): one after the other, abra.sh is put into the service's container as /tmp/abra.sh and read by its
 * bash, or its sh where it has none, which knows TARGET, APP_NAME and STACK_NAME besides the container's own
 * environment, and calls the function. The first that fails is the last. None of it runs on this host.
 */
export interface PostCommandsSettings {
  commands: ProcessRunner;
  swarm: Pick<Swarm, 'observe' | 'containers' | 'exec'>;
  /** Awaited before each change. */
  guard(): Promise<void>;
  report(what: string): void;
  fit(app: Masked, text: string): Promise<string>;
}

const COPY_MS = 60_000;

export function createPostCommands({ commands, swarm, guard, report, fit }: PostCommandsSettings) {
  /** Null once the file is there, else why it cannot be. */
  async function putAbraSh(app: App, container: string, abraSh: string): Promise<string | null> {
    await mkdir(app.scratch, { recursive: true, mode: 0o700 });
    const file = path.join(app.scratch, `abra-${randomUUID()}.sh`);
    try {
      await writeFile(file, abraSh);
      // Whoever the container runs as reads it, whatever this process's umask is.
      await chmod(file, 0o755);
      await guard();
      const args = ['cp', '--', file, `${container}:/tmp/abra.sh`];
      const { status, stderr } = await commands.run({ file: 'docker', args, timeoutMs: COPY_MS });
      if (status === 0) return null;
      const said = stderr.trim();
      if (saysDiskFull(said)) throw new Fault('Disk', `putting abra.sh into ${app.stack}: ${said}`);
      if (saysDaemonUnwell(said)) throw new Fault('Daemon', `putting abra.sh into ${app.stack}: ${said}`);
      return `abra.sh cannot be put into its container: ${said.split('\n').at(-1) ?? said}`;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new Fault('Daemon', `putting abra.sh into ${app.stack}: ${error.message}`, { cause: error });
    } finally {
      await rm(file, { force: true });
    }
  }

  /** A text: it could not be run, and why. */
  async function perform(
    app: App,
    { service, call }: PostCommand,
    abraSh: string,
    timeoutMs: number,
  ): Promise<ExecResult | string> {
    const { stack, domain } = app;
    const container = await runningContainer(swarm, stack, await swarm.observe(stack), service);
    if (container === null) return `${service} has no running container`;
    const refused = await putAbraSh(app, container, abraSh);
    if (refused !== null) return refused;
    const script = `TARGET=${service}; APP_NAME=${domain}; STACK_NAME=${stack}; . /tmp/abra.sh; ${call}`;
    try {
      return await swarm.exec(container, byItsShell(script), timeoutMs);
    } catch (error) {
      if (error instanceof ContainerEnded) return `the container of ${service} ended meanwhile`;
      throw error;
    }
  }

  return {
    /** Fails with the first command that does, or once they all together take longer than `withinMs`. */
    async run(app: App, { occasion, commands, abraSh }: Post, withinMs: number): Promise<ScriptResult> {
      const until = Date.now() + withinMs;
      const evidence = path.join(app.evidence, `post-${occasion}-commands.txt`);
      const fits = async (text: string): Promise<string> => (await fit(app, text)).trimEnd();
      for (const command of commands) {
        const what = `${POST_COMMANDS[occasion]}: ${await fits(`${command.service} ${command.call}`)}`;
        report(what);
        const started = new Date();
        const done = await perform(app, command, abraSh, Math.max(1, until - Date.now()));
        const how =
          typeof done === 'string'
            ? await fits(done)
            : done.status === null
              ? `not finished after ${ms(withinMs)}, ended`
              : `exit status ${done.status}`;
        const said = typeof done === 'string' ? '' : await fits(done.output);
        const lines = [`== ${what}`, `== started ${started.toISOString()}`, said];
        await appendFile(
          evidence,
          [...lines, `== ended ${new Date().toISOString()}, ${how}`, '', ''].join('\n'),
        );
        if (typeof done !== 'string' && done.status === 0) continue;
        const last = said.split('\n').at(-1) ?? '';
        return { result: 'fail', reason: quotableLine(`${what}: ${how}${last && `: ${last}`}`), evidence };
      }
      return { result: 'pass' };
    },
  };
}

/** For a container's sh: has the script read by bash where there is one at abra's place for it. */
function byItsShell(script: string): string {
  const quoted = `'${script.replaceAll("'", "'\\''")}'`;
  return `shell=/bin/bash; test -e $shell || shell=/bin/sh; exec $shell -c ${quoted}`;
}
