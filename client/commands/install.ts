import { mkdir } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { messageOf } from '../../domain/fault.ts';
import { declaredEnvironment, readConfig } from '../../host/config/config.ts';
import { processRunner } from '../../host/machine/process.ts';
import { CommandStopped } from '../failure.ts';
import { putUnit } from '../service/put-unit.ts';
import { UNIT, unitHere } from '../service/unit-here.ts';
import { configFileOf, type Session } from '../session.ts';

export function addInstallCommand(program: Command, session: Session): void {
  program
    .command('install')
    .description("print the worker's systemd unit for this host; starts nothing")
    .option('--write', `write it to ${UNIT}`)
    .addOption(new Option('--force', 'write it also where another one stands').implies({ write: true }))
    .action(async ({ write, force }: { write?: true; force?: true }, command: Command) => {
      const { terminal } = session;
      const configFile = await configFileOf(session, command);
      const config = await readConfig(configFile);
      const { unit, unknown } = await unitHere(config, configFile);
      if (unknown !== null) terminal.err(unknown);
      if (!write) {
        terminal.out(unit.trimEnd());
        return;
      }
      // Where homes are only read the worker could not make it.
      await mkdir(config.state, { recursive: true }).catch(asRoot);
      const commands = processRunner({ environment: declaredEnvironment(config) });
      const before = await putUnit(commands, UNIT, unit, force ?? false).catch(asRoot);
      terminal.out(
        [
          before === 'the same' ? `${UNIT} is this unit already` : `wrote ${UNIT}`,
          'next:',
          '  systemctl daemon-reload',
          `  systemctl ${before === 'another' ? 'restart' : 'enable --now'} recipe-sweep`,
        ].join('\n'),
      );
    });
}

function asRoot(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  throw new CommandStopped(`${messageOf(error)}; type it as root`);
}
