import type { Command } from 'commander';
import type { Config } from '../host/config/config.ts';
import { connect, type TemporalServer } from './connect.ts';
import { loadConfig } from './config-file.ts';
import type { Terminal } from './render/terminal.ts';

/** One run of the command line: where it prints, where it was typed, and how it ends. */
export interface Session {
  terminal: Terminal;
  cwd: string;
  exitStatus: number;
}

/** The configuration that this command was told to use. */
export async function configOf(session: Session, command: Command): Promise<Config> {
  return loadConfig(command.optsWithGlobals<{ config?: string }>().config, session.cwd);
}

/** Runs what needs the Temporal server, and closes the connection whatever comes of it. */
export async function withServer<T>(
  session: Session,
  command: Command,
  run: (server: TemporalServer, config: Config) => Promise<T>,
): Promise<T> {
  const config = await configOf(session, command);
  const server = await connect(config);
  try {
    return await run(server, config);
  } finally {
    await server.close();
  }
}

/** The `--json` of a reading command: one document on standard output, in the shapes of docs/json.md. */
export function printJson({ terminal }: Session, value: unknown): void {
  terminal.out(JSON.stringify(value, null, 2));
}
