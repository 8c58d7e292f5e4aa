import type { Command } from 'commander';
import { green, red } from 'yoctocolors';
import { testMessage } from '../../alerts/message.ts';
import { sender } from '../../alerts/send.ts';
import { messageOf } from '../../domain/fault.ts';
import { alertAccess, alertTargets } from '../../host/config/alert-targets.ts';
import { createAlerts, type AlertInFile, type KeptAlert } from '../../host/store/alerts.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { formatTime } from '../../domain/quantities.ts';
import { renderTable } from '../render/table.ts';
import { oneLine } from '../render/terminal.ts';
import { configOf, printJson, type Session } from '../session.ts';

/** They read files and send by themselves: neither a server nor a worker is asked. */
export function addAlertCommands(program: Command, session: Session): void {
  const alert = program.command('alert').description('what an operator must look at, and who is told');

  alert
    .command('list')
    .description('alerts that hold, what was seen, and what to do')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      const { alerts, unreadable } = await createAlerts((await configOf(session, command)).state).open();
      for (const problem of unreadable) session.terminal.err(oneLine(problem));
      if (options.json) printJson(session, alerts.map(documentOf));
      else if (alerts.length === 0) session.terminal.out('none');
      else {
        const rows = alerts.map(({ kind, subject, since, message, advice }) => [
          formatTime(new Date(since)),
          kind,
          subject.is === 'recipe' ? oneLine(subject.name) : 'the host',
          oneLine(`${message}; ${advice}`),
        ]);
        session.terminal.out(renderTable(['since', 'alert', 'of', 'what, and what to do'], rows));
      }
    });

  alert
    .command('test')
    .description('send one to every target of the configuration, now and once')
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(session, command);
      const targets = alertTargets(config.alerts);
      if (targets.length === 0) {
        throw new CommandStopped('nobody is told of alerts: "alerts" of the configuration names no target');
      }
      const send = sender(config);
      const message = testMessage(config, new Date());
      const results = await Promise.all(
        targets.map(async (target) => {
          try {
            await send(await alertAccess(target), message);
            return null;
          } catch (error) {
            return messageOf(error);
          }
        }),
      );
      const rows = targets.map(({ name }, index) => {
        const wrong = results[index] ?? null;
        return [wrong === null ? green('delivered') : red('NOT'), oneLine(name), oneLine(wrong ?? '')];
      });
      session.terminal.out(renderTable(['', 'target', ''], rows));
      if (results.some((wrong) => wrong !== null)) session.exitStatus = EXIT.none;
    });
}

/** As it is on disk. */
function documentOf(alert: AlertInFile): KeptAlert {
  const { file: _, ...written } = alert;
  return written;
}
