import { Fault } from '../../domain/fault.ts';
import { CommandFailed, type Command, type Finished, type ProcessRunner } from './process.ts';

/** Runs a command that works on files (tar, find, sync). Throws Fault Disk unless it leaves with an accepted status. */
export async function runOnDisk(
  commands: ProcessRunner,
  command: Command,
  accepted: readonly number[] = [0],
): Promise<Finished> {
  let finished;
  try {
    finished = await commands.run(command);
  } catch (error) {
    if (error instanceof CommandFailed) throw new Fault('Disk', error.message, { cause: error });
    throw error;
  }
  if (finished.status !== null && accepted.includes(finished.status)) return finished;
  const { file, args } = command;
  throw new Fault(
    'Disk',
    `${[file, ...args].join(' ')}: exit status ${finished.status}\n${finished.stderr.trim()}`,
  );
}
