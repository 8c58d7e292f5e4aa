import { runCommand } from './program.ts';
import { processTerminal } from './render/terminal.ts';

/** The process behind `recipe-sweep`: one command, then its exit status. */
export async function main(): Promise<void> {
  process.exitCode = await runCommand(process.argv.slice(2), processTerminal());
}
