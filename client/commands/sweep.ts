import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/client';
import type { Command } from 'commander';
import { isRecipeName } from '../../domain/names.ts';
import type { SweepVerdict } from '../../domain/report.ts';
import { createReports } from '../../host/store/reports.ts';
import { SWEEP_WORKFLOW, sweepWorkflowId, taskQueueOf, type SweepInput } from '../../workflows/protocol.ts';
import { requireWorker, workflowUrl, type TemporalServer } from '../connect.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { followSweep, outcomeRows, renderSweepEnd, reportOf } from '../follow.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';
import { stopSignal } from '../signals.ts';

export function addSweepCommand(program: Command, session: Session): void {
  ofHost(program.command('sweep'))
    .description('sweep now, all enrolled recipes or those named, and wait for the outcomes')
    .argument('[recipe...]')
    .option('--json', 'print the result as JSON; progress goes to stderr')
    .action(async (recipes: string[], options: { json?: true }, command: Command) => {
      checkRecipeNames(recipes);
      await withServer(session, command, async (server, config, local) => {
        const { terminal, cwd } = session;
        // On this host a worker may be started later; what nobody serves elsewhere may be no host at all.
        if (!local) await requireWorker(server, config.host);
        const sweep = await startSweep(server, config.host, recipes);
        const url = workflowUrl(config, sweep);
        const progress = options.json ? { live: null, out: terminal.err } : terminal;
        progress.out(`${sweep} started: ${url}`);
        const stop = stopSignal();
        const end = await followSweep({ server, sweep, terminal: progress, signal: stop.signal });
        stop.dispose();
        if ('interrupted' in end) {
          terminal.err(
            `${sweep} goes on without this terminal. Watch it: recipe-sweep status, or ${url}. Stop it: recipe-sweep abort ${sweep}`,
          );
          session.exitStatus = EXIT.interrupted;
          return;
        }
        if ('failed' in end) {
          // A cancelled sweep has a report as well.
          const reports = createReports(config.state);
          const kept = local && (await reports.read(sweep)) !== null;
          const report = kept ? `\nreport    ${reports.fileOf(sweep)}` : '';
          throw new CommandStopped(`${sweep} failed: ${end.failed}${report}\ntemporal  ${url}`);
        }
        const report = local ? await reportOf(config, sweep) : null;
        if (options.json) {
          printJson(session, { ...end.result, url, recipes: outcomeRows(end.result, report) });
        } else terminal.out(`\n${await renderSweepEnd(config, end.result, report, terminal, cwd, local)}`);
        session.exitStatus = exitStatusOf(end.result.verdict);
      });
    });
}

/** A name that no recipe can have is refused here; whether it is enrolled, the sweep itself says. */
export function checkRecipeNames(names: readonly string[]): void {
  const wrong = names.filter((name) => !isRecipeName(name));
  if (wrong.length > 0) {
    const quoted = wrong.map((name) => JSON.stringify(name)).join(', ');
    throw new CommandStopped(`not a recipe name: ${quoted} (a-z, 0-9 and single hyphens)`);
  }
}

/** Its second names a sweep by hand. Where another one has that name already, this one takes the next second's. */
async function startSweep({ client }: TemporalServer, host: string, recipes: string[]): Promise<string> {
  const input: SweepInput = recipes.length === 0 ? {} : { recipes };
  const what = recipes.length === 0 ? 'every enrolled recipe' : recipes.join(', ');
  for (;;) {
    const now = new Date();
    const workflowId = sweepWorkflowId(host, now);
    try {
      await client.workflow.start(SWEEP_WORKFLOW, {
        workflowId,
        taskQueue: taskQueueOf(host),
        args: [input],
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: `sweep by hand: ${what}`.slice(0, 200),
      });
      return workflowId;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await sleep(1000 - now.getMilliseconds());
    }
  }
}

/** Red: a release is red or was not promoted. None and skipped: there is no verdict. */
export function exitStatusOf(verdict: SweepVerdict): number {
  return { green: EXIT.ok, red: EXIT.red, none: EXIT.none, skipped: EXIT.none }[verdict];
}
