import { ScheduleNotFoundError, type Client } from '@temporalio/client';
import { createHostLock } from '../host/lock/host-lock.ts';
import type { Config } from '../host/config/config.ts';
import type { Now } from '../site/read.ts';
import { scheduleIdOf } from '../workflows/protocol.ts';
import { isOpenWorkflow } from './open-workflow.ts';

/** So often the server is asked for the schedule. */
const SCHEDULE_FRESH_MS = 30_000;

/** What the site says of this moment, as the lock and the Temporal server know it; what neither answers is not known. */
export function siteNow({ state, host }: Pick<Config, 'state' | 'host'>, client: Client): () => Promise<Now> {
  const lock = createHostLock({
    state,
    host,
    now: () => new Date(),
    isOpen: (holder) => isOpenWorkflow(client, holder),
  });
  let asked: { atMs: number; schedule: Now['schedule'] } | null = null;

  async function schedule(): Promise<Now['schedule']> {
    try {
      const { state: is, info } = await client.schedule.getHandle(scheduleIdOf(host)).describe();
      const next = is.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null);
      return { next, paused: is.paused, note: is.note || null };
    } catch (error) {
      return error instanceof ScheduleNotFoundError ? 'none' : null;
    }
  }

  return async () => {
    if (asked === null || performance.now() - asked.atMs > SCHEDULE_FRESH_MS) {
      asked = { atMs: performance.now(), schedule: await schedule() };
    }
    return { holder: await lock.current().catch(() => 'unknown' as const), schedule: asked.schedule };
  };
}
