import type { Command } from 'commander';
import { diskText, estimateText, type DiskReport } from '../../domain/disk.ts';
import { messageOf } from '../../domain/fault.ts';
import { outcomeTitle } from '../../domain/outcome.ts';
import { countOutcomes, type RecipeResult, type SweepReport } from '../../domain/report.ts';
import { redSince, type IndexedRun } from '../../domain/run-history.ts';
import { runName } from '../../domain/run.ts';
import { fleetPage, recipePage, runPage } from '../../domain/site-url.ts';
import { inOrderOf } from '../../domain/standing.ts';
import { runFolderName } from '../../host/store/places.ts';
import { createReports, type Reports } from '../../host/store/reports.ts';
import { createResults } from '../../host/store/results.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { workflowUrl } from '../../host/config/temporal-ui.ts';
import { standingsAtEnd, toldStanding } from '../../host/store/standings.ts';
import { CommandStopped } from '../failure.ts';
import {
  colourOutcome,
  environmentLine,
  nearPath,
  outcomeRow,
  renderOutcomes,
  renderNews,
  troubleLines,
  verdictLine,
  whereLines,
} from '../render/outcomes.ts';
import { formatTime } from '../../domain/quantities.ts';
import { renderResult } from '../render/result.ts';
import { renderTable } from '../render/table.ts';
import { labelled, oneLine } from '../render/terminal.ts';
import { configOf, printJson, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

interface Options {
  recipe?: string;
  list?: true;
  json?: true;
}

export function addResultsCommand(program: Command, session: Session): void {
  program
    .command('results')
    .description('the report of a sweep, by default the latest, or the result of a test; read from disk')
    .argument('[sweep]', 'or test')
    .option('--recipe <name>', 'only this recipe; by default of the latest sweep that it was in')
    .option('--list', 'every sweep that has a report, newest first; with --recipe every run of it')
    .option('--json')
    .action(async (sweep: string | undefined, options: Options, command: Command) => {
      const {
        state,
        temporal,
        serve: { url: site },
      } = await configOf(session, command);
      const { terminal, cwd } = session;
      const columns = terminal.columns();
      if (options.recipe !== undefined) checkRecipeNames([options.recipe]);
      if (options.list) {
        await (options.recipe === undefined
          ? listSweeps(session, options, state)
          : listRuns(session, options, state, options.recipe));
        return;
      }
      const reports = createReports(state);
      const ofTest = sweep === undefined ? null : await testResult(state, reports, sweep);
      if (ofTest !== null) {
        if (options.json) printJson(session, ofTest);
        else {
          const folder = await createResults(state).folderIfThere(runName(ofTest));
          terminal.out(`${renderResult(ofTest, { folder, columns, cwd })}\n`);
          const page = site === undefined ? null : runPage(site, runFolderName(runName(ofTest)));
          const url = workflowUrl({ temporal }, ofTest.workflow.id);
          for (const line of whereLines({ site: page, temporal: url }, columns)) terminal.out(line);
        }
        return;
      }
      const report =
        options.recipe === undefined
          ? await reportOf(session, reports, sweep, state)
          : await reportOfRecipe(session, reports, sweep, options.recipe, state);
      if (options.json) {
        printJson(session, report);
        return;
      }
      const standings = await standingsAtEnd(createRunIndex(state), report);
      const told = standings.map((one) => toldStanding(one, { site, state }));
      const recipes = inOrderOf(standings, report.recipes);
      if (recipes.length > 0) {
        terminal.out(`${renderNews(told, columns, cwd)}\n`);
        terminal.out(`${renderOutcomes(recipes.map(outcomeRow), columns, cwd)}\n`);
      }
      const results = createResults(state);
      for (const result of recipes.filter(({ tiers }) => tiers.length > 0)) {
        const folder = await results.folderIfThere(runName(result));
        terminal.out(`${renderResult(result, { folder, columns, cwd })}\n`);
      }
      for (const line of troubleLines({ ...report, recipes }, columns)) terminal.out(line);
      terminal.out(verdictLine(report, columns));
      const environment = environmentLine(report.environment, columns);
      if (environment !== null) terminal.out(environment);
      terminal.out(`ended     ${formatTime(new Date(report.ended))}`);
      for (const line of diskLines(report.disk, columns)) terminal.out(line);
      const { recipe } = options;
      const where = {
        report: nearPath(reports.fileOf(report.sweep), cwd),
        site: site === undefined ? null : recipe === undefined ? fleetPage(site) : recipePage(site, recipe),
        temporal: workflowUrl({ temporal }, report.sweep),
      };
      for (const line of whereLines(where, columns)) terminal.out(line);
    });
}

/** How room stood when the sweep ended, and what the next one takes. */
function diskLines(disk: DiskReport | null, columns: number | null): string[] {
  if (disk === null) return [];
  const { disks, headroom, next } = disk;
  const lines = [...disks.map((one) => diskText(one, headroom, next)), estimateText(next)];
  return lines.filter((line) => line !== '').map((line) => labelled('disk', oneLine(line), columns));
}

/** The result of the test of that ID; null where it is none's, or has none. Of a sweep its report is asked, not its runs. */
async function testResult(state: string, reports: Reports, id: string): Promise<RecipeResult | null> {
  const isSweep = await reports.read(id).then(
    (report) => report !== null,
    () => true,
  );
  if (isSweep) return null;
  const found = await createResults(state).askedBy(id);
  return found.find(({ asked }) => asked.by === 'test') ?? null;
}

/** The report that is asked for. */
async function reportOf(
  session: Session,
  reports: Reports,
  sweep: string | undefined,
  state: string,
): Promise<SweepReport> {
  if (sweep === undefined) {
    const [latest] = await readable(session, reports);
    if (latest === undefined) throw new CommandStopped(`no sweep has ended yet in ${state}`);
    return latest;
  }
  const report = await reports.read(sweep);
  if (report !== null) return report;
  throw new CommandStopped(
    `${sweep}: no report at ${reports.fileOf(sweep)}; it has not ended, or there is no sweep or test of that ID (recipe-sweep results --list names the sweeps)`,
  );
}

/** The same of one recipe alone; by default of the latest sweep that it was in. */
async function reportOfRecipe(
  session: Session,
  reports: Reports,
  sweep: string | undefined,
  recipe: string,
  state: string,
): Promise<SweepReport> {
  const ofRecipe = (report: SweepReport): SweepReport => ({
    ...report,
    recipes: report.recipes.filter((one) => one.recipe === recipe),
  });
  if (sweep !== undefined) {
    const report = ofRecipe(await reportOf(session, reports, sweep, state));
    if (report.recipes.length > 0) return report;
    throw new CommandStopped(`${JSON.stringify(recipe)} is in no report of ${sweep}`);
  }
  const { runs } = await createRunIndex(state).of(recipe);
  const unreadable: string[] = [];
  for (const { asked } of runs) {
    // Of a sweep that goes on there is no report yet, and one that cannot be read hides no others.
    const report = await reports.read(asked.id).catch((error: unknown) => {
      unreadable.push(messageOf(error));
      return null;
    });
    const found = report && ofRecipe(report);
    if (!found || found.recipes.length === 0) continue;
    for (const problem of unreadable) session.terminal.err(problem);
    return found;
  }
  // Older versions kept no index, and one that is lost is written anew by the next sweep.
  const all = (await readable(session, reports)).map(ofRecipe);
  const latest = all.find(({ recipes }) => recipes.length > 0);
  if (latest !== undefined) return latest;
  throw new CommandStopped(
    all.length === 0 ? `no sweep has ended yet in ${state}` : `${JSON.stringify(recipe)} is in no report`,
  );
}

/** Those that can be read, newest first; the others are named, since the latest may be among them. */
async function readable({ terminal }: Session, files: Reports): Promise<SweepReport[]> {
  const { reports, unreadable } = await files.all();
  for (const problem of unreadable) terminal.err(problem);
  if (reports.length === 0 && unreadable.length > 0) throw new CommandStopped('no other sweep has a report');
  return reports;
}

interface Summary {
  sweep: string;
  ended: string;
  verdict: SweepReport['verdict'];
  outcomes: Record<string, number>;
  report: string;
}

async function listSweeps(session: Session, { json }: Options, state: string): Promise<void> {
  const { terminal } = session;
  const files = createReports(state);
  const list = (await readable(session, files)).map(({ sweep, ended, verdict, recipes }): Summary => {
    const outcomes = Object.fromEntries(countOutcomes(recipes.map(({ outcome }) => outcome)));
    return { sweep, ended, verdict, outcomes, report: files.fileOf(sweep) };
  });
  if (json) printJson(session, list);
  else terminal.out(list.length === 0 ? 'no sweep has ended yet' : renderList(list, terminal.columns()));
}

function renderList(list: readonly Summary[], columns: number | null): string {
  return renderTable(
    ['ended', 'verdict', 'outcomes', 'sweep'],
    list.map(({ sweep, ended, verdict, outcomes }) => [
      formatTime(new Date(ended)),
      verdict,
      Object.entries(outcomes)
        .map(([name, count]) => `${count} ${name}`)
        .join(', '),
      oneLine(sweep),
    ]),
    { flexible: 2, whole: 3, columns },
  );
}

/** Every run of one recipe, as its index has them. */
async function listRuns(session: Session, { json }: Options, state: string, recipe: string): Promise<void> {
  const { terminal } = session;
  const { runs, problem } = await createRunIndex(state).of(recipe);
  if (problem !== null) terminal.err(problem);
  if (json) printJson(session, runs);
  else
    terminal.out(runs.length === 0 ? `${recipe} has had no run yet` : renderRuns(runs, terminal.columns()));
}

function renderRuns(runs: readonly IndexedRun[], columns: number | null): string {
  const table = renderTable(
    ['ended', 'outcome', 'version', 'level', 'run'],
    runs.map(({ ended, outcome, version, level, run }) => [
      formatTime(new Date(ended)),
      colourOutcome(oneLine(outcomeTitle(outcome))),
      oneLine(version ?? ''),
      level === null ? '' : String(level),
      oneLine(run),
    ]),
    { flexible: 1, whole: 4, columns },
  );
  const red = redSince(runs);
  if (red === null) return table;
  return `${table}\n\nred since ${formatTime(new Date(red.since))}, ${red.runs === 1 ? '1 run' : `${red.runs} runs`}`;
}
