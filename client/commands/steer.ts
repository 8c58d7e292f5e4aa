import type { Command } from 'commander';
import { abortUpdate, pauseUpdate, resumeUpdate, skipUpdate } from '../../workflows/protocol.ts';
import { requireWorker, type TemporalServer } from '../connect.ts';
import { CommandStopped, explain, isNotFound, isUnanswered } from '../failure.ts';
import { meantSweep, runningSweeps } from '../running.ts';
import { withServer, type Session } from '../session.ts';
import { checkRecipeNames } from './sweep.ts';

/** Steers a running sweep by the updates of its protocol; prints what the sweep answers. */
export function addSteerCommands(program: Command, session: Session): void {
  const whole = [
    { name: 'pause', update: pauseUpdate, description: 'let the recipe that runs finish, then wait' },
    { name: 'resume', update: resumeUpdate, description: 'go on after a pause' },
    { name: 'abort', update: abortUpdate, description: 'stop now: tear down, report, end' },
  ];
  for (const { name, update, description } of whole) {
    program
      .command(name)
      .description(`running sweep: ${description}`)
      .argument('[sweep]', 'needed when several run')
      .action(async (asked: string | undefined, _options: unknown, command: Command) => {
        await steer(session, command, asked, ({ client }, sweep) =>
          client.workflow.getHandle(sweep).executeUpdate(update),
        );
      });
  }
  program
    .command('skip')
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
        await steer(session, command, asked, ({ client }, sweep) =>
          client.workflow.getHandle(sweep).executeUpdate(skipUpdate, { args }),
        );
      },
    );
}

const ANSWER_TIMEOUT_MS = 10_000;

async function steer(
  session: Session,
  command: Command,
  asked: string | undefined,
  update: (server: TemporalServer, sweep: string) => Promise<string>,
): Promise<void> {
  await withServer(session, command, async (server) => {
    const sweep = meantSweep(asked, asked === undefined ? await runningSweeps(server) : []);
    await requireWorker(server);
    try {
      const answer = await server.connection.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
        update(server, sweep),
      );
      session.terminal.out(`${sweep}: ${answer}`);
    } catch (error) {
      if (isNotFound(error)) throw new CommandStopped(`${sweep}: no such sweep is running`);
      if (isUnanswered(error)) {
        throw new CommandStopped(
          `${sweep} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s, so it may not have heard; look: recipe-sweep status`,
        );
      }
      throw new CommandStopped(`${sweep}: ${explain(error)}`);
    }
  });
}
