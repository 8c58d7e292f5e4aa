import { createLogUpdate } from 'log-update';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../host/config/config.ts';
import { createReports } from '../host/store/reports.ts';
import { createResults } from '../host/store/results.ts';
import { isRed, type SweepReport } from '../domain/report.ts';
import { runName } from '../domain/run.ts';
import type { SweepResult } from '../workflows/protocol.ts';
import { workflowUrl, type TemporalServer } from './connect.ts';
import { explain, isUnanswered, isUnreachable } from './failure.ts';
import {
  nearPath,
  outcomeRow,
  renderOutcomes,
  troubleLines,
  verdictLine,
  type OutcomeRow,
} from './render/outcomes.ts';
import { liveView, stepLog, type SweepView } from './render/progress.ts';
import { renderResult } from './render/result.ts';
import type { Terminal } from './render/terminal.ts';
import { ask, lookAtSweep, watchSweep } from './watch.ts';

/** How following a sweep ended: with its result, with what it failed of, or because of the signal. */
export type SweepEnd = { result: SweepResult } | { failed: string } | { interrupted: true };

export interface Following {
  server: TemporalServer;
  sweep: string;
  terminal: Pick<Terminal, 'live' | 'out'>;
  signal: AbortSignal;
}

/** Shows a sweep's progress until it ends. The sweep does not mind being left. */
export async function followSweep({ server, sweep, terminal, signal }: Following): Promise<SweepEnd> {
  const over = new AbortController();
  const display = terminal.live ? liveDisplay(terminal.live) : plainDisplay(terminal);
  const watching = watchSweep(server, sweep, display.show, AbortSignal.any([over.signal, signal]));
  try {
    const end = await untilEnd(server, sweep, signal);
    over.abort();
    await watching;
    if (!('interrupted' in end)) display.show(await lookAtSweep(server, sweep, signal, display.last()));
    return end;
  } finally {
    over.abort();
    display.done();
  }
}

const ASK_AGAIN_MS = 500;

/** Asks now and then instead of waiting in one long call, which neither Ctrl-C nor a restart of the server minds. */
async function untilEnd(server: TemporalServer, sweep: string, signal: AbortSignal): Promise<SweepEnd> {
  const handle = server.client.workflow.getHandle(sweep);
  while (!signal.aborted) {
    try {
      const { status } = await ask(server, signal, () => handle.describe());
      if (status.name !== 'RUNNING') return { result: (await handle.result()) as SweepResult };
    } catch (error) {
      // The display says that the server does not answer.
      if (!isUnreachable(error) && !isUnanswered(error)) return { failed: explain(error) };
    }
    await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
  return { interrupted: true };
}

interface Display {
  show(view: SweepView): void;
  last(): SweepView | undefined;
  done(): void;
}

const REDRAW_MS = 500;

function liveDisplay(stream: NodeJS.WriteStream): Display {
  const draw = createLogUpdate(stream);
  let shown: SweepView | undefined;
  const redraw = (): void => {
    if (shown) draw(liveView(shown, Date.now()));
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

function plainDisplay(terminal: Pick<Terminal, 'out'>): Display {
  const news = stepLog();
  let shown: SweepView | undefined;
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

/** What stands on the terminal when a sweep has ended: the table, each red result, the verdict, what to open. */
export async function renderSweepEnd(
  config: Pick<Config, 'host' | 'state' | 'temporal'>,
  result: SweepResult,
  report: SweepReport | null,
  terminal: Pick<Terminal, 'columns'>,
  cwd: string,
  /** False where the sweep's files are on its own host, and not here. */
  local: boolean,
): Promise<string> {
  const rows = outcomeRows(result, report);
  const lines = rows.length === 0 ? [] : [renderOutcomes(rows, terminal.columns(), cwd), ''];
  const results = createResults(config.state);
  for (const red of report?.recipes.filter(({ outcome }) => isRed(outcome)) ?? []) {
    const folder = await results.folderIfThere(runName(red));
    lines.push(renderResult(red, { folder, columns: terminal.columns(), cwd }), '');
  }
  lines.push(...troubleLines(report ?? { recipes: [], problems: result.problems }));
  lines.push(verdictLine(result.sweep, result.verdict, result.note));
  if (result.report !== null) {
    lines.push(`report    ${local ? nearPath(result.report, cwd) : `${result.report} on ${config.host}`}`);
  }
  lines.push(`temporal  ${workflowUrl(config, result.sweep)}`);
  return lines.join('\n');
}
