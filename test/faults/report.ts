import { quotableLine } from '../../domain/printable.ts';
import { MARKS, type Verdict } from './judge.ts';

/** A line for an entry, and more of them where it is not right. */
export function verdictLine({ entry, mark, seen, wrong, seconds }: Verdict): string {
  const cell = [
    mark.padEnd(13),
    entry.name.padEnd(32),
    `${seconds} s`.padStart(6),
    ` ${quotableLine(seen)}`,
  ].join(' ');
  if (mark === 'right') return cell;
  const more = [...wrong, `planted: ${entry.planted}`, `it matters: ${entry.matters}`];
  return [cell, ...more.map((line) => `${' '.repeat(14)}${line}`)].join('\n');
}

/** How many of those that were asked for are what, with the names of all that are not right. */
export function summary(verdicts: readonly Verdict[], asked: number): string {
  const lines = MARKS.flatMap((mark) => {
    const names = verdicts.filter((one) => one.mark === mark).map(({ entry }) => entry.name);
    if (names.length === 0) return [];
    return `${names.length} ${mark}${mark === 'right' ? '' : `: ${names.join(', ')}`}`;
  });
  const left = asked - verdicts.length;
  return [...lines, ...(left > 0 ? [`${left} not swept`] : [])].join('\n');
}
