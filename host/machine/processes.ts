import { readdir, readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** In the environment of every command: `<state folder>#<pid>.<started>#<generation>`. */
export const COMMAND_MARK = 'RECIPE_SWEEP_COMMAND';

/**
 * The processes of this machine, as the kernel tells of them under /proc. A process is named by its ID and the
 * time it was started, so that another one that got the same ID later is never taken for it.
 */
export interface ProcessName {
  pid: number;
  /** Clock ticks from the machine's start to the process's. */
  started: string;
}

export async function ownName(): Promise<ProcessName> {
  const started = await startOf(process.pid);
  if (started === null) throw new Error(`/proc/${process.pid}/stat cannot be read; this needs Linux`);
  return { pid: process.pid, started };
}

/** Where process IDs mean what they mean here: the machine's start, and their namespace. */
export async function ownPlace(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const { ino } = await stat('/proc/self/ns/pid');
  return `${boot.trim()} ${ino}`;
}

export async function isAlive({ pid, started }: ProcessName): Promise<boolean> {
  return (await startOf(pid)) === started;
}

/** Ends it at once, and answers when it is gone. Does nothing when it is. */
export async function end(name: ProcessName): Promise<void> {
  while (await isAlive(name)) {
    try {
      process.kill(name.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await sleep(20);
  }
}

/** Every process whose environment has the variable, with its value. */
export async function withVariable(variable: string): Promise<(ProcessName & { value: string })[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      // The start is read first: should the ID change hands in between, that name is of a process that is gone.
      const started = await startOf(pid);
      const entry = (await read(`/proc/${pid}/environ`))
        .split('\0')
        .find((line) => line.startsWith(`${variable}=`));
      return started === null || entry === undefined
        ? []
        : [{ pid, started, value: entry.slice(variable.length + 1) }];
    }),
  );
  return found.flat();
}

/** Null when there is none, or it has ended and only waits to be taken note of. */
async function startOf(pid: number): Promise<string | null> {
  const text = await read(`/proc/${pid}/stat`);
  // The program's name stands in brackets and may hold anything; what follows is fields 3, 4, …
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return text === '' || state === 'Z' || state === 'X' ? null : (fields[19] ?? null);
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return ''; // it ended, or it is not ours to look at
  }
}
