import { describe, expect, test } from 'vitest';
import { TIERS, type TierResult } from '../../domain/outcome.ts';
import type { Release } from '../../domain/release.ts';
import {
  deployedAt,
  planNote,
  planQuick,
  planTiers,
  quickOrCold,
  skipReason,
  withoutBase,
  type QuickQuestion,
  type TierPlan,
} from '../../domain/tiers.ts';
import type { UpgradeQuestion } from '../../domain/upgrade-base.ts';

const at = (version: string): Release => ({ version, commit: `commit of ${version}` });
const RELEASES = ['1.0.0+1', '1.1.0+1', '1.2.0+1', '1.3.0+1', '2.0.0+1'].map(at);
const HEAD = at('2.0.0+1');
const TIP = 'the tip of main';

const planOf = (question: Partial<UpgradeQuestion> = {}): TierPlan =>
  planTiers({
    head: HEAD,
    canonical: at('1.3.0+1'),
    releases: RELEASES,
    main: { commit: TIP, version: null, containsHead: true },
    ...question,
  });

/** Of each tier what is deployed for it, or why it is not asked, as nobody skips it by its answer. */
const shown = (plan: TierPlan): string[] =>
  TIERS.map((tier) => skipReason(tier, plan, []) ?? deployedAt(tier, plan).commit);

const { commit } = HEAD;
const offMain = { commit: TIP, version: null, containsHead: false };

describe('a plan', () => {
  test.each<[string, Partial<UpgradeQuestion>, string[]]>([
    ['a release over its canonical', {}, ['commit of 1.3.0+1', commit, commit, commit, commit]],
    [
      'a first release',
      { canonical: null },
      [commit, 'no canonical to upgrade from', commit, commit, commit],
    ],
    [
      'the release that is the canonical',
      { canonical: HEAD },
      ['commit of 1.3.0+1', commit, commit, commit, commit],
    ],
    [
      'the first one that is the canonical',
      { canonical: HEAD, releases: [HEAD] },
      [commit, 'no published release is older than 2.0.0+1', commit, commit, commit],
    ],
    [
      "a pull request's head over the canonical",
      { head: { version: '2.0.0+1', commit: 'of a fork' }, main: offMain },
      ['commit of 1.3.0+1', 'of a fork', 'of a fork', 'of a fork', 'of a fork'],
    ],
    [
      "a pull request's head where nothing is proven",
      { head: { version: '2.0.0+1', commit: 'of a fork' }, canonical: null, main: offMain },
      [TIP, 'of a fork', 'of a fork', 'of a fork', 'of a fork'],
    ],
    [
      "a pull request's head that is older than the canonical",
      { head: { version: '1.0.0+1', commit: 'of a fork' }, main: offMain },
      ['of a fork', 'canonical 1.3.0+1 is newer than 1.0.0+1', 'of a fork', 'of a fork', 'of a fork'],
    ],
  ])('for %s', (_what, question, expected) => {
    expect(shown(planOf(question))).toEqual(expected);
  });
});

describe('a quick lane', () => {
  const askedOf = (question: Partial<QuickQuestion>) =>
    quickOrCold({ head: HEAD, canonical: at('1.3.0+1'), dataDropped: null, ...question });

  test('goes from the canonical to a newer head, by the tiers that leave its data where it is', () => {
    expect(askedOf({})).toEqual({ mode: 'quick', canonical: at('1.3.0+1') });
    const skipped = 'the quick lane does not ask for it: only a cold test does';
    const plan = planQuick({ head: HEAD, canonical: at('1.3.0+1') });
    expect(shown(plan)).toEqual(['commit of 1.3.0+1', commit, skipped, skipped, commit]);
    expect(TIERS.map((tier) => planNote(tier, plan))).toEqual(TIERS.map(() => null));
  });

  test.each<[string, Partial<QuickQuestion>, string]>([
    ['nothing is proven', { canonical: null }, 'there is no canonical whose data could be attached'],
    [
      'its data was dropped',
      { dataDropped: '2026-11-29T19:00:00.000Z' },
      'the data of the canonical 1.3.0+1 was dropped on 2026-11-29',
    ],
    [
      "the head has the canonical's version",
      { canonical: HEAD },
      "the head's version is the canonical's, 2.0.0+1",
    ],
    [
      'the canonical is newer than the head',
      { head: at('1.2.0+1') },
      'the canonical 1.3.0+1 is newer than the head, 1.2.0+1',
    ],
  ])('is a cold test where %s', (_what, question, why) => {
    expect(askedOf(question)).toEqual({ mode: 'cold', why });
  });
});

describe('a base that does not install', () => {
  /** The bases in turn, each found not to install. */
  function triedOf(question: Partial<UpgradeQuestion>): (TierPlan | null)[] {
    const tried: (TierPlan | null)[] = [];
    for (let plan: TierPlan | null = planOf(question); plan !== null; tried.push(plan)) {
      plan = withoutBase(plan, 'manifest unknown');
    }
    return tried;
  }

  test.each<[string, Partial<UpgradeQuestion>, string[]]>([
    ['gives way to the two before it, and then to nothing', {}, ['1.2.0+1', '1.1.0+1', 'from nothing']],
    ['gives way to as many as there are', { canonical: at('1.1.0+1') }, ['1.0.0+1', 'from nothing']],
    ['is the tip of main, which nothing is before', { canonical: null, main: offMain }, ['from nothing']],
    ['is none, and then it is the head that does not', { canonical: null }, []],
  ])('%s', (_what, question, expected) => {
    const tried = triedOf(question).map((plan) =>
      plan === null ? 'red' : (plan.base?.version ?? 'from nothing'),
    );
    expect(tried).toEqual([...expected, 'red']);
  });

  test('is named, in the note of the upgrade from what took its place', () => {
    const [second] = triedOf({});
    if (!second) throw new Error('no second base');
    expect(shown(second)[0]).toBe('commit of 1.2.0+1');
    const note = 'from 1.2.0+1, since 1.3.0+1 does not install: manifest unknown';
    expect(TIERS.map((tier) => planNote(tier, second))).toEqual([null, note, null, null, null]);
    expect(TIERS.map((tier) => planNote(tier, planOf()))).toEqual(TIERS.map(() => null));
  });

  test('is named, and all that were, in the reason of the upgrade that is not asked', () => {
    const last = triedOf({ canonical: at('1.1.0+1') })[1];
    if (!last) throw new Error('no plan without a base');
    expect(shown(last)[1]).toBe(
      'no base to upgrade from: 1.1.0+1 does not install: manifest unknown; 1.0.0+1 does not install: manifest unknown',
    );
    expect(planNote('upgrade', last)).toBeNull();
  });

  test('may say much of why: it is cut', () => {
    expect(withoutBase(planOf(), 'x'.repeat(5_000))?.unfit.join().length).toBeLessThan(500);
  });
});

test.each<[string, TierResult, string | null]>([
  [
    'without a backup there is nothing to restore',
    { tier: 'backup', result: 'skipped', reason: 'no data' },
    'no data',
  ],
  ['what was backed up is restored', { tier: 'backup', result: 'pass' }, null],
  ['another tier that is skipped says nothing', { tier: 'upgrade', result: 'skipped', reason: 'none' }, null],
])('%s', (_what, before, reason) => {
  expect(skipReason('restore', planOf(), [before])).toBe(reason);
  expect(skipReason('custom', planOf(), [before])).toBeNull();
});
