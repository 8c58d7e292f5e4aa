import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAttempts } from '../../host/lock/attempts.ts';
import { COMMAND_MARK } from '../../host/machine/processes.ts';
import { withVariable } from '../../host/machine/processes.ts';
import { openSwarm, type Swarm } from '../../host/engine/swarm.ts';
import { importBusybox } from './engine.ts';

/** Commands in a container of this machine's engine. Needs a static busybox. */

const hex = randomBytes(3).toString('hex');
const [image, bare] = [`localhost/recipe-sweep/command:${hex}`, `localhost/recipe-sweep/bare:${hex}`];
const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
const scratch = mkdtempSync(path.join(tmpdir(), 'container-command-'));
const containers: Dockerode.Container[] = [];
let container: string;
/** A command that no other test's process has. */
const long = (number: number): string => `sleep ${1_000_000 + parseInt(hex, 16)}${number}`;

function swarm(changes: { signal?: AbortSignal; commandMark?: string } = {}): Swarm {
  const { signal = new AbortController().signal, commandMark = '' } = changes;
  return openSwarm({ docker, signal, commandMark, guard: async () => undefined });
}

async function start(from: string, command: string[]): Promise<string> {
  const made = await docker.createContainer({ Image: from, Cmd: command, Env: ['PATH=/bin'] });
  containers.push(made);
  await made.start();
  return made.id;
}

/** Processes on this host that run in a container and have this in their command line. */
async function running(text: string): Promise<number> {
  const listed = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes(text)).length;
}

beforeAll(async () => {
  importBusybox(image, ['sh', 'sleep', 'cat', 'seq', 'echo', 'head', 'tr']);
  importBusybox(bare, ['sleep']);
  container = await start(image, ['/bin/sleep', '1000']);
});

afterAll(async () => {
  for (const one of containers) await one.remove({ force: true }).catch(() => undefined);
  for (const one of [image, bare]) await docker.getImage(one).remove({ force: true });
  rmSync(scratch, { recursive: true, force: true });
});

it('answers the status and both streams', async () => {
  expect(await swarm().exec(container, 'echo out; echo err >&2; exit 3', 10_000)).toEqual({
    status: 3,
    output: expect.stringMatching(/^(out\nerr|err\nout)\n$/),
  });
});

it('keeps the end of what is long, from the beginning of a line', async () => {
  const { status, output } = await swarm().exec(container, 'seq 1 300000; echo "the ünd"', 30_000);
  expect(status).toBe(0);
  expect(output.length).toBeLessThanOrEqual(256 * 1024 + 1);
  const [first, ...lines] = output.split('\n');
  expect(first).toBe('…');
  expect(lines.slice(-3)).toEqual(['300000', 'the ünd', '']);
  expect(lines.slice(0, -2)).toEqual(
    lines.slice(0, -2).map((_, index) => String(300_000 - (lines.length - 3) + index)),
  );
});

it('ends what takes too long, its children too, and answers what it printed', async () => {
  const began = Date.now();
  const answer = await swarm().exec(container, `echo began; ${long(1)} & ${long(1)}`, 1_000);
  expect(answer).toEqual({ status: null, output: 'began\n' });
  expect(Date.now() - began).toBeLessThan(5_000);
  expect(await running(long(1))).toBe(0);
});

it('ends what runs when its attempt ends', async () => {
  const attempt = new AbortController();
  const command = swarm({ signal: attempt.signal }).exec(container, long(2), 60_000);
  while ((await running(long(2))) === 0) await sleep(20);
  attempt.abort(new Error('overtaken'));
  await expect(command).rejects.toThrow('overtaken');
  expect(await running(long(2))).toBe(0);
});

it('leaves a mark by which a later attempt ends it', async () => {
  const state = path.join(scratch, 'state');
  const attempts = createAttempts(state);
  const mark = await attempts.mark(1);
  const command = swarm({ commandMark: mark }).exec(container, long(3), 60_000);
  while ((await running(long(3))) === 0) await sleep(20);
  expect((await withVariable(COMMAND_MARK)).some(({ value }) => value === mark)).toBe(true);
  const later = await attempts.enter(2, 'the next attempt', () => undefined);
  expect(await command).toMatchObject({ status: 137 });
  await later.leave();
});

it('says of a container that ends meanwhile that nothing was learned', async () => {
  const short = await start(image, ['/bin/sleep', '1000']);
  const command = swarm().exec(short, long(4), 60_000);
  while ((await running(long(4))) === 0) await sleep(20);
  await Promise.all([
    expect(command).rejects.toMatchObject({ type: 'Daemon' }),
    docker.getContainer(short).remove({ force: true }),
  ]);
  await expect(swarm().exec(short, 'echo', 1_000)).rejects.toMatchObject({ type: 'Daemon' });
});

it('fails where there is no sh', async () => {
  const without = await start(bare, ['/bin/sleep', '1000']);
  const { status, output } = await swarm().exec(without, 'echo', 10_000);
  expect(status).not.toBe(0);
  expect(output).toContain('sh');
});
