import { access, appendFile, constants, mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CommandFailed, processRunner, type Command, type Finished } from '../host/machine/process.ts';

/** What set-up knows of this machine, and how it runs things on it: as the person who started it. */

/** Tells the person one line. */
export type Say = (line: string) => void;

export const isRoot = process.getuid?.() === 0;

/** Programs of an administrator are looked for even where a login left them off PATH. */
const searchPath = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(':');

/** Commands of the set-up inherit the person's environment: proxies, Go and apt settings count. */
export const machine = processRunner({
  environment: {
    ...Object.fromEntries(
      Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    PATH: searchPath,
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C.UTF-8',
  },
});

/** Where what took long to get is kept, outside the clone. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  return path.join(base, 'recipe-sweep');
}

/** The path of a program, or null when there is none. */
export async function which(program: string): Promise<string | null> {
  for (const folder of searchPath.split(':').filter(path.isAbsolute)) {
    const file = path.join(folder, program);
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return file;
  }
  return null;
}

/** Runs something whose long output nobody reads unless it fails: it goes to a file the error names. */
export async function logged(name: string, command: Command): Promise<void> {
  const folder = path.join(cacheFolder(), 'log');
  await mkdir(folder, { recursive: true });
  const log = path.join(folder, `${name}.log`);
  let finished: Finished;
  try {
    finished = await machine.run({ ...command, stdoutFile: log });
  } catch (error) {
    if (error instanceof CommandFailed) await appendFile(log, error.stderr);
    throw error;
  }
  await appendFile(log, finished.stderr);
  if (finished.status !== 0) {
    const shown = [command.file, ...command.args].join(' ');
    throw new CommandFailed(shown, finished, `exit status ${finished.status}, see ${log}`);
  }
}
