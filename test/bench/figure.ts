/** What the bench finds out: one figure each, measured several times and against an aim. Never asserted. */

/** Short is everything small, in two minutes; its numbers say that it works and little more. */
export type Form = 'short' | 'full';

export type Unit = 'ms' | 'ratio' | 'MB' | 'events';

/** A figure is good when it is at most, or at least, so much. */
export type Aim = { atMost: number } | { atLeast: number };

export interface Figure {
  name: string;
  unit: Unit;
  /** Null for what is told beside the figures with an aim. */
  aim: Aim | null;
  /** One per repetition. */
  samples: number[];
  /** Where it comes from, as printed below the table. */
  notes: string[];
}

export interface Summary extends Figure {
  median: number;
  min: number;
  max: number;
  /** Whether the median meets the aim; null when there is none. */
  met: boolean | null;
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1], sorted[middle]];
  if (high === undefined) return NaN;
  return sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
}

export function summarise(figure: Figure): Summary {
  const { aim, samples } = figure;
  const middle = median(samples);
  let met: boolean | null = null;
  if (aim !== null) met = 'atMost' in aim ? middle <= aim.atMost : middle >= aim.atLeast;
  return { ...figure, median: middle, min: Math.min(...samples), max: Math.max(...samples), met };
}

const DIGITS: Record<Unit, number> = { ms: 0, ratio: 3, MB: 1, events: 0 };

/** A number as the table has it. */
export function shown(value: number, unit: Unit): string {
  return `${value.toFixed(DIGITS[unit])}${unit === 'ratio' ? '' : ` ${unit}`}`;
}

/** One row per figure: name, aim, median, min–max, times measured, whether the aim is met. */
export function rows(figures: readonly Summary[]): string[][] {
  return figures.map(({ name, unit, aim, median: middle, min, max, samples, met }) => {
    let wanted = '';
    if (aim !== null) {
      wanted = 'atMost' in aim ? `≤ ${shown(aim.atMost, unit)}` : `≥ ${shown(aim.atLeast, unit)}`;
    }
    const verdict = met === null ? '' : met ? 'met' : 'missed';
    return [
      name,
      wanted,
      shown(middle, unit),
      `${shown(min, unit)}–${shown(max, unit)}`,
      String(samples.length),
      verdict,
    ];
  });
}

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
