import Table from 'cli-table3';
import { bold } from 'yoctocolors';

/** No lines, two blanks between columns: it reads well and greps well. */
const PLAIN = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((place) => [place, '']),
);

const GAP = 2;

/**
 * A table of text. `flexible` names the column that is wrapped so that the table fits `columns`;
 * without columns (no terminal) every row stays one line.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  fit?: { flexible: number; columns: number | null },
): string {
  const widths = columnWidths(head, rows);
  if (fit && fit.columns !== null) {
    const rest = widths.reduce((sum, width, column) => (column === fit.flexible ? sum : sum + width), 0);
    const flexible = widths[fit.flexible];
    if (flexible !== undefined) widths[fit.flexible] = Math.min(flexible, Math.max(fit.columns - rest, 20));
  }
  const table = new Table({
    chars: PLAIN,
    head: head.map((title) => bold(title)),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
    colWidths: widths,
    wordWrap: true,
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** How wide each column is when nothing is wrapped, its gap included. */
export function columnWidths(head: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return head.map(
    (title, column) => Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(shownWidth)) + GAP,
  );
}

/** Columns a text takes on the terminal: colour codes take none. Our words and recipe names are ASCII. */
function shownWidth(text: string): number {
  return stripColours(text).length;
}

function stripColours(text: string): string {
  return text.replace(/\u001b\[\d+m/g, '');
}
