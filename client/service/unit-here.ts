import { realpath } from 'node:fs/promises';
import path from 'node:path';
import Dockerode from 'dockerode';
import { checkGitUrl } from '../../domain/git-url.ts';
import type { Config } from '../../host/config/config.ts';
import { canServe } from '../../host/config/webhook-secret.ts';
import { CommandStopped } from '../failure.ts';
import { serveUnit, workerUnit } from './unit.ts';

/** Where the worker's unit is on a host that has one. */
export const UNIT = '/etc/systemd/system/recipe-sweep.service';
/** The same of `serve`. */
export const SERVE_UNIT = '/etc/systemd/system/recipe-sweep-serve.service';
/** Where the engine's own unit has it listen. */
const USUAL_SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];

/**
 * The worker's unit for this host, for this node and this command, and what of the host is not known, in words; null
 * where everything is. Throws CommandStopped where there can be none.
 */
export async function unitHere(
  config: Config,
  configFile: string,
): Promise<{ unit: string; unknown: string | null }> {
  const engineFolder = await folderOfEngine(config);
  const unit = workerUnit({
    node: process.execPath,
    command: await ownCommand(),
    configFile,
    state: config.state,
    written: [...mirrorsFolder(config), ...(engineFolder === null ? [] : [engineFolder])],
    engine: USUAL_SOCKETS.includes(config.docker.socket) ? 'docker.service' : null,
  });
  const unknown =
    engineFolder === null
      ? `${config.docker.socket} does not answer, so where the engine keeps its volumes is not known. The unit is good unless that is below /home or /root: then do this again once it runs.`
      : null;
  return { unit, unknown };
}

/** The unit of `serve` for this host; null where it would not start. Throws CommandStopped where there can be none. */
export async function serveUnitHere(config: Config, configFile: string): Promise<string | null> {
  if (!canServe(config)) return null;
  const place = { node: process.execPath, command: await ownCommand(), configFile, state: config.state };
  return serveUnit(place, config.docker.socket);
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

/** Where the engine has its volumes; null where it does not say. */
async function folderOfEngine({ docker: { socket } }: Config): Promise<string | null> {
  try {
    const info = (await new Dockerode({ socketPath: socket, timeout: 10_000 }).info()) as {
      DockerRootDir: string;
    };
    return info.DockerRootDir;
  } catch {
    return null;
  }
}
