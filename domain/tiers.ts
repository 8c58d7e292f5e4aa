import { brief, type Tier, type TierResult } from './outcome.ts';
import { nameOf, type Release, type Revision } from './release.ts';
import { basesBefore, upgradeBase, type UpgradeQuestion } from './upgrade-base.ts';
import { compareVersions } from './version.ts';

/**
 * What is asked of one deployment, and from where it starts. How a test of another kind differs, as one over data that
 * is attached again, is in its plan: the tiers are asked by the same loop.
 */
export interface TierPlan {
  /** What is tested. */
  head: Release;
  /** What is installed for the head to be deployed over; null when the head is installed itself. */
  base: Revision | null;
  /** What takes the base's place where it does not install, best first. */
  others: readonly Release[];
  /** Why those that were the base before do not install, in the order they were tried. */
  unfit: readonly string[];
  /** The tiers that are not asked, each with the reason. */
  skipped: Readonly<Partial<Record<Tier, string>>>;
}

/** The plan of a cold test: every tier, but for the upgrade where there is nothing to upgrade from. */
export function planTiers(question: UpgradeQuestion): TierPlan {
  const { head, releases } = question;
  const { base, reason } = upgradeBase(question);
  return {
    head,
    base,
    others: base === null ? [] : basesBefore(base, releases),
    unfit: [],
    skipped: base === null ? { upgrade: reason } : {},
  };
}

const NOT_QUICK = 'the quick lane does not ask for it: only a cold test does';

/** The plan of a quick lane: the head over the canonical on its own data, and the recipe's checks. */
export function planQuick({ head, canonical }: { head: Release; canonical: Release }): TierPlan {
  return {
    head,
    base: canonical,
    others: [],
    unfit: [],
    skipped: { backup: NOT_QUICK, restore: NOT_QUICK },
  };
}

/** What a quick lane is asked for, and what there is for it. */
export interface QuickQuestion {
  head: Release;
  canonical: Release | null;
  /** Since when the canonical's data is gone; null while it has it, or is none. */
  dataDropped: string | null;
}

/** The quick lane, with the canonical that the head is deployed over; or why it has to be a cold test. */
export type QuickOrCold = { mode: 'quick'; canonical: Release } | { mode: 'cold'; why: string };

/** The quick lane takes the canonical's data forward to a head that is newer: without either there is only a cold test. */
export function quickOrCold({ head, canonical, dataDropped }: QuickQuestion): QuickOrCold {
  const cold = (why: string): QuickOrCold => ({ mode: 'cold', why });
  if (canonical === null) return cold('there is no canonical whose data could be attached');
  const { version } = canonical;
  if (dataDropped !== null) {
    return cold(`the data of the canonical ${version} was dropped on ${dataDropped.slice(0, 10)}`);
  }
  const order = compareVersions(version, head.version);
  if (order === 0) return cold(`the head's version is the canonical's, ${version}`);
  if (order > 0) return cold(`the canonical ${version} is newer than the head, ${head.version}`);
  return { mode: 'quick', canonical };
}

/**
 * The plan once its base did not install, for the reason given: from the next one, or from nothing when there is no
 * more. Null for a plan without a base: then it is the head that does not install.
 */
export function withoutBase(plan: TierPlan, why: string): TierPlan | null {
  if (plan.base === null) return null;
  const [base = null, ...others] = plan.others;
  const unfit = [...plan.unfit, `${nameOf(plan.base)} does not install: ${brief(why)}`];
  const upgrade = `no base to upgrade from: ${unfit.join('; ')}`;
  return {
    ...plan,
    base,
    others,
    unfit,
    skipped: base === null ? { ...plan.skipped, upgrade } : plan.skipped,
  };
}

/** What is deployed when the tier is asked. */
export function deployedAt(tier: Tier, { base, head }: TierPlan): Revision {
  return tier === 'install' ? (base ?? head) : head;
}

/** Why the tier is not asked, by the plan or by what those before it said; null when it is. */
export function skipReason(tier: Tier, plan: TierPlan, said: readonly TierResult[]): string | null {
  const planned = plan.skipped[tier];
  if (planned !== undefined) return planned;
  const backup = tier === 'restore' ? said.find((one) => one.tier === 'backup') : undefined;
  return backup?.result === 'skipped' ? backup.reason : null;
}

/** What is to be told of a tier that passed besides what it says itself; null for nothing. */
export function planNote(tier: Tier, { base, unfit }: TierPlan): string | null {
  if (tier !== 'upgrade' || base === null || unfit.length === 0) return null;
  return `from ${nameOf(base)}, since ${unfit.join('; ')}`;
}
