import type { TurnRequest, Turns } from '../domain/turn.ts';
import type { Sample } from './families.ts';

/** What only the Temporal server knows. Times are milliseconds since the epoch. */
export interface TemporalView {
  /** Workers that wait on the host's task queue now, and when any was seen last; null where none is known. */
  workers: { polling: number; lastPollMs: number | null };
  /** Null where no worker says it. */
  turns: Turns | null;
  /** Null where there is no such schedule; `nextMs` is null of one that is paused, or has nothing to do any more. */
  schedules: Record<'sweep' | 'reconcile', { paused: boolean; nextMs: number | null } | null>;
}

const ASKERS: readonly TurnRequest['asker'][] = ['sweep', 'hand', 'test'];

/** Null where the server does not answer. */
export function temporalSamples(view: TemporalView | null): Sample[] {
  if (view === null) return [['temporal_up', {}, 0]];
  const { workers, turns, schedules } = view;
  const samples: Sample[] = [
    ['temporal_up', {}, 1],
    ['workers_polling', {}, workers.polling],
  ];
  if (workers.lastPollMs !== null) {
    samples.push(['worker_last_poll_timestamp_seconds', {}, workers.lastPollMs / 1000]);
  }
  if (turns !== null) samples.push(...turnSamples(turns));
  for (const [schedule, is] of Object.entries(schedules)) {
    samples.push(['schedule_exists', { schedule }, Number(is !== null)]);
    if (is === null) continue;
    samples.push(['schedule_paused', { schedule }, Number(is.paused)]);
    if (is.nextMs !== null) {
      samples.push(['schedule_next_timestamp_seconds', { schedule }, is.nextMs / 1000]);
    }
  }
  return samples;
}

function turnSamples({ holder, heldMs, waiting }: Turns): Sample[] {
  const samples = ASKERS.map((asker): Sample => [
    'turns_waiting',
    { asker },
    waiting.filter((one) => one.asker === asker).length,
  ]);
  if (holder !== null) {
    const { asker, what, sinceMs } = holder;
    samples.push(['turn_held_since_timestamp_seconds', { asker, what }, (heldMs ?? sinceMs) / 1000]);
  }
  if (waiting.length > 0) {
    const first = Math.min(...waiting.map(({ sinceMs }) => sinceMs));
    samples.push(['turn_waiting_since_timestamp_seconds', {}, first / 1000]);
  }
  return samples;
}
