import { describe, expect, test } from 'vitest';
import { plansOf } from '../chaos/campaign.ts';
import { STRUCK_AT } from '../chaos/scenarios.ts';

const struck = (plans: ReturnType<typeof plansOf>): string[] =>
  [...new Set(plans.flatMap(({ at }) => (at === null ? [] : [at.boundary as string])))].sort();

describe('a campaign', () => {
  test.each([0, 7, 301])('of 100 runs strikes at every boundary: seed %i', (seed) => {
    const plans = plansOf(seed, 1, 100, {});
    expect(struck(plans)).toEqual([...STRUCK_AT].sort());
    expect(plans.filter(({ at }) => at === null)).toHaveLength(16);
  });

  test('plays the same runs however it is cut', () => {
    const { scenario, fault, at } = plansOf(7, 40, 1, {})[0] ?? {};
    expect(plansOf(7, 1, 60, {})[39]).toMatchObject({ scenario, fault, at });
  });

  test('strikes always where or how it is asked to', () => {
    const there = plansOf(7, 1, 24, { at: { boundary: 'promote.after-snapshot', nth: null } });
    expect(struck(there)).toEqual(['promote.after-snapshot']);
    const so = plansOf(7, 1, 24, { fault: 'zombie' });
    expect(new Set(so.map(({ fault }) => fault))).toEqual(new Set(['zombie']));
    expect(so.every(({ at }) => at !== null)).toBe(true);
    expect(plansOf(7, 1, 24, { fault: 'reset-run' }).every(({ at }) => at === null)).toBe(true);
  });
});
