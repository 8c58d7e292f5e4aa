import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import { bold } from 'yoctocolors';

/** No lines, two blanks between columns: it reads well and greps well. */
const GAP = 2;
/** A column that is wrapped gets no narrower, in characters, its gap included. */
const NARROWEST = 20;

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
    if (flexible !== undefined) {
      widths[fit.flexible] = Math.min(flexible, Math.max(fit.columns - rest, NARROWEST));
    }
  }
  return [head.map((title) => (title === '' ? '' : bold(title))), ...rows]
    .flatMap((row) => linesOf(row, widths))
    .join('\n');
}

/** How wide each column is on a terminal when nothing is wrapped, its gap included. */
export function columnWidths(head: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return head.map(
    (title, column) => Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(stringWidth)) + GAP,
  );
}

/** A row's cells beside each other, in as many lines as the longest of them needs. */
function linesOf(row: readonly string[], widths: readonly number[]): string[] {
  const cells = widths.map((width, column) => {
    const text = row[column] ?? '';
    const room = width - GAP;
    return stringWidth(text) <= room ? [text] : wrapAnsi(text, room, { hard: true }).split('\n');
  });
  return Array.from({ length: Math.max(...cells.map(({ length }) => length)) }, (_, line) =>
    widths
      .map((width, column) => {
        const text = cells[column]?.[line] ?? '';
        return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
      })
      .join('')
      .trimEnd(),
  );
}
