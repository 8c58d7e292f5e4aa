import { AsyncLocalStorage } from 'node:async_hooks';
import type { FileHandle } from 'node:fs/promises';

/**
 * A crash and a full disk for code that believes it works on a real one. Whatever runs in a process that has
 * died waits for ever at its next file operation, just as nothing of it would have happened; on a full disk
 * half of a text is written, and the rest is an error.
 */
export interface MortalProcess {
  dead: boolean;
}

export const mortality = new AsyncLocalStorage<MortalProcess>();
export const disk = { full: false };

const NEVER = new Promise<never>(() => undefined);

/** Resolves at once in a process that lives, never in one that has died. */
export async function stillAlive(): Promise<void> {
  if (mortality.getStore()?.dead) await NEVER;
}

type Files = typeof import('node:fs/promises');
type Call = (...args: unknown[]) => Promise<unknown>;

const WRITING = new Set(['writeFile', 'appendFile']);

function noSpace(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
}

/** Of `writeFile(file, text, …)` or `handle.writeFile(text)`: the arguments with half of the text. */
function halved(args: readonly unknown[]): unknown[] {
  return args.map((argument, index) =>
    typeof argument === 'string' && index === args.findLastIndex((one) => typeof one === 'string')
      ? argument.slice(0, argument.length / 2)
      : argument,
  );
}

function mortal(name: string, call: Call): Call {
  return async (...args) => {
    await stillAlive();
    if (disk.full && WRITING.has(name)) {
      await call(...halved(args));
      await stillAlive();
      throw noSpace();
    }
    const result = await call(...args);
    await stillAlive();
    return name === 'open' ? mortalHandle(result as FileHandle) : result;
  };
}

function mortalHandle(handle: FileHandle): FileHandle {
  return new Proxy(handle, {
    get(target, name: string & keyof FileHandle) {
      const found: unknown = target[name];
      return typeof found === 'function' ? mortal(name, (found as Call).bind(target)) : found;
    },
  });
}

/** What stands in for node:fs/promises. */
export function mortalFiles(files: Files): Files {
  const wrapped = Object.entries(files).map(([name, member]) => [
    name,
    typeof member === 'function' ? mortal(name, member as Call) : (member as unknown),
  ]);
  return Object.fromEntries(wrapped) as Files;
}
