import { createLogUpdate } from 'log-update';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../host/config.ts';
import { createResults } from '../host/results.ts';
import { outcomeEvidence } from '../domain/outcome.ts';
import type { SweepResult } from '../workflows/protocol.ts';
import { workflowUrl, type TemporalServer } from './connect.ts';
import { explain, isUnreachable } from './failure.ts';
import { nearPath, renderOutcomes, verdictLine, type OutcomeRow } from './render/outcomes.ts';
import { liveView, stepLog, type SweepView } from './render/progress.ts';
import type { Terminal } from './render/terminal.ts';
import { lookAtSweep, watchSweep } from './watch.ts';

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
    if (!('interrupted' in end)) display.show(await lookAtSweep(server, sweep, display.last()));
    return end;
  } finally {
    over.abort();
    display.done();
  }
}

const RETRY_MS = 2_000;

async function untilEnd({ client }: TemporalServer, sweep: string, signal: AbortSignal): Promise<SweepEnd> {
  const interrupted = new Promise<SweepEnd>((resolve) => {
    const stop = (): void => resolve({ interrupted: true });
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  for (;;) {
    const ended = client.workflow
      .getHandle(sweep)
      .result()
      .then((result): SweepEnd => ({ result: result as SweepResult }));
    try {
      return await Promise.race([ended, interrupted]);
    } catch (error) {
      // A server that restarts in these hours is no reason to stop waiting; the display says so.
      if (!isUnreachable(error)) return { failed: explain(error) };
    }
    await Promise.race([sleep(RETRY_MS), interrupted]);
  }
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

/** A sweep's recipes with their evidence, from the report on disk where this host has it. */
export async function outcomeRows(
  config: Pick<Config, 'state'>,
  result: Pick<SweepResult, 'sweep' | 'recipes'>,
): Promise<OutcomeRow[]> {
  const report = await createResults(config.state)
    .readReport(result.sweep)
    .catch(() => null);
  return result.recipes.map(({ recipe, outcome, why }) => {
    const onDisk = report?.recipes.find((each) => each.recipe === recipe);
    return { recipe, outcome, why, evidence: onDisk ? outcomeEvidence(onDisk.outcome) : null };
  });
}

/** What stands on the terminal when a sweep has ended: the table, the verdict, what to open. */
export function renderSweepEnd(
  config: Pick<Config, 'temporal'>,
  result: SweepResult,
  rows: readonly OutcomeRow[],
  terminal: Pick<Terminal, 'columns'>,
  cwd: string,
): string {
  const lines = rows.length === 0 ? [] : [renderOutcomes(rows, terminal.columns(), cwd), ''];
  lines.push(verdictLine(result.sweep, result.verdict, result.note));
  if (result.report !== null) lines.push(`report    ${nearPath(result.report, cwd)}`);
  lines.push(`temporal  ${workflowUrl(config, result.sweep)}`);
  return lines.join('\n');
}
