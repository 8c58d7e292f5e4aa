import { compareVersions, isPreRelease } from './version.ts';

/** A commit of a recipe that can be deployed: a release, or one that no tag names, such as main's tip. */
export interface Revision {
  /** Null for a commit that is no release. */
  version: string | null;
  commit: string;
}

/** A release of a recipe: the tag that names its version, and the commit which that tag leads to. */
export interface Release extends Revision {
  version: string;
}

/** How people are told of it. */
export function nameOf({ version, commit }: Revision): string {
  return version ?? commit;
}

/** Whether both are of one version and one commit: of a tag that moved, what it was is another than what it is. */
export function isSame(one: Revision, other: Revision): boolean {
  return one.version === other.version && one.commit === other.commit;
}

/** Those that are strictly older than the version, newest first. Throws RangeError for what is no release's version. */
export function olderThan(version: string, releases: readonly Release[]): Release[] {
  return releases
    .filter((release) => compareVersions(release.version, version) < 0)
    .sort((a, b) => compareVersions(b.version, a.version));
}

/**
 * Those whose recipe part is no pre-release (`2.0.0-rc1+…`), which operators are not given unasked; of the app's
 * version that says nothing. Throws RangeError.
 */
export function withoutPreReleases(releases: readonly Release[]): Release[] {
  return releases.filter(({ version }) => !isPreRelease(version));
}
