import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';
import { lockFile, type FileLock } from '../../host/machine/file-lock.ts';

const commands = processRunner({ environment: { PATH: '/usr/local/bin:/usr/bin:/bin' } });
const CLONE = fileURLToPath(new URL('../../', import.meta.url));

let folder: string;
let file: string;
let orphansEnded: number;
let others: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-lock-'));
  file = path.join(folder, 'work', 'thing.lock');
  orphansEnded = 0;
  others = [];
});

afterEach(async () => {
  for (const other of others) other.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

function take(patienceMs = 60_000): Promise<FileLock> {
  const endOrphans = async (): Promise<void> => void (orphansEnded += 1);
  return lockFile(file, { commands, endOrphans, patienceMs });
}

/** Another worker, which has the lock and keeps it. */
async function another(): Promise<ChildProcess> {
  const script = path.join(folder, 'another.mts');
  const from = (name: string): string => JSON.stringify(path.join(CLONE, 'host', name));
  await writeFile(
    script,
    `import { processRunner } from ${from('machine/process.ts')};
     import { lockFile } from ${from('machine/file-lock.ts')};
     const commands = processRunner({ environment: { PATH: '/usr/local/bin:/usr/bin:/bin' } });
     await lockFile(${JSON.stringify(file)}, { commands, endOrphans: async () => undefined });
     console.log('taken');
     setInterval(() => undefined, 1_000);`,
  );
  const child = spawn(process.execPath, ['--import', 'tsx', script], {
    cwd: CLONE,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  others.push(child);
  await once(child.stdout, 'data');
  return child;
}

describe('the lock of a file', () => {
  it('is had by one process at a time, and by the next when it is given back', async () => {
    const first = await take();
    let taken = false;
    const second = take().then((lock) => ((taken = true), lock));
    await sleep(300);
    expect(taken).toBe(false);
    await first.giveBack();
    await (await second).giveBack();
    expect(orphansEnded).toBe(0);
  });

  it('is over when its process dies, whose commands are ended before the next one begins', async () => {
    const child = await another();
    child.kill('SIGKILL');
    await (await take()).giveBack();
    expect(orphansEnded).toBe(1);
    await (await take()).giveBack();
    expect(orphansEnded).toBe(1);
  });

  it('of a process that works is waited for, however long it takes', async () => {
    const child = await another();
    let taken = false;
    const waiting = take(4_000).then((lock) => ((taken = true), lock));
    await sleep(6_000);
    expect(taken).toBe(false);
    child.kill('SIGKILL');
    await (await waiting).giveBack();
  });

  it('of a process that stands still is ended with it', async () => {
    const child = await another();
    child.kill('SIGSTOP');
    const ended = once(child, 'exit');
    await (await take(1_500)).giveBack();
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(orphansEnded).toBe(1);
  });

  it('of another container that stands still cannot be had, and the message says what to do', async () => {
    const child = await another();
    const holder = JSON.parse(await readFile(file, 'utf8')) as object;
    child.kill('SIGSTOP');
    await writeFile(file, JSON.stringify({ ...holder, place: 'elsewhere 1' }));
    await expect(take(1_500)).rejects.toMatchObject({
      type: 'HostBusy',
      message: expect.stringContaining('docker unpause'),
    });
    expect(child.exitCode).toBe(null);
  });
});
