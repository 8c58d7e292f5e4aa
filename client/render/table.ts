import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import { bold } from 'yoctocolors';

/** No lines, two blanks between columns: it reads well and greps well. */
const GAP = 2;
/** How narrow the flexible column and the others get, in characters, their gaps included: if possible, and at most. */
const COMFORTABLE = { own: 30, others: 30 };
const NARROWEST = { own: 20, others: 10 };

/** How a table is made to fit. */
export interface Fit {
  /** Null: every row stays one line. */
  columns: number | null;
  /** The column that is wrapped first. */
  flexible: number;
  /** The column that is never wrapped, since what it has is there to be copied: below each row where it does not fit. */
  whole?: number;
}

/** A table of text, which fits where it is told to: what is not enough by the flexible column is had of the widest others. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  fit?: Fit,
): string {
  const all = [head.map((title) => (title === '' ? '' : bold(title))), ...rows];
  const widths = columnWidths(head, rows);
  const columns = fit?.columns ?? null;
  if (!fit || columns === null) return all.flatMap((row) => linesOf(row, widths)).join('\n');
  const { flexible, whole } = fit;
  const sum = widths.reduce((total, width, column) => (column === flexible ? total : total + width), 0);
  const least = Math.min(widths[flexible] ?? 0, NARROWEST.own);
  if (whole === undefined || sum + least <= columns) {
    narrow(widths, columns, flexible);
    return all.flatMap((row) => linesOf(row, widths)).join('\n');
  }
  const rest = widths.map((_, column) => column).filter((column) => column !== whole);
  const cells = (row: readonly string[]): string[] => rest.map((column) => row[column] ?? '');
  const widthsOfRest = rest.map((column) => widths[column] ?? 0);
  narrow(widthsOfRest, columns, rest.indexOf(flexible));
  return all
    .flatMap((row, at) => {
      const below = at === 0 ? '' : (row[whole] ?? '');
      return [...linesOf(cells(row), widthsOfRest), ...(below === '' ? [] : [`  ${below}`])];
    })
    .join('\n');
}

/**
 * Makes columns narrower until all fit, none to nothing: first the flexible one, but no wordy other one starves it; always
 * the widest of the others.
 */
function narrow(widths: number[], columns: number, flexible: number): void {
  for (const { own, others } of [COMFORTABLE, NARROWEST]) {
    const over = (): number => widths.reduce((total, width) => total + width, 0) - columns;
    const width = widths[flexible] ?? 0;
    if (over() > 0) widths[flexible] = Math.max(Math.min(width, own), width - over());
    while (over() > 0) {
      const rest = widths.map((one, column) => (column === flexible ? 0 : one));
      const widest = Math.max(...rest);
      if (widest <= others) break;
      widths[rest.indexOf(widest)] = widest - 1;
    }
  }
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
