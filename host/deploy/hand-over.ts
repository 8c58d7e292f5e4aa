import type { App } from '../../domain/app.ts';
import { Fault } from '../../domain/fault.ts';
import { saysDaemonUnwell, saysDiskFull } from '../engine/daemon.ts';
import { CommandFailed, type Command, type Finished, type ProcessRunner } from '../machine/process.ts';
import { Red } from './red.ts';
import { refuseTakenPort } from './taken-ports.ts';

/**
 * Hands an app to the swarm, and waits for none of its tasks: `files` are its compose files in its evidence folder, and
 * `env` is the whole of its env. Throws Red when the package is refused, Fault when nothing could be said: Daemon, Disk,
 * PortTaken, Preflight.
 */
export type HandOver = (
  app: App,
  files: readonly string[],
  env: ReadonlyMap<string, string>,
) => Promise<void>;

export interface HandOverSettings {
  commands: ProcessRunner;
  guard: () => Promise<void>;
  report: (what: string) => void;
}

/** A program that speaks to the swarm for us. */
export interface Client {
  /** As people know what it does. */
  name: string;
  command: Command;
  /** What it says that is wrong, fit to be quoted. */
  saidIn(finished: Finished): Promise<string>;
  /** Throws Fault where it says that it does not work here. */
  refuseUnfit(said: string): void;
  /** Keeps what it wrote; answers the file. */
  keep(finished: Finished): Promise<string>;
  /** The reason of a red result, before what it said last. */
  refuses: string;
}

const ATTEMPTS = 3;

/** As HandOver says; answers what the program wrote. */
export async function handOverBy(
  { commands, guard, report }: HandOverSettings,
  { stack }: App,
  client: Client,
): Promise<Finished> {
  for (let attempt = 1; ; attempt++) {
    await guard();
    report(client.name);
    let finished;
    try {
      finished = await commands.run(client.command);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const type = error.ending === 'not started' ? 'Preflight' : 'Daemon';
      throw new Fault(type, `handing ${stack} to the swarm: ${error.message}`, { cause: error });
    }
    if (finished.status === 0) return finished;
    const said = (await client.saidIn(finished)).trim();
    if (/update out of sequence/i.test(said) && attempt < ATTEMPTS) continue;
    client.refuseUnfit(said);
    if (saysDiskFull(said)) throw new Fault('Disk', `${client.name} ${stack}: ${said}`);
    if (saysDaemonUnwell(said) || /network \S+ not found/i.test(said)) {
      throw new Fault('Daemon', `${client.name} ${stack}: ${said}`);
    }
    refuseTakenPort(stack, said);
    throw new Red(`${client.refuses}: ${said.split('\n').at(-1) ?? said}`, await client.keep(finished));
  }
}
