import type { ScheduleDescription } from '@temporalio/client';
import type { Command } from 'commander';
import { scheduleIdOf } from '../../workflows/protocol.ts';
import { scheduleUrl, workflowUrl } from '../ui.ts';
import { ensureNamespaceReady } from '../namespace.ts';
import { EXIT } from '../failure.ts';
import { formatDuration, formatTime } from '../render/quantities.ts';
import { safeLines } from '../render/terminal.ts';
import { ensureSchedule, requireSchedule, triggerSchedule } from '../schedule.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';

export function addScheduleCommands(program: Command, session: Session): void {
  const schedule = program.command('schedule').description('the weekly sweep');
  const { terminal } = session;

  schedule
    .command('ensure')
    .description('create it, or make it what the configuration says; a pause stays')
    .action(async (_options: unknown, command: Command) => {
      await withServer(session, command, async (server, config) => {
        await ensureNamespaceReady(server.connection, server.namespace);
        const done = await ensureSchedule(server.client.schedule, config);
        terminal.out(`${scheduleIdOf(config.host)}: ${done}`);
        terminal.out(renderSchedule(shown(await requireSchedule(server.client.schedule, config.host))));
      });
    });

  ofHost(schedule.command('show'))
    .description('its next and last times, and whether it is paused')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      await withServer(session, command, async (server, config) => {
        const url = scheduleUrl(config, scheduleIdOf(config.host));
        const now = shown(await requireSchedule(server.client.schedule, config.host));
        if (options.json) printJson(session, { ...now, url });
        else terminal.out(`${scheduleIdOf(config.host)}\n${renderSchedule(now)}\ntemporal  ${url}`);
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

/** The shape of `schedule show --json`, without its url. */
export interface ShownSchedule {
  id: string;
  paused: boolean;
  note: string | null;
  timezone: string;
  catchupMs: number;
  next: string[];
  recent: { sweep: string; at: string }[];
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
      sweep: action.workflow.workflowId,
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
    `last      ${last ? `${last.sweep} at ${formatTime(new Date(last.at))}` : 'never taken yet'}`,
    `running   ${running.join(', ') || 'none'}`,
    `missed    ${missedCatchup} (longer than ${formatDuration(catchupMs)} without a server), skipped for overlap ${skippedOverlap}`,
  ];
  return safeLines(lines.join('\n'));
}
