import type { Command } from 'commander';
import type { SweepVerdict } from '../../domain/report.ts';
import { createReports } from '../../host/store/reports.ts';
import { SWEEP_WORKFLOW, sweepWorkflowId, type SweepInput } from '../../workflows/protocol.ts';
import { followByHand, startByHand } from '../by-hand.ts';
import { requireWorker } from '../connect.ts';
import { workflowUrl } from '../../host/config/temporal-ui.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { followSweep, outcomeRows, renderSweepEnd, reportOf } from '../follow.ts';
import { checkRecipeNames } from '../recipe-names.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';

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
        const input: SweepInput = recipes.length === 0 ? {} : { recipes };
        const what = recipes.length === 0 ? 'every enrolled recipe' : recipes.join(', ');
        const sweep = await startByHand(server, {
          host: config.host,
          type: SWEEP_WORKFLOW,
          idAt: (now) => sweepWorkflowId(config.host, now),
          input,
          summary: `sweep by hand: ${what}`.slice(0, 200),
        });
        const url = workflowUrl(config, sweep);
        const end = await followByHand(session, {
          id: sweep,
          url,
          json: options.json ?? false,
          follow: (shown, signal) => followSweep({ server, sweep, terminal: shown, signal }),
        });
        if (end === null) return;
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

/** Red: a release is red or was not promoted. None and skipped: there is no verdict. */
export function exitStatusOf(verdict: SweepVerdict): number {
  return { green: EXIT.ok, red: EXIT.red, none: EXIT.none, skipped: EXIT.none }[verdict];
}
