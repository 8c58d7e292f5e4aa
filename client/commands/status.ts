import type { Command } from 'commander';
import { overdueAlerts } from '../../alerts/overdue.ts';
import { NOBODY, type TurnRequest, type Turns } from '../../domain/turn.ts';
import type { Config } from '../../host/config/config.ts';
import { isNotFound, isUnanswered } from '../temporal-failure.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { isOpenWorkflow } from '../../worker/open-workflow.ts';
import { hostWorkflowId, scheduleIdOf, taskQueueOf, turnsQuery } from '../../workflows/protocol.ts';
import type { TemporalServer } from '../connect.ts';
import { workflowUrl } from '../../host/config/temporal-ui.ts';
import { pollingWorkers } from '../../worker/pollers.ts';
import { renderStatus, type Status } from '../render/status.ts';
import { runningSweeps, runningTests } from '../running.ts';
import { describeSchedule } from '../schedule.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';
import { lookAtSweep, lookAtTest } from '../watch.ts';

export function addStatusCommand(program: Command, session: Session): void {
  ofHost(program.command('status'))
    .description(
      'who holds this host, running sweeps and tests and their steps, the schedule, the worker, alerts that do not arrive',
    )
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      const status = await withServer(session, command, readStatus);
      if (options.json) printJson(session, status);
      else session.terminal.out(renderStatus(status, Date.now()));
    });
}

const ANSWER_TIMEOUT_MS = 3_000;

/** Who has the host and who waits for it; null where no worker answers. */
async function readTurns({ client, connection }: TemporalServer, host: string): Promise<Turns | null> {
  try {
    const granting = client.workflow.getHandle(hostWorkflowId(host));
    return await connection.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, async () => {
      // One that was ended by somebody still answers, with what was so then.
      const { status } = await granting.describe();
      return status.name === 'RUNNING' ? granting.query(turnsQuery) : NOBODY;
    });
  } catch (error) {
    if (isNotFound(error)) return NOBODY;
    if (isUnanswered(error)) return null;
    throw error;
  }
}

function holderOf({ holder, heldMs }: Turns): Status['holder'] {
  return holder && { ...named(holder), since: new Date(heldMs ?? holder.sinceMs).toISOString(), step: null };
}

function named({ workflow, what }: TurnRequest) {
  return { workflowId: workflow.id, runId: workflow.runId, what };
}

/** Everything `status` says, in the shape of its JSON. */
export async function readStatus(server: TemporalServer, config: Config, local: boolean): Promise<Status> {
  const lock = createHostLock({
    state: config.state,
    host: config.host,
    isOpen: (holder) => isOpenWorkflow(server.client, holder),
    now: () => new Date(),
  });
  const [locked, turns, workers, sweeps, tests, schedule, overdue] = await Promise.all([
    // The lock knows the step, and what holds the host without having asked; it is on the host's own disk.
    local ? lock.current() : null,
    readTurns(server, config.host),
    pollingWorkers(server, taskQueueOf(config.host)),
    runningSweeps(server, config.host),
    runningTests(server, config.host),
    describeSchedule(server.client.schedule, scheduleIdOf(config.host)),
    // What cannot be read of them says `doctor`.
    local
      ? overdueAlerts(config, new Date()).then(
          (found) => found.overdue,
          () => null,
        )
      : null,
  ]);
  const never = new AbortController().signal;
  const looks = await Promise.all(sweeps.map(async ({ sweep }) => lookAtSweep(server, sweep, never)));
  const testLooks = await Promise.all(tests.map(async ({ test }) => lookAtTest(server, test, never)));
  return {
    host: config.host,
    holder: locked ?? (turns && holderOf(turns)),
    waiting:
      turns?.waiting.map((one) => ({ ...named(one), since: new Date(one.sinceMs).toISOString() })) ?? null,
    workers: workers.map(({ identity, lastSeen }) => ({ identity, lastSeen: lastSeen.toISOString() })),
    sweeps: sweeps.map(({ sweep, started }, index) => {
      const look = looks[index];
      return {
        sweep,
        started: started.toISOString(),
        url: workflowUrl(config, sweep),
        state: look?.progress?.state ?? null,
        note: look?.note ?? null,
        recipes: (look?.progress?.recipes ?? []).map((recipe) => ({
          ...recipe,
          step: look?.steps.get(recipe.recipe) ?? null,
        })),
      };
    }),
    tests: tests.map(({ test, recipe, started }, index) => ({
      test,
      recipe,
      started: started.toISOString(),
      url: workflowUrl(config, test),
      step: testLooks[index]?.step ?? null,
      note: testLooks[index]?.note ?? null,
    })),
    schedule:
      schedule === null
        ? null
        : {
            id: scheduleIdOf(config.host),
            paused: schedule.state.paused,
            note: schedule.state.note || null,
            next: schedule.state.paused ? null : (schedule.info.nextActionTimes[0]?.toISOString() ?? null),
          },
    overdue,
  };
}
