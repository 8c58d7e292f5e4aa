import type { WorkflowHandle, WorkflowUpdateHandle } from '@temporalio/client';
import type { Command } from 'commander';
import {
  abortUpdate,
  pauseUpdate,
  resumeUpdate,
  skipUpdate,
  TEST_WORKFLOW,
} from '../../workflows/protocol.ts';
import { requireWorker } from '../connect.ts';
import { CommandStopped } from '../failure.ts';
import { explain, isNotFound, isUnanswered } from '../temporal-failure.ts';
import { meantSweep, runningSweeps } from '../running.ts';
import { ofHost, withServer, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

/** Steers a running sweep by the updates of its protocol; prints what the sweep answers. */
export function addSteerCommands(program: Command, session: Session): void {
  const whole = [
    {
      name: 'pause',
      update: pauseUpdate,
      description: 'let the recipe that runs end, then wait; the host stays taken',
    },
    { name: 'resume', update: resumeUpdate, description: 'go on after a pause' },
  ];
  for (const { name, update, description } of whole) {
    ofHost(program.command(name))
      .description(`running sweep: ${description}`)
      .argument('[sweep]', 'needed when several run')
      .action(async (asked: string | undefined, _options: unknown, command: Command) => {
        await steer(session, command, asked, (sweep) =>
          sweep.startUpdate(update, { waitForStage: 'ACCEPTED' }),
        );
      });
  }
  ofHost(program.command('abort'))
    .description('running sweep, or test: stop now: tear down, report, end')
    .argument('[sweep]', 'or test, by its ID; needed when several sweeps run')
    .action(async (asked: string | undefined, _options: unknown, command: Command) => {
      if (asked !== undefined && (await cancelTest(session, command, asked))) return;
      await steer(session, command, asked, (sweep) =>
        sweep.startUpdate(abortUpdate, { waitForStage: 'ACCEPTED' }),
      );
    });
  ofHost(program.command('skip'))
    .description('running sweep: leave out a recipe that has not begun')
    .argument('<recipe>')
    .argument('[sweep]', 'needed when several run')
    .option('--reason <text>', 'kept in the report')
    .action(
      async (recipe: string, asked: string | undefined, options: { reason?: string }, command: Command) => {
        checkRecipeNames([recipe]);
        const { reason } = options;
        const args = [reason === undefined ? { recipe } : { recipe, reason }] as [
          { recipe: string; reason?: string },
        ];
        await steer(session, command, asked, (sweep) =>
          sweep.startUpdate(skipUpdate, { args, waitForStage: 'ACCEPTED' }),
        );
      },
    );
}

/** Cancels it if it is a test that runs; answers whether it is. */
async function cancelTest(session: Session, command: Command, asked: string): Promise<boolean> {
  return withServer(session, command, async ({ client }) => {
    const handle = client.workflow.getHandle(asked);
    try {
      const { type, status } = await handle.describe();
      if (type !== TEST_WORKFLOW || status.name !== 'RUNNING') return false;
      await handle.cancel();
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
    session.terminal.out(`${asked}: is being cancelled; it tears down and records that`);
    return true;
  });
}

const ACCEPT_TIMEOUT_MS = 10_000;
const PATIENCE_MS = 1_000;

async function steer(
  session: Session,
  command: Command,
  asked: string | undefined,
  start: (sweep: WorkflowHandle) => Promise<WorkflowUpdateHandle<string>>,
): Promise<void> {
  await withServer(session, command, async (server, { host }) => {
    const sweep = meantSweep(asked, asked === undefined ? await runningSweeps(server, host) : []);
    await requireWorker(server, host);
    try {
      const update = await server.connection.withDeadline(Date.now() + ACCEPT_TIMEOUT_MS, () =>
        start(server.client.workflow.getHandle(sweep)),
      );
      // An abort answers when everything is torn down.
      const waiting = setTimeout(() => session.terminal.err(`${sweep}: accepted, not done yet`), PATIENCE_MS);
      try {
        session.terminal.out(`${sweep}: ${await update.result()}`);
      } finally {
        clearTimeout(waiting);
      }
    } catch (error) {
      if (isNotFound(error)) throw new CommandStopped(`${sweep}: no such sweep is running`);
      if (isUnanswered(error)) {
        throw new CommandStopped(
          `${sweep} did not answer within ${ACCEPT_TIMEOUT_MS / 1000} s, so it may not have heard; look: recipe-sweep status`,
        );
      }
      throw new CommandStopped(`${sweep}: ${explain(error)}`);
    }
  });
}
