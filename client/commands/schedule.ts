import type { ScheduleDescription } from '@temporalio/client';
import type { Command } from 'commander';
import { reconcileScheduleIdOf, scheduleIdOf } from '../../workflows/protocol.ts';
import { scheduleUrl, workflowUrl } from '../../host/config/temporal-ui.ts';
import { ensureNamespaceReady } from '../namespace.ts';
import { EXIT } from '../failure.ts';
import { formatDuration, formatTime } from '../../domain/quantities.ts';
import { safeLines } from '../render/terminal.ts';
import { describeSchedule, ensureSchedules, requireSchedule, triggerSchedule } from '../schedule.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';

export function addScheduleCommands(program: Command, session: Session): void {
  const schedule = program
    .command('schedule')
    .description('the weekly sweep, and the daily reconcile of live services');
  const { terminal } = session;

  schedule
    .command('ensure')
    .description('create both, or make them what the configuration says; a pause stays')
    .action(async (_options: unknown, command: Command) => {
      await withServer(session, command, async (server, config) => {
        await ensureNamespaceReady(server.connection, server.namespace);
        const done = await ensureSchedules(server.client.schedule, config);
        for (const [id, what] of Object.entries(done)) {
          terminal.out(`${id}: ${what}`);
          const now = await describeSchedule(server.client.schedule, id);
          if (now !== null) terminal.out(renderSchedule(shown(now)));
        }
      });
    });

  ofHost(schedule.command('show'))
    .description('next and last times, and what is paused')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      await withServer(session, command, async (server, config) => {
        const withUrl = (one: ShownSchedule): ShownSchedule & { url: string } => ({
          ...one,
          url: scheduleUrl(config, one.id),
        });
        const sweeps = withUrl(shown(await requireSchedule(server.client.schedule, config.host)));
        const other = await describeSchedule(server.client.schedule, reconcileScheduleIdOf(config.host));
        const reconciles = other && withUrl(shown(other));
        if (options.json) {
          printJson(session, { ...sweeps, reconcile: reconciles });
          return;
        }
        for (const one of [sweeps, ...(reconciles ? [reconciles] : [])]) {
          terminal.out(`${one.id}\n${renderSchedule(one)}\ntemporal  ${one.url}`);
        }
        if (reconciles === null)
          terminal.out('no reconciles are scheduled yet: recipe-sweep schedule ensure');
      });
    });

  ofHost(schedule.command('pause'))
    .description('start no sweep until resumed; a running one goes on')
    .option('--reason <text>', 'shown wherever the schedule is')
    .action(async (options: { reason?: string }, command: Command) => {
      await withServer(session, command, async ({ client }, { host }) => {
        await requireSchedule(client.schedule, host);
        await client.schedule.getHandle(scheduleIdOf(host)).pause(options.reason ?? 'paused by an operator');
        terminal.out(`${scheduleIdOf(host)}: paused; go on with: recipe-sweep schedule resume`);
      });
    });

  ofHost(schedule.command('resume'))
    .description('undo a pause')
    .action(async (_options: unknown, command: Command) => {
      await withServer(session, command, async ({ client }, { host }) => {
        await requireSchedule(client.schedule, host);
        await client.schedule.getHandle(scheduleIdOf(host)).unpause('resumed by an operator');
        terminal.out(`${scheduleIdOf(host)}: resumed`);
        terminal.out(renderSchedule(shown(await requireSchedule(client.schedule, host))));
      });
    });

  ofHost(schedule.command('trigger'))
    .description('take its action now, unless one of its sweeps is running')
    .action(async (_options: unknown, command: Command) => {
      await withServer(session, command, async ({ client }, config) => {
        const triggered = await triggerSchedule(client.schedule, config.host);
        if ('started' in triggered) {
          terminal.out(`${triggered.started} started: ${workflowUrl(config, triggered.started)}`);
          return;
        }
        terminal.out(
          `skipped: ${triggered.running ?? 'a sweep of this schedule'} is running; watch it: recipe-sweep status`,
        );
        session.exitStatus = EXIT.none;
      });
    });
}

/** The shape of a schedule in `schedule show --json`, without its url. */
export interface ShownSchedule {
  id: string;
  paused: boolean;
  note: string | null;
  timezone: string;
  catchupMs: number;
  next: string[];
  /** Workflow IDs. */
  recent: { workflow: string; at: string }[];
  running: string[];
  skippedOverlap: number;
  missedCatchup: number;
}

function shown({ scheduleId, spec, state, policies, info }: ScheduleDescription): ShownSchedule {
  return {
    id: scheduleId,
    paused: state.paused,
    note: state.note || null,
    timezone: spec.timezone || 'UTC',
    catchupMs: policies.catchupWindow,
    next: info.nextActionTimes.slice(0, 3).map((time) => time.toISOString()),
    recent: info.recentActions.map(({ action, takenAt }) => ({
      workflow: action.workflow.workflowId,
      at: takenAt.toISOString(),
    })),
    running: info.runningActions.map(({ workflow }) => workflow.workflowId),
    skippedOverlap: info.numActionsSkippedOverlap,
    missedCatchup: info.numActionsMissedCatchupWindow,
  };
}

function renderSchedule(schedule: ShownSchedule): string {
  const { paused, note, next, recent, running, catchupMs, skippedOverlap, missedCatchup } = schedule;
  const times = next.map((time) => formatTime(new Date(time))).join(', ');
  const last = recent.at(-1);
  const lines = [
    paused ? `paused    ${note ?? ''}` : `next      ${times || 'never'} (${schedule.timezone})`,
    `last      ${last ? `${last.workflow} at ${formatTime(new Date(last.at))}` : 'never taken yet'}`,
    `running   ${running.join(', ') || 'none'}`,
    `missed    ${missedCatchup} (longer than ${formatDuration(catchupMs)} without a server), skipped for overlap ${skippedOverlap}`,
  ];
  return safeLines(lines.join('\n'));
}
