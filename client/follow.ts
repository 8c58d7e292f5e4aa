import { createLogUpdate } from 'log-update';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../host/config/config.ts';
import { createReports } from '../host/store/reports.ts';
import { createResults } from '../host/store/results.ts';
import { isRed, type SweepReport } from '../domain/report.ts';
import { runName } from '../domain/run.ts';
import { inOrderOf } from '../domain/standing.ts';
import type { RecipeTestResult, SweepResult } from '../workflows/protocol.ts';
import type { TemporalServer } from './connect.ts';
import { workflowUrl } from '../host/config/temporal-ui.ts';
import { explain, isUnanswered, isUnreachable } from './temporal-failure.ts';
import {
  environmentLine,
  nearPath,
  outcomeRow,
  renderNews,
  renderOutcomes,
  troubleLines,
  verdictLine,
  whereLines,
  type OutcomeRow,
} from './render/outcomes.ts';
import {
  liveTestView,
  liveView,
  stepLog,
  testStepLog,
  type SweepView,
  type TestView,
} from './render/progress.ts';
import { renderResult } from './render/result.ts';
import { labelled, type Terminal } from './render/terminal.ts';
import { ask, lookAtSweep, lookAtTest, watch } from './watch.ts';

/** How following a workflow ended: with its result, with what it failed of, or because of the signal. */
export type Ended<Result> = { result: Result } | { failed: string } | { interrupted: true };

interface Following {
  server: TemporalServer;
  terminal: Pick<Terminal, 'live' | 'out'>;
  signal: AbortSignal;
}

/** How a workflow is looked at, and shown: drawn again and again, or line by line. */
interface Watched<View> {
  workflowId: string;
  look(last?: View): Promise<View>;
  live(view: View, now: number): string;
  news(): (view: View, now: number) => string[];
}

/** Shows a sweep's progress until it ends. The sweep does not mind being left. */
export async function followSweep(following: Following & { sweep: string }): Promise<Ended<SweepResult>> {
  const { server, sweep, signal } = following;
  return follow(following, {
    workflowId: sweep,
    look: (last?: SweepView) => lookAtSweep(server, sweep, signal, last),
    live: liveView,
    news: stepLog,
  });
}

/** The same of a test. */
export async function followTest(following: Following & { test: string }): Promise<Ended<RecipeTestResult>> {
  const { server, test, signal } = following;
  return follow(following, {
    workflowId: test,
    look: (last?: TestView) => lookAtTest(server, test, signal, last),
    live: liveTestView,
    news: testStepLog,
  });
}

async function follow<View, Result>(
  { server, terminal, signal }: Following,
  watched: Watched<View>,
): Promise<Ended<Result>> {
  const over = new AbortController();
  const display = terminal.live ? liveDisplay(terminal.live, watched) : plainDisplay(terminal, watched);
  const watching = watch(watched.look, display.show, AbortSignal.any([over.signal, signal]));
  try {
    const end = await untilEnd<Result>(server, watched.workflowId, signal);
    over.abort();
    await watching;
    if (!('interrupted' in end)) display.show(await watched.look(display.last()));
    return end;
  } finally {
    over.abort();
    display.done();
  }
}

const ASK_AGAIN_MS = 500;

/** Asks now and then instead of waiting in one long call, which neither Ctrl-C nor a restart of the server minds. */
async function untilEnd<Result>(
  server: TemporalServer,
  workflowId: string,
  signal: AbortSignal,
): Promise<Ended<Result>> {
  const handle = server.client.workflow.getHandle(workflowId);
  while (!signal.aborted) {
    try {
      const { status } = await ask(server, signal, () => handle.describe());
      if (status.name !== 'RUNNING') return { result: (await handle.result()) as Result };
    } catch (error) {
      // The display says that the server does not answer.
      if (!isUnreachable(error) && !isUnanswered(error)) return { failed: explain(error) };
    }
    await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
  return { interrupted: true };
}

interface Display<View> {
  show(view: View): void;
  last(): View | undefined;
  done(): void;
}

const REDRAW_MS = 500;

function liveDisplay<View>(stream: NodeJS.WriteStream, { live }: Watched<View>): Display<View> {
  const draw = createLogUpdate(stream);
  let shown: View | undefined;
  const redraw = (): void => {
    if (shown) draw(live(shown, Date.now()));
  };
  const ticker = setInterval(redraw, REDRAW_MS);
  return {
    last: () => shown,
    show(view) {
      shown = view;
      redraw();
    },
    done() {
      clearInterval(ticker);
      draw.done();
    },
  };
}

function plainDisplay<View>(terminal: Pick<Terminal, 'out'>, watched: Watched<View>): Display<View> {
  const news = watched.news();
  let shown: View | undefined;
  return {
    last: () => shown,
    show(view) {
      shown = view;
      for (const line of news(view, Date.now())) terminal.out(line);
    },
    done: () => undefined,
  };
}

/** A sweep's report, where this host has one that can be read. */
export async function reportOf(config: Pick<Config, 'state'>, sweep: string): Promise<SweepReport | null> {
  return createReports(config.state)
    .read(sweep)
    .catch(() => null);
}

/** A sweep's recipes, with what the report knows of them. */
export function outcomeRows(result: Pick<SweepResult, 'recipes'>, report: SweepReport | null): OutcomeRow[] {
  return result.recipes.map((told) => {
    const onDisk = report?.recipes.find(({ recipe }) => recipe === told.recipe);
    const { evidence, level } = onDisk ? outcomeRow(onDisk) : { evidence: null, level: null };
    return { ...told, evidence, level };
  });
}

/** What stands on the terminal when a sweep has ended: what changed, the table, each red result, the verdict, what to open. */
export async function renderSweepEnd(
  config: Pick<Config, 'host' | 'state' | 'temporal'>,
  result: SweepResult,
  report: SweepReport | null,
  terminal: Pick<Terminal, 'columns'>,
  cwd: string,
  /** False where the sweep's files are on its own host, and not here. */
  local: boolean,
): Promise<string> {
  const columns = terminal.columns();
  // A worker of an older version says nothing of them.
  const { standings = [] } = result;
  const rows = inOrderOf(standings, outcomeRows(result, report));
  const lines = result.standings === undefined ? [] : [renderNews(standings, columns, cwd), ''];
  if (rows.length > 0) lines.push(renderOutcomes(rows, columns, cwd), '');
  const results = createResults(config.state);
  const recipes = inOrderOf(standings, report?.recipes ?? []);
  for (const red of recipes.filter(({ outcome }) => isRed(outcome))) {
    const folder = await results.folderIfThere(runName(red));
    lines.push(renderResult(red, { folder, columns, cwd }), '');
  }
  const { problems, notes } = report ?? { problems: result.problems, notes: [] };
  lines.push(...troubleLines({ recipes, problems, notes }, columns));
  lines.push(verdictLine(result, columns));
  const told = result.environment === null ? null : `environment ${result.environment}`;
  const environment = report === null ? told : environmentLine(report.environment, columns);
  if (environment !== null) lines.push(environment);
  if (result.report !== null && !local)
    lines.push(labelled('report', `on ${config.host}: `, columns, result.report));
  const file = result.report !== null && local ? nearPath(result.report, cwd) : null;
  const where = { report: file, site: result.site ?? null, temporal: workflowUrl(config, result.sweep) };
  lines.push(...whereLines(where, columns));
  return lines.join('\n');
}
