import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { messageOf } from '../../domain/fault.ts';
import { readConfig } from '../../host/config/config.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { processRunner } from '../../host/machine/process.ts';
import { serveFolder } from '../../host/store/seen-comments.ts';
import { CommandStopped } from '../failure.ts';
import { putUnit } from '../service/put-unit.ts';
import { SERVE_UNIT, serveUnitHere, UNIT, unitHere } from '../service/unit-here.ts';
import { configFileOf, type Session } from '../session.ts';

export function addInstallCommand(program: Command, session: Session): void {
  program
    .command('install')
    .description('print the systemd units of worker and serve for this host; starts nothing')
    .option('--write', `write ${UNIT}, and ${SERVE_UNIT}`)
    .addOption(new Option('--force', 'write it also where another one stands').implies({ write: true }))
    .action(async ({ write, force }: { write?: true; force?: true }, command: Command) => {
      const { terminal } = session;
      const configFile = await configFileOf(session, command);
      const config = await readConfig(configFile);
      const { unit: worker, unknown } = await unitHere(config, configFile);
      const serve = await serveUnitHere(config, configFile);
      if (unknown !== null) terminal.err(unknown);
      if (!write) {
        terminal.out(worker.trimEnd());
        if (serve !== null) terminal.out(`\n# ${SERVE_UNIT}:\n${serve.trimEnd()}`);
        return;
      }
      // Where homes are only read neither could make it.
      await mkdir(serve === null ? config.state : serveFolder(config.state), { recursive: true }).catch(
        asRoot,
      );
      const commands = processRunner({ environment: declaredEnvironment(config) });
      const units = [
        { file: UNIT, unit: worker },
        ...(serve === null ? [] : [{ file: SERVE_UNIT, unit: serve }]),
      ];
      const [said, next]: [string[], string[]] = [[], []];
      for (const { file, unit } of units) {
        const before = await putUnit(commands, file, unit, force ?? false).catch(asRoot);
        said.push(before === 'the same' ? `${file} is this unit already` : `wrote ${file}`);
        next.push(
          `  systemctl ${before === 'another' ? 'restart' : 'enable --now'} ${path.basename(file, '.service')}`,
        );
      }
      terminal.out([...said, 'next:', '  systemctl daemon-reload', ...next].join('\n'));
    });
}

function asRoot(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  throw new CommandStopped(`${messageOf(error)}; type it as root`);
}
