import semver from 'semver';

/**
 * A release tag in Co-op Cloud's form: `<x.y.z>+<app version>`, recipe semver first.
 * The app version is free text of a narrow alphabet: `1.0.6-social-amd64`, `v2.0.0`, `2024.04_p1`.
 */
const RELEASE =
  /^(?<recipe>\d+\.\d+\.\d+(?:-[0-9A-Za-z][0-9A-Za-z.-]*)?)\+(?<app>[0-9A-Za-z][0-9A-Za-z._+-]*)$/;

/** git refuses longer ref components on common file systems, and no real release comes near it. */
const LONGEST_TAG = 128;

/** What a release's tag says; domain/release.ts has the release itself. */
export interface ParsedVersion {
  /** The tag, exactly as upstream wrote it. */
  tag: string;
  recipe: semver.SemVer;
  app: string;
}

/** The version a tag names, or null when the tag is not in the release form (so it names no release). */
export function parseVersion(tag: string): ParsedVersion | null {
  if (tag.length > LONGEST_TAG) return null;
  const groups = RELEASE.exec(tag)?.groups;
  const recipe = semver.parse(groups?.['recipe']);
  const app = groups?.['app'];
  return recipe && app ? { tag, recipe, app } : null;
}

/** Words that stand before the release they lead to, in the order they are usually published. */
const PRE_RELEASE_WORDS = ['dev', 'nightly', 'alpha', 'a', 'beta', 'b', 'pre', 'preview', 'rc'];

/**
 * An app version as a list of ranked parts, each comparable with any other:
 * a pre-release word < the end of the text < another word < a number.
 * So `2.0.0-rc1 < 2.0.0 < 2.0.0-social < 2.0.0.1`. One letter right behind a number, with nothing behind it, counts
 * up, as openssl and others have it: `1.1.1 < 1.1.1a`.
 */
type Part = readonly [rank: number, number: bigint, word: string];
const END: Part = [1, 0n, ''];

function appParts(app: string): Part[] {
  const text = app.replace(/^v(?=\d)/i, '').toLowerCase();
  return [...text.matchAll(/(\d+)|(?<counting>(?<=\d)[a-z](?![a-z0-9]))|([a-z]+)/g)].map((match): Part => {
    const [token, number] = match;
    if (number !== undefined) return [3, BigInt(number), ''];
    const pre = match.groups?.['counting'] === undefined ? PRE_RELEASE_WORDS.indexOf(token) : -1;
    return pre >= 0 ? [0, BigInt(pre), ''] : [2, 0n, token];
  });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function comparePart(a: Part, b: Part): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0) || compareText(a[2], b[2]);
}

function compareApp(a: string, b: string): number {
  const [left, right] = [appParts(a), appParts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = comparePart(left[i] ?? END, right[i] ?? END);
    if (order !== 0) return order;
  }
  return 0;
}

/**
 * Co-op Cloud's version order: recipe semver first (precedence of semver.org §11), then the app version
 * part by part. The rule for ties: versions that differ only in spelling (`v2.0.0` and `2.0.0`) are
 * ordered by the code units of the whole tag, so that two different tags are never equal.
 */
function compareParsed(a: ParsedVersion, b: ParsedVersion): number {
  return a.recipe.compare(b.recipe) || compareApp(a.app, b.app) || compareText(a.tag, b.tag);
}

/**
 * {@link compareParsed} on the tags of releases: negative when a is older than b. Throws RangeError on any other text.
 */
export function compareVersions(a: string, b: string): number {
  return compareParsed(versionOf(a), versionOf(b));
}

function versionOf(tag: string): ParsedVersion {
  const parsed = parseVersion(tag);
  if (!parsed) throw new RangeError(`not a release tag (x.y.z+app): ${JSON.stringify(tag)}`);
  return parsed;
}

/** Whether its recipe part is a pre-release, as in `2.0.0-rc1+1.0`. Throws RangeError for what is no release's tag. */
export function isPreRelease(tag: string): boolean {
  return versionOf(tag).recipe.prerelease.length > 0;
}

/**
 * Which of the recipe's and the app's version takes a major step between two releases, in words; null when neither does.
 * The first number of an app's version is its major one, as in `v2024.04`; one that has no number may be any step.
 * Throws RangeError for what is no release's tag.
 */
export function majorStep(from: string, to: string): string | null {
  const [old, next] = [versionOf(from), versionOf(to)];
  const steps = [
    old.recipe.major === next.recipe.major ? null : `recipe ${old.recipe.major} → ${next.recipe.major}`,
    old.app === next.app || isSameMajor(old.app, next.app) ? null : `app ${old.app} → ${next.app}`,
  ].filter((step) => step !== null);
  return steps.length === 0 ? null : `a major step: ${steps.join(', ')}`;
}

function isSameMajor(one: string, other: string): boolean {
  const major = (app: string): string | undefined => /\d+/.exec(app)?.[0];
  return major(one) !== undefined && BigInt(major(one) ?? 0) === BigInt(major(other) ?? -1);
}

/** The versions that releases' tags among these name, oldest first. */
export function versionsOf(tags: Iterable<string>): ParsedVersion[] {
  return [...tags]
    .map(parseVersion)
    .filter((parsed) => parsed !== null)
    .sort(compareParsed);
}
