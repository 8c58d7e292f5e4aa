import type { Command } from 'commander';
import { readConfig, type Config } from '../host/config/config.ts';
import type { TemporalServer } from './connect.ts';
import { findConfigFile } from './config-file.ts';
import { CommandStopped } from './failure.ts';
import type { Terminal } from './render/terminal.ts';

/** One run of the command line: where it prints, where it was typed, and how it ends. */
export interface Session {
  terminal: Terminal;
  cwd: string;
  exitStatus: number;
}

/** The file of the configuration that this command was told to use. */
export async function configFileOf(session: Session, command: Command): Promise<string> {
  return findConfigFile(command.optsWithGlobals<{ config?: string }>().config, session.cwd);
}

/** The configuration that this command was told to use. */
export async function configOf(session: Session, command: Command): Promise<Config> {
  return readConfig(await configFileOf(session, command));
}

/** For commands that ask a host's worker: what it is told of another host's disk stays there. */
export function ofHost(command: Command): Command {
  return command.option(
    '--host <name>',
    'another host on the same Temporal server than that of the configuration',
  );
}

const HOST = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

/**
 * Runs what needs the Temporal server, and closes the connection whatever comes of it. The configuration is of the
 * host that the command is about; `local` says whether that is this one, whose state folder can be read.
 */
export async function withServer<T>(
  session: Session,
  command: Command,
  run: (server: TemporalServer, config: Config, local: boolean) => Promise<T>,
): Promise<T> {
  const config = await configOf(session, command);
  const { host = config.host } = command.optsWithGlobals<{ host?: string }>();
  if (!HOST.test(host)) throw new CommandStopped(`not the name of a host: ${JSON.stringify(host)}`);
  const { connect } = await import('./connect.ts');
  const server = await connect(config);
  try {
    return await run(server, { ...config, host }, host === config.host);
  } finally {
    await server.close();
  }
}

/** The `--json` of a reading command: one document on standard output, in the shapes of docs/json.md. */
export function printJson({ terminal }: Session, value: unknown): void {
  terminal.out(JSON.stringify(value, null, 2));
}
