import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SPENT_ON, timeSpent, type Span, type SpentOn } from '../../domain/time-spent.ts';
import { createStopwatch, timed } from '../../host/machine/stopwatch.ts';
import { createTimes } from '../../host/store/times.ts';

const run = { startedMs: 1_000, endedMs: 2_000 };
const span = (on: SpentOn, fromMs: number, toMs: number): Span => ({ on, fromMs, toMs });

/** What is not nothing. */
function parts(spans: readonly Span[], times = run): Record<string, number> {
  return Object.fromEntries(Object.entries(timeSpent(spans, times)).filter(([, ms]) => ms !== 0));
}

describe('where a run’s time went', () => {
  test('what is not known to be spent on anything is our own', () => {
    expect(parts([])).toEqual({ own: 1000 });
    expect(parts([span('app', 1_200, 1_500)])).toEqual({ app: 300, own: 700 });
  });

  test('a hook that runs while the app is waited for is a hook', () => {
    expect(parts([span('app', 1_000, 2_000), span('scripts', 1_100, 1_200)])).toEqual({
      app: 900,
      scripts: 100,
    });
  });

  test('two of a kind at once count once', () => {
    expect(parts([span('pulling', 1_100, 1_300), span('pulling', 1_200, 1_400)])).toEqual({
      pulling: 300,
      own: 700,
    });
  });

  test('what lies outside of the run, as of one that was reset, counts for nothing', () => {
    expect(parts([span('data', 0, 900), span('data', 900, 1_100), span('data', 1_900, 3_000)])).toEqual({
      data: 200,
      own: 800,
    });
  });

  test('attempts that came to nothing are what they noted, and the rest of them retries', () => {
    expect(parts([span('pulling', 1_100, 1_300), span('retries', 1_000, 1_800)])).toEqual({
      pulling: 200,
      retries: 600,
      own: 200,
    });
  });

  test('a run of no length went nowhere', () => {
    expect(parts([span('app', 0, 5_000)], { startedMs: 1_000, endedMs: 1_000 })).toEqual({});
  });

  test('all parts together are the whole, whatever was noted', () => {
    const moment = fc.integer({ min: 0, max: 3_000 });
    const noted = fc.record({ on: fc.constantFrom(...SPENT_ON), fromMs: moment, toMs: moment });
    fc.assert(
      fc.property(fc.array(noted), (spans) => {
        const spent = Object.values(timeSpent(spans, run));
        expect(spent.reduce((sum, ms) => sum + ms, 0)).toBe(1000);
        expect(Math.min(...spent)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('a stopwatch', () => {
  test('notes what is asked of a tool, also where that fails', async () => {
    const watch = createStopwatch();
    const tool = timed(watch.spend, 'data', {
      take: async (what: string) => `took ${what}`,
      lose: async () => Promise.reject(new Error('lost')),
    });
    expect(await tool.take('a snapshot')).toBe('took a snapshot');
    await expect(tool.lose()).rejects.toThrow('lost');
    expect(watch.spans().map(({ on }) => on)).toEqual(['data', 'data']);
    for (const { fromMs, toMs } of watch.spans()) expect(toMs).toBeGreaterThanOrEqual(fromMs);
  });
});

describe('the times of a run', () => {
  let state: string;
  beforeEach(() => (state = mkdtempSync(path.join(tmpdir(), 'times-'))));
  afterEach(() => rmSync(state, { recursive: true }));
  const file = (): string => path.join(state, 'runs/sweep/ghost/time.jsonl');

  test('are those of all its steps', async () => {
    const times = createTimes(state);
    expect(await times.read('sweep/ghost')).toEqual([]);
    await times.add('sweep/ghost', [span('app', 1, 2), span('data', 2, 3)]);
    await times.add('sweep/ghost', [span('app', 4, 5)]);
    expect(await times.read('sweep/ghost')).toEqual([
      span('app', 1, 2),
      span('data', 2, 3),
      span('app', 4, 5),
    ]);
  });

  test('lack a line that a crash cut short, and no other', async () => {
    const times = createTimes(state);
    await times.add('sweep/ghost', [span('app', 1, 2)]);
    writeFileSync(file(), `${readFileSync(file(), 'utf8')}{"schema":1,"spent":[{"on"`);
    expect(await times.read('sweep/ghost')).toEqual([span('app', 1, 2)]);
  });
});
