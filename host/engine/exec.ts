import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/fault.ts';
import { COMMAND_MARK, end, withVariable } from '../machine/processes.ts';
import type { EngineAccess } from './access.ts';
import { engine, engineOrNull, engineStatus } from './daemon.ts';
import { tailOf } from './exec-output.ts';

export interface ExecResult {
  status: number | null;
  /** Both streams, the last part of it. */
  output: string;
}

export interface Exec {
  /**
   * Runs a command with the container's own sh; both streams, of which the end is kept. One that takes too long,
   * or whose attempt ends, is ended with its children.
   */
  exec(containerId: string, command: string, timeoutMs: number): Promise<ExecResult>;
}

export interface ExecSettings extends EngineAccess {
  /** Marks commands in containers as it does those on this host, so that a later attempt ends what is left. */
  commandMark: string;
}

/** The engine's answers about a container that has ended, or is gone. */
const NOT_RUNNING = new Set([404, 409]);
/** Bytes that are kept of what a command in a container prints. */
const LONGEST_OUTPUT = 256 * 1024;
/** In the environment of one command in a container, by which its processes are found on this host. */
export const EXEC_MARK = 'RECIPE_SWEEP_EXEC';
const EXEC_POLL_MS = 20;
const END_MS = 10_000;
const CONTAINER_END_MS = 2_000;
/** The exit status of what was ended by SIGKILL. */
export const KILLED = 137;

/** The container in which a command ran ended before the command did. */
export class ContainerEnded extends Fault {
  constructor(what: string) {
    super('Daemon', `${what}: the container ended meanwhile, so nothing was learned; see its log`);
  }
}

export function createExec({ docker, signal, guard, commandMark }: ExecSettings): Exec {
  /**
   * What a container's end takes with it has failed for no reason of its own; the engine learns of that end a
   * moment after it.
   */
  async function endsSoon(containerId: string): Promise<boolean> {
    const until = Date.now() + CONTAINER_END_MS;
    while (Date.now() < until) {
      const seen = await engineOrNull(`looking at container ${containerId}`, () =>
        docker.getContainer(containerId).inspect(),
      );
      if (seen?.State.Running !== true) return true;
      await sleep(EXEC_POLL_MS, undefined, { signal });
    }
    return false;
  }

  return {
    async exec(containerId, command, timeoutMs) {
      signal.throwIfAborted();
      await guard();
      const what = `running a command in container ${containerId.slice(0, 12)}`;
      const ownMark = randomUUID();
      const late = AbortSignal.timeout(timeoutMs);
      const until = AbortSignal.any([signal, late]);
      const output = tailOf(LONGEST_OUTPUT);
      try {
        const exec = await engine(what, () =>
          docker.getContainer(containerId).exec({
            Cmd: ['sh', '-c', command],
            Env: [`${COMMAND_MARK}=${commandMark}`, `${EXEC_MARK}=${ownMark}`],
            AttachStdout: true,
            AttachStderr: true,
          }),
        );
        await engine(what, async () => {
          const stream = await exec.start({ abortSignal: until });
          for await (const piece of stream as AsyncIterable<Buffer>) output.add(piece);
        });
        for (;;) {
          const { Running, ExitCode } = await engine(what, () => exec.inspect());
          if (!Running) {
            if (ExitCode === KILLED && (await endsSoon(containerId))) throw new ContainerEnded(what);
            return { status: ExitCode, output: output.text() };
          }
          await sleep(EXEC_POLL_MS, undefined, { signal: until });
        }
      } catch (error) {
        if (until.aborted) await endMarked(EXEC_MARK, ownMark);
        signal.throwIfAborted();
        if (late.aborted) return { status: null, output: output.text() };
        if (!NOT_RUNNING.has(engineStatus(error) ?? 0)) throw error;
        throw new ContainerEnded(what);
      }
    },
  };
}

/**
 * The engine does not end what it started in a container when nobody listens any more. What starts itself again
 * faster than it is found ends with its container.
 */
export async function endMarked(variable: string, value: string): Promise<void> {
  const until = Date.now() + END_MS;
  while (Date.now() < until) {
    const left = (await withVariable(variable)).filter((one) => one.value === value);
    if (left.length === 0) return;
    await Promise.all(left.map(end));
  }
}
