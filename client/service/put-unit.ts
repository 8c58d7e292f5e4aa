import path from 'node:path';
import { textIfThere, writeDurably } from '../../host/machine/durable-file.ts';
import type { ProcessRunner } from '../../host/machine/process.ts';
import { CommandStopped } from '../failure.ts';

/**
 * Writes the unit to the file, whole or not at all, and answers what was there. Where that is another one it throws
 * CommandStopped that shows the difference and leaves it, unless it is forced.
 */
export async function putUnit(
  commands: ProcessRunner,
  file: string,
  unit: string,
  force: boolean,
): Promise<'nothing' | 'the same' | 'another'> {
  const before = await textIfThere(file);
  if (before === unit) return 'the same';
  if (before !== '' && !force) {
    const { stdout } = await commands.run({
      file: 'diff',
      args: ['--unified=0', '--', file, '-'],
      input: unit,
    });
    throw new CommandStopped(
      `${file} is another one; --force replaces it, and what stands in drop-ins (systemctl edit ${path.basename(file, '.service')}) stays:\n${stdout}`,
    );
  }
  await writeDurably(file, unit);
  return before === '' ? 'nothing' : 'another';
}
