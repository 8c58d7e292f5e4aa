import { Fault, type FaultType } from '../../domain/fault.ts';
import { CommandFailed } from '../machine/process.ts';

/** How what goes wrong with a recipe's repositories is told: what was being done, and what to do about it. */

/** Disk when that is what it says, else MirrorSync; only the latter is in need of the advice. */
export function syncFault(recipe: string, what: string, advice: string, cause?: unknown): Fault {
  const type: FaultType = /no space left on device|disk quota exceeded/i.test(what) ? 'Disk' : 'MirrorSync';
  const advised = type === 'Disk' ? 'Free space on this host; it is tried again by itself.' : advice;
  return new Fault(type, `${recipe}: ${what}\n${advised}`, { cause });
}

/** Does the work, whose failure becomes a {@link syncFault}. */
export async function explained<T>(
  recipe: string,
  doing: string,
  advice: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw syncFault(recipe, `${doing}: ${error.message}`, advice, error);
  }
}

export async function nullIfFailed<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
    return null;
  }
}

/** A command or a system call that failed, or an answer that cannot be read; not the end of the attempt. */
function isFailure(error: unknown): error is Error {
  return (
    error instanceof CommandFailed ||
    error instanceof RangeError ||
    (error instanceof Error && 'syscall' in error)
  );
}
