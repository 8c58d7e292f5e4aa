import type { Release } from './release.ts';
import { compareVersions } from './version.ts';

export type Decision =
  | { decision: 'run'; reason: string }
  | { decision: 'skip'; because: 'no-new-version' | 'never-released' | 'held'; reason: string };

/** All that a decision sees: two versions, and whether the operators hold the recipe. No commit. */
export interface Seen {
  latest: string | null;
  canonical: string | null;
  hold: string | null;
}

/**
 * Whether a sweep tests a recipe now. Only a release strictly newer than the canonical is run, whatever
 * untagged commits main has; a recipe whose last run was red, failed to promote or had no verdict still has
 * an older canonical, so it is tried again by the same rule.
 */
export function decide({ latest, canonical, hold }: Seen): Decision {
  if (hold !== null) return { decision: 'skip', because: 'held', reason: hold };
  if (latest === null) {
    return {
      decision: 'skip',
      because: 'never-released',
      reason: 'no tag of the form x.y.z+app is reachable on main',
    };
  }
  if (canonical === null) return { decision: 'run', reason: `no canonical yet; latest release is ${latest}` };
  const order = compareVersions(latest, canonical);
  if (order > 0) return { decision: 'run', reason: `${latest} is newer than canonical ${canonical}` };
  return {
    decision: 'skip',
    because: 'no-new-version',
    reason:
      order === 0
        ? `canonical is at the latest release ${latest}`
        : `latest release ${latest} is older than canonical ${canonical}`,
  };
}

/**
 * {@link decide} of what was found. No commit is decided on; but where the latest release is the canonical's by its
 * version and not by its commit, since its tag moved and an operator accepted that, the reason says that what is there
 * now was never tested.
 */
export function decideOn({
  latest,
  canonical,
  hold,
}: {
  latest: Release | null;
  canonical: Release | null;
  hold: string | null;
}): Decision {
  const [newest, proven] = [latest?.version ?? null, canonical?.version ?? null];
  const decision = decide({ latest: newest, canonical: proven, hold });
  const sameRelease = latest !== null && canonical !== null && newest === proven;
  if (decision.decision !== 'skip' || decision.because !== 'no-new-version') return decision;
  if (!sameRelease || latest.commit === canonical.commit) return decision;
  const reason = `${decision.reason}, proven at commit ${canonical.commit}; its tag moved since, and what it leads to now, ${latest.commit}, was not tested (to have it tested: recipe-sweep canonical forget)`;
  return { ...decision, reason };
}
