import type { Command } from 'commander';
import { configOf, type Session } from '../session.ts';
import { stopSignal } from '../signals.ts';

export function addServeCommand(program: Command, session: Session): void {
  program
    .command('serve')
    .description(
      "show the report site and the numbers for Prometheus, and take the forge's webhook; its log goes to standard output",
    )
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(session, command);
      // Loaded here, since no other command answers HTTP.
      const { runServe } = await import('../../serve/main.ts');
      const stop = stopSignal();
      try {
        await runServe(config, {
          signal: stop.signal,
          onReady: (address) => session.terminal.err(`serve listens at http://${address}`),
        });
      } finally {
        stop.dispose();
      }
    });
}
