import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type DayOfWeek,
  type ScheduleClient,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../host/config/config.ts';
import {
  scheduleIdOf,
  sweepIdPrefix,
  SWEEP_WORKFLOW,
  taskQueueOf,
  type SweepInput,
} from '../workflows/protocol.ts';
import { CommandStopped } from './failure.ts';

/** The weekly sweep: a Temporal schedule that starts sweepWorkflow, in every way like an operator does. */

type SweepSchedule = ScheduleOptions<
  ScheduleOptionsStartWorkflowAction<(input: SweepInput) => Promise<unknown>>
>;

/** The schedule that the configuration asks for. */
export function scheduleOptions({ schedule, host }: Pick<Config, 'schedule' | 'host'>): SweepSchedule {
  const [hour, minute] = schedule.time.split(':').map(Number) as [number, number];
  return {
    scheduleId: scheduleIdOf(host),
    spec: {
      calendars: [
        { dayOfWeek: schedule.day.toUpperCase() as DayOfWeek, hour, minute, comment: 'the weekly sweep' },
      ],
      timezone: schedule.timezone,
    },
    action: {
      type: 'startWorkflow',
      workflowType: SWEEP_WORKFLOW,
      workflowId: sweepIdPrefix(host),
      taskQueue: taskQueueOf(host),
      args: [{}],
      staticSummary: `weekly sweep of ${host}: every enrolled recipe`,
      staticDetails: `Started by schedule ${scheduleIdOf(host)}. Looks for new releases, tests each cold and promotes those that pass.`,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: schedule.catchup },
  };
}

/**
 * Creates the schedule, or makes it what the configuration says. Whether it is paused, and the note that says
 * why, stay as the operator left them.
 */
export async function ensureSchedule(
  schedules: ScheduleClient,
  config: Pick<Config, 'schedule' | 'host'>,
): Promise<'created' | 'updated'> {
  const { scheduleId, ...wanted } = scheduleOptions(config);
  try {
    await schedules.create({ scheduleId, ...wanted });
    return 'created';
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  await schedules.getHandle(scheduleId).update((previous) => ({ ...wanted, state: previous.state }));
  return 'updated';
}

/** The schedule as the server has it; null when there is none. */
export async function describeSchedule(
  schedules: ScheduleClient,
  host: string,
): Promise<ScheduleDescription | null> {
  try {
    return await schedules.getHandle(scheduleIdOf(host)).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

export async function requireSchedule(schedules: ScheduleClient, host: string): Promise<ScheduleDescription> {
  const description = await describeSchedule(schedules, host);
  if (description) return description;
  throw new CommandStopped(
    `there is no schedule ${scheduleIdOf(host)} yet; create it: recipe-sweep schedule ensure`,
  );
}

/** What became of a trigger: the sweep that it started, or the one that is running instead. */
export type Triggered = { started: string } | { skipped: true; running: string | null };

const TRIGGER_TIMEOUT_MS = 15_000;

/**
 * Takes the schedule's action now, unless one of its sweeps is running: overlap is skipped, as on Sundays.
 * The server only says later what it did, so this watches its counters.
 */
export async function triggerSchedule(schedules: ScheduleClient, host: string): Promise<Triggered> {
  const before = await requireSchedule(schedules, host);
  await schedules.getHandle(scheduleIdOf(host)).trigger(ScheduleOverlapPolicy.SKIP);
  const deadline = Date.now() + TRIGGER_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const { info } = await requireSchedule(schedules, host);
    const [latest] = info.recentActions.slice(-1);
    if (info.numActionsTaken > before.info.numActionsTaken && latest) {
      return { started: latest.action.workflow.workflowId };
    }
    if (info.numActionsSkippedOverlap > before.info.numActionsSkippedOverlap) {
      return { skipped: true, running: info.runningActions[0]?.workflow.workflowId ?? null };
    }
    await sleep(200);
  }
  throw new CommandStopped(
    `the Temporal server took the trigger of ${scheduleIdOf(host)} but did not act within ${TRIGGER_TIMEOUT_MS / 1000} s; look: recipe-sweep schedule show`,
  );
}
