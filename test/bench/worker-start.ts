import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startService, type Service } from '../../host/machine/child.ts';
import { startSystem, until, type System } from '../e2e/system.ts';
import { median, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';
import { untilReaped } from './up-to-date.ts';

const PLAIN = path.join(import.meta.dirname, 'plain-worker.mjs');
const BUNDLE = path.join(import.meta.dirname, '../../dist/workflow-bundle.js');
const PLAIN_QUEUE = 'plain';
const EVERY_MS = 10;

interface Started {
  /** Milliseconds from starting its process to its first poll, as the server has it. */
  took: number;
  /** Megabytes resident when it has had nothing to do for a while. */
  idle: number;
}

/**
 * A worker's start and what it takes while idle, against a program that does nothing but run Temporal's own worker
 * with the same bundle of workflows, on the same server.
 */
export async function workerStart(temporalBinary: string, form: Form): Promise<Figure[]> {
  const { rounds, idleMs } = form === 'short' ? { rounds: 2, idleMs: 1_000 } : { rounds: 9, idleMs: 5_000 };
  const system = await startSystem(temporalBinary, []);
  try {
    const plain: Started[] = [];
    const ours: Started[] = [];
    for (let round = 0; round < rounds; round++) {
      interruption.throwIfAborted();
      plain.push(await measure(system, PLAIN_QUEUE, idleMs, () => startPlain(system)));
      ours.push(await measure(system, system.taskQueue, idleMs, () => startOurs(system)));
    }
    const only = (started: readonly Started[], what: keyof Started): number[] =>
      started.map((one) => one[what]);
    const overPlain = (what: keyof Started): number[] =>
      ours.map((one, round) => one[what] / (plain[round]?.[what] ?? NaN));
    const middle = (started: readonly Started[], what: keyof Started): string =>
      median(only(started, what)).toFixed(0);
    return [
      {
        name: 'worker start over a plain one: to its first poll',
        unit: 'ratio',
        aim: { atMost: 2 },
        samples: overPlain('took'),
        notes: [`first poll after ${middle(ours, 'took')} ms, of a plain worker ${middle(plain, 'took')} ms`],
      },
      {
        name: 'idle worker over a plain one: resident memory',
        unit: 'ratio',
        aim: { atMost: 1.5 },
        samples: overPlain('idle'),
        notes: [`resident ${middle(ours, 'idle')} MB, of a plain worker ${middle(plain, 'idle')} MB`],
      },
    ];
  } finally {
    await system.stop();
  }
}

async function measure(
  system: System,
  queue: string,
  idleMs: number,
  start: () => Promise<Service>,
): Promise<Started> {
  const before = await pollers(system, queue);
  const began = performance.now();
  const starting = start();
  await Promise.race([
    // It says why it has ended, if it has.
    starting.then(() => new Promise(() => undefined)),
    until(
      async () => (await pollers(system, queue)).some((one) => !before.includes(one)),
      undefined,
      EVERY_MS,
    ),
  ]);
  const took = performance.now() - began;
  const worker = await starting;
  try {
    await sleep(idleMs, undefined, { signal: interruption });
    return { took, idle: await resident(worker) };
  } finally {
    await worker.stop();
  }
}

async function startPlain({ folder, temporal }: System): Promise<Service> {
  const address = temporal.connection.options.address;
  return startService({
    file: process.execPath,
    args: [PLAIN, address, PLAIN_QUEUE, BUNDLE],
    env: {},
    logFile: path.join(folder, 'plain-worker.log'),
  });
}

async function startOurs(system: System): Promise<Service> {
  const worker = await system.startWorker();
  await untilReaped(system);
  return worker;
}

/** The names of those who have asked for workflow tasks lately: `<pid>@<host>` of each. */
async function pollers({ temporal }: System, queue: string): Promise<string[]> {
  const { connection, namespace } = temporal;
  const asked = { namespace, taskQueue: { name: queue }, taskQueueType: 1 };
  const answer = await connection.workflowService.describeTaskQueue(asked);
  return (answer.pollers ?? []).map(({ identity }) => identity ?? '');
}

async function resident({ pid }: Service): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1_000_000;
}
