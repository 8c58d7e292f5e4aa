import { describe, expect, test } from 'vitest';
import { plansOf } from '../chaos/campaign.ts';
import { REALM_RECIPE } from '../chaos/keycloak.ts';
import { LIVE_RECIPE, STRUCK_AT, type Scenario } from '../chaos/scenarios.ts';

const struck = (plans: ReturnType<typeof plansOf>): string[] =>
  [...new Set(plans.flatMap(({ at }) => (at === null ? [] : [at.boundary as string])))].sort();

describe('a campaign', () => {
  test.each([0, 7, 301])('of 120 runs strikes at every boundary: seed %i', (seed) => {
    const plans = plansOf(seed, 1, 120, {});
    expect(struck(plans)).toEqual([...STRUCK_AT].sort());
    expect(plans.filter(({ at }) => at === null)).toHaveLength(20);
  });

  test.each([0, 7, 301])('strikes sweeps, tests and reconciles: seed %i', (seed) => {
    const plans = plansOf(seed, 1, 100, {});
    const share = (of: (scenario: Scenario) => boolean): number =>
      plans.filter(({ scenario }) => of(scenario)).length / plans.length;
    expect(share(({ test, live }) => test === null && live === null)).toBeGreaterThan(0.35);
    expect(share(({ test }) => test === 'cold')).toBeGreaterThan(0.1);
    expect(share(({ test }) => test === 'quick')).toBeGreaterThan(0.1);
    expect(share(({ live }) => live !== null)).toBeGreaterThan(0.1);
  });

  test('strikes in no story that does not come there', () => {
    const plans = plansOf(7, 1, 1_000, {});
    const at = (name: RegExp) => plans.filter((plan) => name.test(plan.at?.boundary ?? ''));
    expect(new Set(at(/^quick-lane\./).map(({ scenario }) => scenario.test))).toEqual(new Set(['quick']));
    expect(new Set(at(/^(open|close|promote)\./).map(({ scenario }) => scenario.test))).toEqual(
      new Set([null]),
    );
    expect(at(/^(cold-install|backup|restore)\./).map(({ scenario }) => scenario.test)).not.toContain(
      'quick',
    );
    expect(new Set(at(/^reconcile\./).map(({ scenario }) => scenario.recipe))).toEqual(
      new Set([LIVE_RECIPE]),
    );
    expect(at(/^(promote|cold-install|record)\./).map(({ scenario }) => scenario.live)).not.toContain(
      'upgrade',
    );
    expect(new Set(at(/^realm\./).map(({ scenario }) => scenario.recipe))).toEqual(new Set([REALM_RECIPE]));
    const others = plans.filter((plan) => plan.at?.boundary.startsWith('realm.') !== true);
    expect(others.filter(({ scenario }) => scenario.recipe === REALM_RECIPE)).toEqual([]);
    const resets = plans.filter(({ fault }) => fault === 'reset-sweep');
    expect(new Set(resets.map(({ scenario }) => scenario.test ?? scenario.live))).toEqual(new Set([null]));
  });

  test('plays the same runs however it is cut', () => {
    const { scenario, fault, at } = plansOf(7, 40, 1, {})[0] ?? {};
    expect(plansOf(7, 1, 60, {})[39]).toMatchObject({ scenario, fault, at });
  });

  test('strikes always where or how it is asked to', () => {
    const sweeps = plansOf(7, 1, 24, { fault: 'reset-sweep' });
    expect(new Set(sweeps.map(({ scenario }) => scenario.test))).toEqual(new Set([null]));
    const reconciles = plansOf(7, 1, 100, { story: LIVE_RECIPE });
    expect(new Set(reconciles.map(({ scenario }) => scenario.live))).toEqual(
      new Set(['install', 'upgrade', 'recover']),
    );
    expect(struck(reconciles).filter((name) => name.startsWith('reconcile.'))).toHaveLength(9);
    const there = plansOf(7, 1, 24, { at: { boundary: 'promote.after-snapshot', nth: null } });
    expect(struck(there)).toEqual(['promote.after-snapshot']);
    const so = plansOf(7, 1, 24, { fault: 'zombie' });
    expect(new Set(so.map(({ fault }) => fault))).toEqual(new Set(['zombie']));
    expect(so.every(({ at }) => at !== null)).toBe(true);
    expect(plansOf(7, 1, 24, { fault: 'reset-run' }).every(({ at }) => at === null)).toBe(true);
  });
});
