import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAttempts, type Attempts } from '../../host/lock/attempts.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { end, isAlive, withVariable, type ProcessName } from '../../host/machine/processes.ts';

const NOTICE_MS = 300;

let state: string;
let attempts: Attempts;
const started: ProcessName[] = [];

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'attempts-'));
  attempts = createAttempts(state, NOTICE_MS);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map(end));
  await rm(state, { recursive: true });
});

/** A process that stays, marked as the command of that attempt. */
async function command(mark: string, shell = 'sleep 60'): Promise<ProcessName> {
  const child = execa('sh', ['-c', `${shell}; true`], { env: { [COMMAND_MARK]: mark }, reject: false });
  for (;;) {
    const found = (await withVariable(COMMAND_MARK)).find(({ pid }) => pid === child.pid);
    if (!found) continue;
    started.push(found);
    return found;
  }
}

/** What a worker that lives in another process has written. */
async function otherAttempt(generation: number, { pid, started: since }: ProcessName): Promise<string> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const place = `${boot} ${(await stat('/proc/self/ns/pid')).ino}`;
  const file = path.join(state, 'attempts', `${generation}.json`);
  await (await attempts.enter(generation, 'x', () => undefined)).leave();
  await writeFile(file, JSON.stringify({ schema: 1, pid, started: since, place, step: 'promote' }));
  return file;
}

test('an attempt leaves nothing behind', async () => {
  const entered = await attempts.enter(1, 'promote, attempt 1', () => undefined);
  expect(await readdir(path.join(state, 'attempts'))).toEqual(['1.json', '1.sock']);
  await entered.leave();
  expect(await readdir(path.join(state, 'attempts'))).toEqual([]);
});

test('the next one removes the socket of one that died before it was entered', async () => {
  await (await attempts.enter(1, 'promote, attempt 1', () => undefined)).leave();
  await writeFile(path.join(state, 'attempts', '2.sock'), '');
  const entered = await attempts.enter(3, 'promote, attempt 3', () => undefined);
  expect(await readdir(path.join(state, 'attempts'))).toEqual(['3.json', '3.sock']);
  await entered.leave();
});

test('a later attempt waits until an earlier one in the same process has ended', async () => {
  const order: string[] = [];
  const first = await attempts.enter(1, 'promote, attempt 1', (why) => {
    order.push(why.type);
    setTimeout(() => void first.leave().then(() => order.push('first left')), 100);
  });
  await attempts.enter(2, 'promote, attempt 2', () => undefined);
  expect(order).toEqual(['FenceLost', 'first left']);
});

describe('an attempt in another process', () => {
  test('that notices is let go by itself', async () => {
    const worker = await command('elsewhere#1.1#');
    const file = await otherAttempt(1, worker);
    setTimeout(() => void rm(file), 100);
    await attempts.enter(2, 'promote, attempt 2', () => undefined);
    expect(await isAlive(worker)).toBe(true);
  });

  test('that stands still is ended with its process, also when that was stopped', async () => {
    const worker = await command('elsewhere#1.1#');
    process.kill(worker.pid, 'SIGSTOP');
    await otherAttempt(1, worker);
    await attempts.enter(2, 'promote, attempt 2', () => undefined);
    expect(await isAlive(worker)).toBe(false);
    expect(await readdir(path.join(state, 'attempts'))).toEqual(['2.json', '2.sock']);
  });

  test('whose process has gone never costs another its life that got the same ID', async () => {
    const stranger = await command('elsewhere#1.1#');
    await otherAttempt(1, { ...stranger, started: '1' });
    await attempts.enter(2, 'promote, attempt 2', () => undefined);
    expect(await isAlive(stranger)).toBe(true);
  });
});

describe.runIf(process.getuid?.() === 0)('an attempt in another container', () => {
  /** Enters generation 1 in a PID namespace of its own, and leaves when it is told that it was overtaken. */
  async function container(): Promise<ProcessName> {
    const script = `
      const { createAttempts } = await import(${JSON.stringify(new URL('../../host/lock/attempts.ts', import.meta.url).href)});
      const stay = setInterval(() => undefined, 1000);
      const entered = await createAttempts(process.env.STATE).enter(1, 'promote, attempt 1', async () => {
        await entered.leave();
        clearInterval(stay);
      });
      console.log('entered');`;
    const node = [
      process.execPath,
      '--import',
      import.meta.resolve('tsx'),
      '--input-type=module',
      '--eval',
      script,
    ];
    const child = execa('unshare', ['--pid', '--fork', '--kill-child', '--', ...node], {
      env: { STATE: state, [COMMAND_MARK]: 'the container' },
      reject: false,
    });
    await new Promise<void>((resolve) => child.stdout.on('data', () => resolve()));
    const inner = (await withVariable(COMMAND_MARK)).filter(({ value }) => value === 'the container');
    started.push(...inner);
    const last = inner.at(-1);
    if (last === undefined) throw new Error('the container is not there');
    return last;
  }

  test('that hears leaves by itself', async () => {
    const worker = await container();
    await createAttempts(state).enter(2, 'promote, attempt 2', () => undefined);
    expect(await readdir(path.join(state, 'attempts'))).toEqual(['2.json', '2.sock']);
    for (let time = 0; time < 100 && (await isAlive(worker)); time++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await isAlive(worker)).toBe(false);
  });

  test('that stands still is never taken for gone: nobody goes on beside it', async () => {
    const worker = await container();
    process.kill(worker.pid, 'SIGSTOP');
    await expect(attempts.enter(2, 'promote, attempt 2', () => undefined)).rejects.toMatchObject({
      type: 'HostBusy',
      message: expect.stringContaining('(promote, attempt 1)'),
    });
    process.kill(worker.pid, 'SIGCONT');
    await createAttempts(state).enter(2, 'promote, attempt 2', () => undefined);
  });

  test('that is gone holds nobody up', async () => {
    const worker = await container();
    await end(worker);
    await attempts.enter(2, 'promote, attempt 2', () => undefined);
    expect(await readdir(path.join(state, 'attempts'))).toEqual(['2.json', '2.sock']);
  });
});

describe('commands that go on without their worker', () => {
  const GONE = '4194305.1';

  test('are ended with all their children when the next attempt comes, whoever it is', async () => {
    const left = await command(`${state}#${GONE}#3`, 'setsid sleep 60 & sleep 60');
    const children = async (): Promise<number> =>
      (await withVariable(COMMAND_MARK)).filter(({ value }) => value.startsWith(state)).length;
    while ((await children()) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    await attempts.enter(4, 'teardown, attempt 1', () => undefined);
    expect(await isAlive(left)).toBe(false);
    expect(await children()).toBe(0);
  });

  test('are ended when a worker starts', async () => {
    const left = await command(`${state}#${GONE}#`);
    await attempts.endOrphans();
    expect(await isAlive(left)).toBe(false);
  });

  test('are ended when their attempt is overtaken, though their worker lives', async () => {
    const mark = await attempts.mark(3);
    const overtaken = await command(mark);
    const beside = await command(await attempts.mark(null));
    await attempts.enter(4, 'promote, attempt 2', () => undefined);
    expect([await isAlive(overtaken), await isAlive(beside)]).toEqual([false, true]);
  });

  test('of another state folder on the same machine are left alone', async () => {
    const foreign = await command(`${state}-2#${GONE}#3`);
    await attempts.enter(4, 'promote, attempt 1', () => undefined);
    await attempts.endOrphans();
    expect(await isAlive(foreign)).toBe(true);
  });
});
