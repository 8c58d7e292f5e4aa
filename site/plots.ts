import { scaleLinear, scaleUtc } from 'd3-scale';
import { line } from 'd3-shape';
import { formatDuration } from '../domain/quantities.ts';
import { html, raw, type Html } from './html.ts';

/** Plots as SVG in the page: lines over time, drawn for eyes; whoever cannot see them has the table below. */

export interface Series {
  name: string;
  /** The class of the style sheet, which gives it a colour and a dash. */
  kind: string;
  points: readonly { at: string; value: number }[];
}

export interface Plot {
  /** What it shows, for whoever cannot see it. */
  title: string;
  series: readonly Series[];
  /** How its axis is labelled. */
  label(value: number): string;
  /** The highest that can be; by default what is seen. */
  most?: number;
  /** Whether a value holds until the next one. */
  steps?: boolean;
}

const [WIDTH, HEIGHT] = [640, 200];
const EDGE = { left: 56, right: 12, top: 12, bottom: 24 };

/** Null where there are no two moments that a line could join. */
export function plot({ title, series, label, most, steps = false }: Plot): Html | null {
  const all = series.flatMap(({ points }) => points);
  const times = all.map(({ at }) => Date.parse(at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  if (all.length < 2 || first === last) return null;
  const x = scaleUtc([first, last], [EDGE.left, WIDTH - EDGE.right]);
  const highest = most ?? Math.max(...all.map(({ value }) => value));
  const y = scaleLinear([0, highest === 0 ? 1 : highest], [HEIGHT - EDGE.bottom, EDGE.top]);
  if (most === undefined) y.nice(4);
  const ticks = most === undefined ? y.ticks(4) : Array.from({ length: most + 1 }, (_one, level) => level);
  const whole = (number: number): string => number.toFixed(1);
  const drawn = series.map(({ kind, points }) => {
    const placed = points.map(({ at, value }): [number, number] => [x(Date.parse(at)), y(value)]);
    const joined = steps ? stepped(placed) : placed;
    const path = line().digits(1)(joined) ?? '';
    const dots = placed
      .map(([left, top]) => `<circle class="${kind}" cx="${whole(left)}" cy="${whole(top)}" r="2.5"/>`)
      .join('');
    return `<path class="${kind}" d="${path}"/>${dots}`;
  });
  const grid = ticks.map((tick) => {
    const top = whole(y(tick));
    return `<line class="grid" x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${top}" y2="${top}"/><text x="${EDGE.left - 6}" y="${top}" class="y">${label(tick)}</text>`;
  });
  const days = [first, last].map((at, end) => {
    const anchor = end === 0 ? 'start' : 'end';
    const left = whole(x(at));
    return `<text x="${left}" y="${HEIGHT - 6}" text-anchor="${anchor}">${new Date(at).toISOString().slice(0, 10)}</text>`;
  });
  // Numbers and names of ours, no text of others.
  return html`<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
      ${raw([...grid, ...days, ...drawn].join(''))}
    </svg>
    ${
      series.length < 2
        ? ''
        : html`<p class="legend">
            ${series.map(
              ({ kind, name }) =>
                html`<span
                  ><svg class="key" viewBox="0 0 24 8" aria-hidden="true">
                    <path class="${kind}" d="M0 4H24" />
                  </svg>
                  ${name}</span
                > `,
            )}
          </p>`
    }`;
}

function stepped(points: readonly [number, number][]): [number, number][] {
  return points.flatMap(([left, top], at): [number, number][] => {
    const before = points[at - 1];
    return before === undefined
      ? [[left, top]]
      : [
          [left, before[1]],
          [left, top],
        ];
  });
}

/** Seconds of an axis. */
export function seconds(value: number): string {
  return formatDuration(value * 1000);
}
