import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Fault } from '../../domain/fault.ts';
import { noneIfMissing, readJson, writeJson } from '../machine/durable-file.ts';
import { call, listen, type Living } from './liveness.ts';
import {
  COMMAND_MARK,
  end,
  isAlive,
  ownName,
  ownPlace,
  withVariable,
  type ProcessName,
} from '../machine/processes.ts';

/**
 * Who changes this host now: `<state>/attempts/<generation>.json` for each attempt of a step that has claimed
 * the host and has not ended, with the process it runs in. Whoever comes later (a later generation of the host
 * lock) ends the earlier ones before it looks at anything: a guard that is asked before each change cannot stop
 * an attempt that was held up between the asking and the change, or whose tar goes on without it.
 *
 * Commands carry a mark in their environment, which their own children inherit, so that those of a dead or
 * overtaken attempt are found however it died.
 */

const MARK = /^(.*)#(\d+)\.(\d+)#(\d*)$/s;

const attemptSchema = z.strictObject({
  schema: z.literal(1),
  pid: z.number().int().positive(),
  started: z.string(),
  /** Of the machine's start and the process IDs' namespace: elsewhere the pid means nothing. */
  place: z.string(),
  step: z.string(),
});

export interface Attempts {
  /**
   * Enters an attempt of this process. Resolves once every earlier attempt has ended, or was ended: those of
   * this process by `overtaken`, those of another that do not notice in time together with their process. One in
   * another container cannot be ended from here: throws Fault HostBusy, naming it, when it does not notice.
   */
  enter(generation: number, step: string, overtaken: (why: Fault) => void): Promise<Entered>;
  /** What marks the commands of an attempt; of one that does not hold the host without a generation. */
  mark(generation: number | null): Promise<string>;
  /** Ends the commands that workers which are gone left running. */
  endOrphans(): Promise<void>;
}

export interface Entered {
  leave(): Promise<void>;
}

/** For an attempt to find out for itself that it was overtaken. */
const NOTICE_MS = 10_000;
/** For one in this process, whose commands are ended and whose waits end at once. */
const LAST_NOTICE_MS = 60_000;
const POLL_MS = 50;

/** The attempts of this process, by state folder and generation. */
const running = new Map<string, { stop: (why: Fault) => void }>();

export function createAttempts(state: string, noticeMs = NOTICE_MS): Attempts {
  const folder = path.join(state, 'attempts');
  const fileOf = (generation: number): string => path.join(folder, `${generation}.json`);
  const socketOf = (generation: number): string => path.join(folder, `${generation}.sock`);
  const keyOf = (generation: number): string => `${state}#${generation}`;

  async function mark(generation: number | null): Promise<string> {
    const { pid, started } = await ownName();
    return `${state}#${pid}.${started}#${generation ?? ''}`;
  }

  async function earlierThan(kind: 'json' | 'sock', generation: number): Promise<number[]> {
    const names = await readdir(folder).catch(noneIfMissing);
    return names
      .flatMap((name) => {
        const [, number, of] = /^(\d+)\.(json|sock)$/.exec(name) ?? [];
        return of === kind ? [Number(number)] : [];
      })
      .filter((one) => one < generation)
      .sort((a, b) => a - b);
  }

  /** Resolves to false when the attempt is still there after the time. */
  async function hasLeft(generation: number, withinMs: number): Promise<boolean> {
    const deadline = Date.now() + withinMs;
    while ((await readJson(fileOf(generation), attemptSchema)) !== null) {
      if (Date.now() > deadline) return false;
      await sleep(POLL_MS);
    }
    return true;
  }

  async function endEarlier(earlier: number, by: number): Promise<void> {
    const why = new Fault('FenceLost', `generation ${earlier} was overtaken by generation ${by}`);
    const own = running.get(keyOf(earlier));
    if (own) {
      own.stop(why);
      if (await hasLeft(earlier, LAST_NOTICE_MS)) return;
      throw new Fault('Daemon', `an earlier attempt in this worker does not end; restart the worker`);
    }
    const found = await readJson(fileOf(earlier), attemptSchema);
    if (found === null) return;
    const itsProcess: ProcessName = found;
    if (found.place !== (await ownPlace())) {
      // That call tells it, if it hears.
      if (await call(socketOf(earlier))) {
        if (await hasLeft(earlier, noticeMs)) return;
        if (await call(socketOf(earlier))) throw stillThere(found.step);
      }
    } else if (found.pid !== process.pid && (await isAlive(itsProcess))) {
      if (await hasLeft(earlier, noticeMs)) return;
      await end(itsProcess);
    }
    await rm(fileOf(earlier), { force: true });
    await rm(socketOf(earlier), { force: true });
  }

  async function endCommands(isLeft: (worker: ProcessName, generation: number | null) => Promise<boolean>) {
    for (;;) {
      const commands = await withVariable(COMMAND_MARK);
      const left = [];
      for (const command of commands) {
        const [, of, pid, started = '', generation] = MARK.exec(command.value) ?? [];
        if (of !== state || command.pid === process.pid) continue;
        const number = generation ? Number(generation) : null;
        if (await isLeft({ pid: Number(pid), started }, number)) left.push(command);
      }
      if (left.length === 0) return;
      await Promise.all(left.map(end));
    }
  }

  async function isOrphan(worker: ProcessName): Promise<boolean> {
    return !(await isAlive(worker));
  }

  return {
    mark,

    async enter(generation, step, overtaken) {
      for (const earlier of await earlierThan('json', generation)) await endEarlier(earlier, generation);
      // Of those that died before they were entered.
      for (const earlier of await earlierThan('sock', generation)) {
        await rm(socketOf(earlier), { force: true });
      }
      await endCommands(
        async (worker, number) => (number !== null && number < generation) || (await isOrphan(worker)),
      );
      const key = keyOf(generation);
      running.set(key, { stop: overtaken });
      let living: Living | undefined;
      try {
        await mkdir(folder, { recursive: true });
        living = await listen(socketOf(generation), () =>
          overtaken(new Fault('FenceLost', `generation ${generation} was overtaken from another container`)),
        );
        const record = { schema: 1, ...(await ownName()), place: await ownPlace(), step };
        await writeJson(fileOf(generation), record);
      } catch (error) {
        running.delete(key);
        await living?.close();
        throw error;
      }
      return {
        async leave() {
          running.delete(key);
          await rm(fileOf(generation), { force: true });
          await living.close();
        },
      };
    },

    async endOrphans() {
      await endCommands(isOrphan);
    },
  };
}

function stillThere(step: string): Fault {
  return new Fault(
    'HostBusy',
    `another container with this state folder is at work (${step}), or stands still in the middle of it, and cannot be ended from here: docker unpause it, or docker rm --force it; then this goes on`,
  );
}
