import type { Command } from 'commander';
import { countOutcomes, type SweepReport } from '../../domain/report.ts';
import { createResults, type Results } from '../../host/store/results.ts';
import { workflowUrl } from '../connect.ts';
import { CommandStopped } from '../failure.ts';
import { nearPath, outcomeRow, renderOutcomes, troubleLines, verdictLine } from '../render/outcomes.ts';
import { formatTime } from '../render/quantities.ts';
import { renderResult } from '../render/result.ts';
import { renderTable } from '../render/table.ts';
import { configOf, printJson, type Session } from '../session.ts';

export function addResultsCommand(program: Command, session: Session): void {
  program
    .command('results')
    .description('the report of a sweep, by default the latest; read from disk')
    .argument('[sweep]')
    .option('--recipe <name>', 'only this recipe; by default of the latest sweep that it was in')
    .option('--list', 'every sweep that has a report, newest first')
    .option('--json')
    .action(
      async (
        sweep: string | undefined,
        options: { recipe?: string; list?: true; json?: true },
        command: Command,
      ) => {
        const config = await configOf(session, command);
        const { terminal, cwd } = session;
        const results = createResults(config.state);
        if (options.list) {
          const { reports, unreadable } = await results.reports();
          for (const problem of unreadable) terminal.err(problem);
          const list = reports.map((report) => summary(results, report));
          if (options.json) printJson(session, list);
          else terminal.out(list.length === 0 ? 'no sweep has ended yet' : renderList(list));
          return;
        }
        const report = await reportOf(results, sweep, options.recipe, config.state);
        if (options.json) {
          printJson(session, report);
          return;
        }
        const columns = terminal.columns();
        const rows = report.recipes.map(outcomeRow);
        if (rows.length > 0) terminal.out(`${renderOutcomes(rows, columns, cwd)}\n`);
        for (const result of report.recipes.filter(({ tiers }) => tiers.length > 0)) {
          const folder = results.folderOf(report.sweep, result.recipe);
          terminal.out(`${renderResult(result, { folder, columns, cwd })}\n`);
        }
        for (const line of troubleLines(report)) terminal.out(line);
        terminal.out(verdictLine(report.sweep, report.verdict, report.note));
        terminal.out(`ended     ${formatTime(new Date(report.ended))}`);
        terminal.out(`report    ${nearPath(results.reportFile(report.sweep), cwd)}`);
        terminal.out(`temporal  ${workflowUrl(config, report.sweep)}`);
      },
    );
}

/** The report that is asked for; of one recipe alone where one is named. */
async function reportOf(
  results: Results,
  sweep: string | undefined,
  recipe: string | undefined,
  state: string,
): Promise<SweepReport> {
  const found = sweep === undefined ? (await results.reports()).reports : [await results.readReport(sweep)];
  const reports = found.filter((report) => report !== null);
  if (reports.length === 0) {
    throw new CommandStopped(
      sweep === undefined
        ? `no sweep has ended yet in ${state}`
        : `${sweep}: no report at ${results.reportFile(sweep)}; it has not ended, or there is no such sweep (recipe-sweep results --list)`,
    );
  }
  for (const report of reports) {
    const recipes = report.recipes.filter((one) => recipe === undefined || one.recipe === recipe);
    if (recipe === undefined || recipes.length > 0) return { ...report, recipes };
  }
  throw new CommandStopped(
    `${JSON.stringify(recipe)} is in no report${sweep === undefined ? '' : ` of ${sweep}`}`,
  );
}

interface Summary {
  sweep: string;
  ended: string;
  verdict: SweepReport['verdict'];
  outcomes: Record<string, number>;
  report: string;
}

function summary(results: Results, { sweep, ended, verdict, recipes }: SweepReport): Summary {
  const outcomes = Object.fromEntries(countOutcomes(recipes.map(({ outcome }) => outcome)));
  return { sweep, ended, verdict, outcomes, report: results.reportFile(sweep) };
}

function renderList(list: readonly Summary[]): string {
  return renderTable(
    ['sweep', 'ended', 'verdict', 'outcomes'],
    list.map(({ sweep, ended, verdict, outcomes }) => [
      sweep,
      formatTime(new Date(ended)),
      verdict,
      Object.entries(outcomes)
        .map(([name, count]) => `${count} ${name}`)
        .join(', '),
    ]),
  );
}
