import { mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { Option, type Command } from 'commander';
import Dockerode from 'dockerode';
import { messageOf } from '../../domain/fault.ts';
import { checkGitUrl } from '../../domain/git-url.ts';
import { declaredEnvironment, readConfig, type Config } from '../../host/config/config.ts';
import { processRunner } from '../../host/machine/process.ts';
import { CommandStopped } from '../failure.ts';
import { putUnit } from '../service/put-unit.ts';
import { workerUnit } from '../service/unit.ts';
import { configFileOf, type Session } from '../session.ts';

const UNIT = '/etc/systemd/system/recipe-sweep.service';
/** Where the engine's own unit has it listen. */
const USUAL_SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];

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
      const unit = workerUnit({
        node: process.execPath,
        command: await ownCommand(),
        configFile,
        state: config.state,
        written: [...mirrorsFolder(config), ...(await engineFolder(session, config))],
        engine: USUAL_SOCKETS.includes(config.docker.socket) ? 'docker.service' : null,
      });
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

/** bin/recipe-sweep, wherever links to it stand. */
async function ownCommand(): Promise<string> {
  const file = await realpath(process.argv[1] ?? '');
  if (path.basename(file) === 'recipe-sweep') return file;
  throw new CommandStopped(`${file} is no command that a unit can start: type bin/recipe-sweep install`);
}

/** The folder that has all mirrors, if they are folders of this host. */
function mirrorsFolder({ mirrors }: Config): string[] {
  const checked = checkGitUrl(mirrors);
  if (!checked.ok || checked.folder === null) return [];
  const [before = ''] = checked.folder.split('{recipe}');
  return [path.dirname(`${before}name`)];
}

/** Where the engine has its volumes. */
async function engineFolder({ terminal }: Session, { docker: { socket } }: Config): Promise<string[]> {
  try {
    const info = (await new Dockerode({ socketPath: socket, timeout: 10_000 }).info()) as {
      DockerRootDir: string;
    };
    return [info.DockerRootDir];
  } catch {
    terminal.err(
      `${socket} does not answer, so where the engine keeps its volumes is not known. The unit is good unless that is below /home or /root: then do this again once it runs.`,
    );
    return [];
  }
}
