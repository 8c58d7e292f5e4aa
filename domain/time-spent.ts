import { formatDuration } from './quantities.ts';

/** Where a run's time went. Each moment of it counts once, so that all parts together are the whole. */

/**
 * What time is known to be spent on where that happens. Of several at once the first of these counts: what goes on inside
 * another thing is nearer to the truth.
 */
export const SPENT_ON = ['pulling', 'scripts', 'data', 'mirrorSync', 'app', 'turn', 'retries'] as const;

export type SpentOn = (typeof SPENT_ON)[number];

/** From when to when; milliseconds since the epoch. */
export interface Span {
  on: SpentOn;
  fromMs: number;
  toMs: number;
}

/** Milliseconds, by what they were spent on; `own` is all that is known of nothing else: our own overhead. */
export type TimeSpent = Record<SpentOn | 'own', number>;

/** In print. */
export const SPENT_IN_WORDS: Readonly<Record<keyof TimeSpent, string>> = {
  app: 'waiting for the app',
  pulling: 'pulling',
  scripts: 'hooks and checks',
  data: 'data',
  mirrorSync: 'mirror-sync',
  turn: 'waiting for its turn',
  retries: 'trying again',
  own: 'our own overhead',
};

/** Divides a run's time. What lies outside of the run counts for nothing. */
export function timeSpent(
  spans: readonly Span[],
  { startedMs, endedMs }: { startedMs: number; endedMs: number },
): TimeSpent {
  const within = spans
    .map(({ on, fromMs, toMs }) => ({
      on,
      fromMs: Math.max(fromMs, startedMs),
      toMs: Math.min(toMs, endedMs),
    }))
    .filter(({ fromMs, toMs }) => fromMs < toMs);
  const edges = new Set([startedMs, endedMs, ...within.flatMap(({ fromMs, toMs }) => [fromMs, toMs])]);
  const moments = [...edges].sort((a, b) => a - b);
  const spent: TimeSpent = {
    app: 0,
    pulling: 0,
    scripts: 0,
    data: 0,
    mirrorSync: 0,
    turn: 0,
    retries: 0,
    own: 0,
  };
  for (const [index, at] of moments.entries()) {
    const next = moments[index + 1];
    if (next === undefined || next > endedMs) break;
    const going = within.filter(({ fromMs, toMs }) => fromMs <= at && at < toMs).map(({ on }) => on);
    const on = SPENT_ON.find((one) => going.includes(one)) ?? 'own';
    spent[on] += next - at;
  }
  return spent;
}

/** In words, the largest part first; what took no second is left out. */
export function spentText(spent: TimeSpent): string {
  const parts = (Object.keys(SPENT_IN_WORDS) as (keyof TimeSpent)[])
    .filter((on) => spent[on] >= 1000)
    .sort((a, b) => spent[b] - spent[a])
    .map((on) => `${SPENT_IN_WORDS[on]} ${formatDuration(spent[on])}`);
  return parts.length === 0 ? 'less than a second of anything' : parts.join(', ');
}
