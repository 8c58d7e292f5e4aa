import { readdirSync, readFileSync } from 'node:fs';
import type { Passed } from '../../host/machine/boundary.ts';

/** Kills the command that was just started, and what it started, before anything else of this process runs. */
export function killCommand({ group, marked = {} }: Passed): void {
  if (group !== undefined) process.kill(-group, 'SIGKILL');
  for (const [name, value] of Object.entries(marked)) {
    for (const pid of processesWith(`${name}=${value}`)) process.kill(pid, 'SIGKILL');
  }
}

function processesWith(variable: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => environmentOf(pid).split('\0').includes(variable)).map(Number);
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}
