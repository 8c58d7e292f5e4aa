import path from 'node:path';
import { cyan, dim, green, red, yellow } from 'yoctocolors';
import { oneLine } from './terminal.ts';
import { columnWidths, renderTable } from './table.ts';

/** One line of a sweep's end: what became of a recipe, and the file to open next. */
export interface OutcomeRow {
  recipe: string;
  /** outcomeTitle(). */
  outcome: string;
  why: string;
  evidence: string | null;
}

/** Each outcome in its colour, told by its first word. */
export function colourOutcome(title: string): string {
  if (title.startsWith('PASS')) return green(title);
  if (title.startsWith('FAIL') || title.startsWith('GREEN-BUT')) return red(title);
  if (title.startsWith('ERROR')) return yellow(title);
  return dim(title);
}

const HEAD = ['recipe', 'outcome', 'why', 'open next'];
const WHY = 2;
const NARROWEST_WHY = 30;

/**
 * The table at a sweep's end. A path is never cut or wrapped, since it is there to be copied: where the
 * terminal is too narrow for it, the files are listed below the table.
 */
export function renderOutcomes(rows: readonly OutcomeRow[], columns: number | null, cwd: string): string {
  const shown = rows.map(({ recipe, outcome, why, evidence }) => [
    oneLine(recipe),
    colourOutcome(oneLine(outcome)),
    oneLine(why),
    evidence === null ? '' : oneLine(nearPath(evidence, cwd)),
  ]);
  const widths = columnWidths(HEAD, shown);
  const fixed = widths.reduce((sum, width, column) => (column === WHY ? sum : sum + width), 0);
  if (columns === null || fixed + NARROWEST_WHY <= columns) {
    return renderTable(HEAD, shown, { flexible: WHY, columns });
  }
  const files = shown.filter((row) => row[3]).map(([recipe, , , file]) => [`  ${recipe}`, file ?? '']);
  const table = renderTable(
    HEAD.slice(0, 3),
    shown.map((row) => row.slice(0, 3)),
    { flexible: WHY, columns },
  );
  return files.length === 0 ? table : `${table}\n\n${renderTable(['open next', ''], files)}`;
}

/** A file as the operator would type it from here. */
export function nearPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative === '' || relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}

/** A sweep's verdict as one sentence. */
export function verdictLine(sweep: string, verdict: string, note: string | null): string {
  const colour = { green, red, none: yellow, skipped: cyan }[verdict] ?? String;
  return `${sweep}: ${colour(verdict === 'none' ? 'no verdict' : verdict)}${note === null ? '' : ` (${oneLine(note)})`}`;
}
