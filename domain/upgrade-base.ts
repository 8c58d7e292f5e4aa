import { olderThan, type Release, type Revision } from './release.ts';
import { compareVersions } from './version.ts';

/** What the upgrade tier starts from, or why there is nothing to start from. */
export interface UpgradeBase {
  base: Revision | null;
  reason: string;
}

export interface UpgradeQuestion {
  /** A release, or a pull request's head by the version that its own label says. */
  head: Release;
  canonical: Release | null;
  /** Every published release reachable on main. */
  releases: readonly Release[];
  /**
   * Main's tip with the version that its own label says, null where that is not known, and whether the head is on main: a
   * release is, a pull request's head is not.
   */
  main: { commit: string; version: string | null; containsHead: boolean };
}

/** How many releases before a base that does not install are tried in its place. */
const MOST_OLDER = 2;

/**
 * What to try in place of a base that does not install, best first: an image of it that is gone from its registry
 * is no fault of the release that follows it, and would make red whatever does.
 */
export function basesBefore({ version }: Revision, releases: readonly Release[]): Release[] {
  return version === null ? [] : olderThan(version, releases).slice(0, MOST_OLDER);
}

/**
 * The commit that the upgrade tier starts from: a pure function of what is published and proven, with no
 * per-recipe pin. A release that is the base is always strictly older than the head; main's tip is never newer by what it
 * says, and says the same where a pull request changes no version.
 *
 * - the canonical, when its version differs from the head's;
 * - when they are equal, the newest published release strictly older than the head;
 * - with no canonical, main's tip, unless the head is on main already (then main is the head or newer), or main says a
 *   newer version (then the head is stale);
 * - else nothing, and the tier is skipped with the reason given here.
 */
export function upgradeBase({ head, canonical, releases, main }: UpgradeQuestion): UpgradeBase {
  if (canonical === null) {
    const { commit, version, containsHead } = main;
    if (containsHead) return { base: null, reason: 'no canonical to upgrade from' };
    if (version !== null && compareVersions(version, head.version) > 0) {
      const reason = `no canonical to upgrade from, and main is at ${version}, newer than ${head.version}`;
      return { base: null, reason };
    }
    return { base: { version, commit }, reason: "main's tip, for want of a canonical" };
  }
  const order = compareVersions(canonical.version, head.version);
  if (order < 0) return { base: canonical, reason: `the canonical, ${canonical.version}` };
  if (order > 0)
    return { base: null, reason: `canonical ${canonical.version} is newer than ${head.version}` };
  const older = olderThan(head.version, releases)[0];
  return older
    ? { base: older, reason: `the newest release older than ${head.version}` }
    : { base: null, reason: `no published release is older than ${head.version}` };
}
