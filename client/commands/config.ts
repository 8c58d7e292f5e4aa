import type { Command } from 'commander';
import { readConfig } from '../../host/config/config.ts';
import { refuseTwoLogins } from '../../host/config/forge-access.ts';
import { oneLine } from '../render/terminal.ts';
import { configFileOf, type Session } from '../session.ts';

export function addConfigCommands(program: Command, session: Session): void {
  program
    .command('config')
    .description('the configuration file; needs neither server nor engine')
    .command('check')
    .description('read it as every command does, and list every mistake at once')
    .action(async (_options: unknown, command: Command) => {
      const file = await configFileOf(session, command);
      refuseTwoLogins(await readConfig(file));
      session.terminal.out(`${oneLine(file)}: ok`);
    });
}
