import type { Span, SpentOn } from '../../domain/time-spent.ts';

/** Does something, and notes how long it took and for what. */
export type Spend = <T>(on: SpentOn, body: () => Promise<T>) => Promise<T>;

/** A clock for one attempt of a step, which is given to whatever takes long in it. */
export interface Stopwatch {
  spend: Spend;
  /** What was noted so far; what still goes on is not among it. */
  spans(): Span[];
}

export function createStopwatch(): Stopwatch {
  const spans: Span[] = [];
  return {
    async spend(on, body) {
      const fromMs = Date.now();
      try {
        return await body();
      } finally {
        spans.push({ on, fromMs, toMs: Date.now() });
      }
    },
    spans: () => [...spans],
  };
}

type Verbs<T> = { [Name in keyof T]: (...args: never[]) => Promise<unknown> };

/** The same, with the time of whatever is asked of it noted. */
export function timed<T extends Verbs<T>>(spend: Spend, on: SpentOn, tool: T): T {
  const verbs = Object.entries<Verbs<T>[keyof T]>(tool).map(([name, verb]) => [
    name,
    (...args: never[]) => spend(on, () => verb(...args)),
  ]);
  return Object.fromEntries(verbs) as T;
}
