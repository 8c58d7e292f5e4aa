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
  RECONCILE_WORKFLOW,
  reconcileIdPrefix,
  reconcileScheduleIdOf,
  scheduleIdOf,
  sweepIdPrefix,
  SWEEP_WORKFLOW,
  taskQueueOf,
  type SweepInput,
} from '../workflows/protocol.ts';
import { CommandStopped } from './failure.ts';

/**
 * The weekly sweep and the daily reconcile: two Temporal schedules that start their workflows, in every way like an
 * operator does.
 */

type Schedule = ScheduleOptions<ScheduleOptionsStartWorkflowAction<(input: SweepInput) => Promise<unknown>>>;

type Scheduled = Pick<Config, 'schedule' | 'reconcile' | 'host'>;

/** The schedule of sweeps that the configuration asks for. */
export function scheduleOptions({ schedule, host }: Pick<Config, 'schedule' | 'host'>): Schedule {
  return {
    scheduleId: scheduleIdOf(host),
    spec: specOf(schedule, schedule.timezone, 'the weekly sweep'),
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

/** The schedule of reconciles that the configuration asks for. One that is missed is made up for by the next. */
export function reconcileScheduleOptions({ schedule, reconcile, host }: Scheduled): Schedule {
  return {
    scheduleId: reconcileScheduleIdOf(host),
    spec: specOf(reconcile, schedule.timezone, 'the reconcile of live services'),
    action: {
      type: 'startWorkflow',
      workflowType: RECONCILE_WORKFLOW,
      workflowId: reconcileIdPrefix(host),
      taskQueue: taskQueueOf(host),
      args: [{}],
      staticSummary: `reconcile of ${host}: every live service`,
      staticDetails: `Started by schedule ${reconcileScheduleIdOf(host)}. Takes each live service to its latest release, and back where that is unhealthy.`,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: RECONCILE_CATCHUP_MS },
  };
}

const RECONCILE_CATCHUP_MS = 12 * 60 * 60 * 1000;

function specOf(
  { day, time }: Config['reconcile'],
  timezone: string,
  comment: string,
): ScheduleOptions['spec'] {
  const [hour, minute] = time.split(':').map(Number) as [number, number];
  const days = day === 'daily' ? {} : { dayOfWeek: day.toUpperCase() as DayOfWeek };
  return { calendars: [{ ...days, hour, minute, comment }], timezone };
}

/**
 * Creates both schedules, or makes them what the configuration says. Whether one is paused, and the note that says
 * why, stay as the operator left them. Answers what was done, by ID.
 */
export async function ensureSchedules(
  schedules: ScheduleClient,
  config: Scheduled,
): Promise<Record<string, 'created' | 'updated'>> {
  const done: Record<string, 'created' | 'updated'> = {};
  for (const options of [scheduleOptions(config), reconcileScheduleOptions(config)]) {
    done[options.scheduleId] = await ensure(schedules, options);
  }
  return done;
}

async function ensure(
  schedules: ScheduleClient,
  { scheduleId, ...wanted }: Schedule,
): Promise<'created' | 'updated'> {
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
  scheduleId: string,
): Promise<ScheduleDescription | null> {
  try {
    return await schedules.getHandle(scheduleId).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

/** The schedule of the host's sweeps. Throws CommandStopped when there is none. */
export async function requireSchedule(schedules: ScheduleClient, host: string): Promise<ScheduleDescription> {
  const description = await describeSchedule(schedules, scheduleIdOf(host));
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
