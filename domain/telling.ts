import type { Alert } from './alert.ts';

/** What is still to be told of an alert, to one who is told of alerts. */

/** Times are ISO 8601, UTC. */
export interface TimedAlert extends Alert {
  since: string;
  lastSeen: string;
  /** Null while it holds. */
  ended: string | null;
}

/** What one was told of one alert. */
export interface Told {
  /** That it holds: how often, when last, and what of its message, as {@link gistOf} has it. Null when never. */
  holds: { times: number; at: string; gist: string[] } | null;
  /** When it was told that it is over. */
  over: string | null;
}

export const UNTOLD: Told = { holds: null, over: null };

/** That it holds, that it does and its message says something new, or that it is over. */
export type Telling = 'holds' | 'changed' | 'over';

export interface Owed {
  telling: Telling;
  /** Since when, in ISO 8601, UTC. */
  since: string;
}

const DAY_MS = 24 * 60 * 60_000;
const LONGEST_WAIT_MS = 7 * DAY_MS;

/**
 * What is owed now to one who is told since then; null when nothing is. An alert is told once, and a change of its
 * message only where a line of it says what was not told before: the first at once, further ones after a day, two, four
 * and then a week, since what looks new may be noise. Whoever was told that it holds is told that it is over; of one that
 * came and went untold that alone, unless it was over before anybody was to be told.
 */
export function owedOf(alert: TimedAlert, told: Told, since: string, now: Date): Owed | null {
  const { holds, over } = told;
  if (alert.ended !== null) {
    const isOwed = over === null && (holds !== null || alert.ended >= since);
    return isOwed ? { telling: 'over', since: alert.ended } : null;
  }
  if (holds === null) return { telling: 'holds', since: later(alert.since, since) };
  if (gistOf(alert.message).every((line) => holds.gist.includes(line))) return null;
  const due = new Date(Date.parse(holds.at) + waitMs(holds.times));
  return due > now ? null : { telling: 'changed', since: later(alert.lastSeen, due.toISOString()) };
}

/** As it is once this was told. */
export function withTold({ message }: Alert, told: Told, telling: Telling, now: Date): Told {
  const at = now.toISOString();
  if (telling === 'over') return { ...told, over: at };
  const { times, gist } = told.holds ?? { times: 0, gist: [] };
  const known = [...new Set([...gist, ...gistOf(message)])].slice(-MOST_KNOWN);
  return { ...told, holds: { times: times + 1, at, gist: known } };
}

function later(one: string, other: string): string {
  return one > other ? one : other;
}

function waitMs(times: number): number {
  return times <= 1 ? 0 : Math.min(DAY_MS * 2 ** (times - 2), LONGEST_WAIT_MS);
}

const MOST_LINES = 100;
const MOST_KNOWN = 3 * MOST_LINES;
const LONGEST_LINE = 200;

/** The lines of a message without what is another each time that the same is seen, such as a duration. */
export function gistOf(message: string): string[] {
  const lines = message
    .split('\n')
    .map((line) =>
      line
        .slice(0, 2 * LONGEST_LINE)
        .replaceAll(WORD, lasting)
        .trim()
        .slice(0, LONGEST_LINE),
    )
    .filter((line) => line !== '');
  return [...new Set(lines)].slice(0, MOST_LINES);
}

const WORD = /v?\d+\.\d+\.\d+\+[\w.-]*\w|[0-9a-z]+/gi;
const SHORTEST_ID = 12;

/** Releases and commits say what an alert is about; names of runs, containers and files, times and counts do not. */
function lasting(word: string): string {
  if (word.includes('+') || /^[0-9a-f]{40}$/i.test(word) || !/\d/.test(word)) return word;
  return /^[0-9a-f]+$/i.test(word) || word.length >= SHORTEST_ID ? '#' : word.replaceAll(/\d+/g, '#');
}
