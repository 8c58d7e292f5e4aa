import type { Command } from 'commander';
import { ensureNamespace } from '../namespace.ts';
import { configOf, type Session } from '../session.ts';

export function addNamespaceCommand(program: Command, session: Session): void {
  program
    .command('namespace')
    .description('the namespace on the Temporal server')
    .command('ensure')
    .description(
      'create it, or make it what sweeps need: 90 days of retention or more, and search attributes',
    )
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(session, command);
      const { namespace } = config.temporal;
      let changed = false;
      await ensureNamespace(config, (done) => {
        changed = true;
        session.terminal.out(`namespace ${namespace}: ${done}`);
      });
      if (!changed) session.terminal.out(`namespace ${namespace}: nothing to change`);
    });
}
