import type { Revision } from './release.ts';

/** A test of a commit that is no release yet: a pull request's head, or one that an operator names. */

/** The full cold test, or the quick lane: the canonical's data, taken to the head in place. */
export const TEST_MODES = ['cold', 'quick'] as const;
export type TestMode = (typeof TEST_MODES)[number];

/** What a test tested, as its result keeps it. */
export interface Tested {
  mode: TestMode;
  /** The mode that was asked for. */
  wanted: TestMode;
  /** Why the mode is another one than was asked for; null when it is not. */
  why: string | null;
  /** Its number on the mirror; null for a commit that was named. */
  pullRequest: number | null;
  /** By the version that its own label says; null where there is none that can be read. */
  head: Revision;
  /** What the head was deployed over; null where it was installed itself. */
  base: Revision | null;
}

/** A pull request of a recipe's mirror, as people call it. */
export function pullRequestName(recipe: string, number: number): string {
  return `${recipe}#${number}`;
}
