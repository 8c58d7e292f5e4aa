import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import { readJson } from '../machine/durable-file.ts';

/**
 * One at a time on this host. The lock is a log of generations, `<state>/lock/<number>.json`: the highest
 * number says who holds the host, and each change of hands is the exclusive creation of the next number, so
 * of two that try at once one wins. The holder is a workflow: the lock is as good as void the moment that
 * workflow is no longer open, whatever became of the worker.
 *
 * A generation is also the fence. Every attempt of a step that changes something takes a generation of its
 * own; an attempt that finds a higher one than its own (a later attempt, or another run) must stop.
 */

const generationSchema = z.strictObject({
  schema: z.literal(1),
  holder: z
    .strictObject({ workflowId: z.string(), runId: z.string(), what: z.string(), since: z.string() })
    .nullable(),
  /** What the holder does now, for people. */
  step: z.string(),
  /** Whose lock it is, for people; absent from what older versions wrote. */
  host: z.string().exactOptional(),
});

export interface Holder {
  workflowId: string;
  /** The first run's ID, which continue-as-new and reset keep. */
  runId: string;
  /** What it is, for people: `sweep`, `recipe run`, `reap`, `canonical forget`. */
  what: string;
}

type Generation = z.output<typeof generationSchema>;

export interface Claim {
  /** Higher than that of everybody who came before. */
  generation: number;
  /** Throws Fault FenceLost once anybody came later. */
  guard(): Promise<void>;
}

export interface HostLock {
  /**
   * Takes the host for the first of these holders that is open, unless one of them has it already.
   * Throws Fault HostBusy, naming the holder, when an open workflow not among them has it.
   */
  claim(holders: readonly Holder[], step: string): Promise<Claim>;
  /** Gives the host back if this holder has it; else does nothing. */
  giveBack(holder: Holder, asOf?: Date): Promise<void>;
  /** Who has it now, or null. A holder whose workflow has ended is nobody. */
  current(): Promise<(Holder & { since: string; step: string }) | null>;
}

export interface LockSettings {
  state: string;
  host: string;
  /** Whether this very workflow execution is still open on the Temporal server. */
  isOpen(holder: Holder): Promise<boolean>;
  now(): Date;
}

const KEPT_GENERATIONS = 20;

export function createHostLock({ state, host, isOpen, now }: LockSettings): HostLock {
  const folder = path.join(state, 'lock');
  const fileOf = (number: number): string => path.join(folder, `${String(number).padStart(12, '0')}.json`);

  async function highest(): Promise<number> {
    const numbers = (await readdir(folder))
      .map((name) => /^(\d{12})\.json$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number);
    return Math.max(0, ...numbers);
  }

  /** Null when another came first. */
  async function advance(from: number, generation: Generation): Promise<number | null> {
    const temporary = path.join(folder, `.${process.pid}-${from}-${Math.random().toString(36).slice(2)}`);
    try {
      await writeFile(temporary, `${JSON.stringify(generation)}\n`, { flush: true });
      await link(temporary, fileOf(from + 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    await rm(fileOf(from + 1 - KEPT_GENERATIONS), { force: true });
    return from + 1;
  }

  async function look(): Promise<{ number: number; generation: Generation | null }> {
    await mkdir(folder, { recursive: true });
    for (;;) {
      const number = await highest();
      if (number === 0) return { number, generation: null };
      const generation = await readJson(fileOf(number), generationSchema);
      if (generation) return { number, generation };
    }
  }

  const same = (a: Holder, b: Holder): boolean => a.workflowId === b.workflowId && a.runId === b.runId;

  async function firstOpen(holders: readonly Holder[]): Promise<Holder> {
    for (const holder of holders) if (await isOpen(holder)) return holder;
    throw new Fault(
      'FenceLost',
      `${holders.map((h) => h.workflowId).join(' and ')}: no longer open on the Temporal server`,
    );
  }

  return {
    async claim(holders, step) {
      for (;;) {
        const { number, generation } = await look();
        const held = generation?.holder && (await isOpen(generation.holder)) ? generation.holder : null;
        const mine = held && holders.find((holder) => same(holder, held));
        if (held && !mine) {
          throw new Fault(
            'HostBusy',
            `${generation?.host ?? host} is held by ${held.what} ${held.workflowId} since ${held.since} (${generation?.step})`,
          );
        }
        const holder = mine ?? (await firstOpen(holders));
        const since = mine && held ? held.since : now().toISOString();
        const { workflowId, runId, what } = holder;
        const taken = await advance(number, {
          schema: 1,
          host,
          holder: { workflowId, runId, what, since },
          step,
        });
        if (taken === null) continue;
        passBoundary('lock.after-claim');
        const guard = async (): Promise<void> => {
          const latest = await highest();
          if (latest !== taken) {
            const later = await readFile(fileOf(latest), 'utf8').catch(() => '');
            throw new Fault('FenceLost', `${step}: this attempt was overtaken by ${later.trim()}`);
          }
          passBoundary('guard.after-look');
        };
        return { generation: taken, guard };
      }
    },

    async giveBack(holder, asOf = now()) {
      for (;;) {
        const { number, generation } = await look();
        if (!generation?.holder || !same(generation.holder, holder)) return;
        if (generation.holder.since > asOf.toISOString()) return;
        if ((await advance(number, { schema: 1, host, holder: null, step: 'free' })) === null) continue;
        passBoundary('lock.after-give-back');
        return;
      }
    },

    async current() {
      const { generation } = await look();
      if (!generation?.holder || !(await isOpen(generation.holder))) return null;
      return { ...generation.holder, step: generation.step };
    },
  };
}
