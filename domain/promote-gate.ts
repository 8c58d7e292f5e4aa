import type { Release } from './release.ts';
import { compareVersions } from './version.ts';

/** What is true on disk, under the host's lock, of a release that passed its cold test. */
export interface PromoteFacts {
  release: Release;
  /** Why the recipe is not enrolled; null when it is. */
  exception: string | null;
  /** Why its maintainer or operator holds it; null when nobody does. */
  hold: string | null;
  /** The version of the canonical; null when there is none. */
  canonical: string | null;
  /** The commit that the ledger has for the release's tag; null when it has none. */
  listed: string | null;
}

/** Opens only for a release tag of an enrolled recipe that is newer than its canonical. Else says why not. */
export function promoteGate(facts: PromoteFacts): { open: true } | { open: false; why: string } {
  const { release, exception, hold, canonical, listed } = facts;
  const { version, commit } = release;
  const closed = (why: string): { open: false; why: string } => ({ open: false, why });
  if (exception !== null) return closed(`the recipe is an exception: ${exception}`);
  if (hold !== null) return closed(`the recipe is held: ${hold}`);
  if (canonical !== null && compareVersions(canonical, version) >= 0) {
    return closed(`the canonical is at ${canonical} already`);
  }
  if (listed !== commit) {
    return closed(`the ledger has ${version} at ${listed ?? 'no commit'}, tested was ${commit}`);
  }
  return { open: true };
}
