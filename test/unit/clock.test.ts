import { expect, test } from 'vitest';
import { watchClock } from '../../host/machine/clock.ts';

test('a clock that was set is told from time that passed', () => {
  let [now, passed] = [1_000_000, 50];
  const set = watchClock(
    () => now,
    () => passed,
  );
  [now, passed] = [now + 60_000, passed + 60_000];
  expect(set()).toBe(0);
  now += 3_600_000;
  expect(set()).toBe(3_600_000);
  [now, passed] = [now - 7_200_000, passed + 10];
  expect(set()).toBe(-3_600_010);
});

test('the clock of this machine agrees with its count of time', async () => {
  const set = watchClock();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(Math.abs(set())).toBeLessThan(500);
});
