import { access } from 'node:fs/promises';
import path from 'node:path';
import { CommandStopped } from './failure.ts';

const NAME = 'recipe-sweep.yml';
const SYSTEM_FILE = `/etc/recipe-sweep/${NAME}`;

/** The configuration file: the one asked for, else ./recipe-sweep.yml, else the one in /etc. */
export async function findConfigFile(asked: string | undefined, cwd: string): Promise<string> {
  if (asked !== undefined) return path.resolve(cwd, asked);
  for (const file of [path.join(cwd, NAME), SYSTEM_FILE]) {
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (there) return file;
  }
  throw new CommandStopped(
    `no configuration: neither ./${NAME} nor ${SYSTEM_FILE} exists; copy recipe-sweep.example.yml there, or name one with --config`,
  );
}
