import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault } from '../../domain/fault.ts';
import { tryJson } from './durable-file.ts';
import { CommandFailed, type ProcessRunner } from './process.ts';
import { end, ownName, ownPlace } from './processes.ts';

/**
 * A lock which one process at a time has, of all on this host: flock(2) on a file, which the kernel gives back when the
 * process that has it ends, however it ends. Who has it stands in the file while it lasts, and touches it, so that
 * whoever waits can tell a long task from a process that stands still.
 */

const holderSchema = z.strictObject({
  pid: z.number().int().positive(),
  started: z.string(),
  place: z.string(),
});

export interface LockSettings {
  commands: ProcessRunner;
  /** Ends the commands that processes which are gone left running: called when the last one who had it did not give it back. */
  endOrphans(): Promise<void>;
  /** How long a process that has it may stand still before it is ended, like a worker that misses its heartbeats. */
  patienceMs?: number;
}

export interface FileLock {
  giveBack(): Promise<void>;
}

const PATIENCE_MS = 20_000;
const TOUCH_MS = 2_000;
const LOOK_SECONDS = 1;
const FLOCK_MS = 30_000;
/** flock's own statuses are 1 and 64 and above. */
const TAKEN = 9;

/**
 * Waits for the lock at this file, which is made if it is missing. Throws CommandFailed and what the disk does, and
 * Fault HostBusy when a process in another container has it and stands still, which cannot be ended from here.
 */
export async function lockFile(file: string, settings: LockSettings): Promise<FileLock> {
  await mkdir(path.dirname(file), { recursive: true });
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o644);
  let touching: NodeJS.Timeout | undefined;
  const close = async (): Promise<void> => {
    clearInterval(touching);
    await handle.close();
  };
  try {
    await waitFor(handle, file, settings);
    const left = await textOf(handle);
    // At once, since whoever waits ends whom the file names when nothing moves.
    const own = JSON.stringify({ ...(await ownName()), place: await ownPlace() });
    await handle.write(own, 0);
    await handle.truncate(Buffer.byteLength(own));
    touching = setInterval(() => {
      handle.utimes(new Date(), new Date()).catch(() => undefined);
    }, TOUCH_MS);
    if (left !== '') await settings.endOrphans();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async giveBack() {
      try {
        await handle.truncate(0);
      } finally {
        await close();
      }
    },
  };
}

async function waitFor(handle: FileHandle, file: string, settings: LockSettings): Promise<void> {
  const { commands, patienceMs = PATIENCE_MS } = settings;
  let [seen, since] = ['', performance.now()];
  // Locked is the open file, which the program shares with us and which stays open when it ends.
  const options = ['--exclusive', '--timeout', String(LOOK_SECONDS), '--conflict-exit-code', String(TAKEN)];
  const command = { file: 'flock', args: [...options, '0'], input: handle, timeoutMs: FLOCK_MS };
  for (;;) {
    const finished = await commands.run(command);
    if (finished.status === 0) return;
    if (finished.status !== TAKEN) {
      throw new CommandFailed(`flock ${file}`, finished, `exit status ${finished.status}`);
    }
    const text = await textOf(handle);
    const now = `${(await handle.stat()).mtimeMs} ${text}`;
    if (now !== seen) [seen, since] = [now, performance.now()];
    else if (performance.now() - since >= patienceMs) await endHolder(text, file);
  }
}

async function endHolder(text: string, file: string): Promise<void> {
  const holder = holderSchema.safeParse(tryJson(text)).data;
  if (holder?.place === (await ownPlace())) return end(holder);
  throw new Fault(
    'HostBusy',
    `${file}: another container with this state folder has it and stands still, and cannot be ended from here: docker unpause it, or docker rm --force it; then this goes on`,
  );
}

async function textOf(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1_000), 0, 1_000, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
