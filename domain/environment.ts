/**
 * What decides a verdict beside the recipe and its release: of a host, by the name of each part, in words that are the
 * same from run to run while nothing changed. No part is a secret.
 */
export type EnvironmentParts = Readonly<Record<string, string>>;

export interface Environment {
  /** The same for the same parts, and for no others. */
  fingerprint: string;
  parts: EnvironmentParts;
}

/** That of a sweep. */
export interface SweepEnvironment extends Environment {
  /** What is not as it was in the sweep before, a line each; null where none said what it was. */
  changed: string[] | null;
}

/** Each part that is not as it was, by name: what it was and what it is. */
export function environmentChanges(before: EnvironmentParts, now: EnvironmentParts): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [before[name], now[name]];
    if (was === is) return [];
    if (was === undefined) return [`${name}: ${is}, which was not there`];
    return [is === undefined ? `${name}: not there any more, it was ${was}` : `${name}: ${was} → ${is}`];
  });
}

/** The recipes that full sweeps took, and those that they no longer take and nobody has explained. */
export interface Roster {
  /** Of the last full sweep. */
  enrolled: string[];
  /** Since when each is missing (ISO 8601, UTC). */
  gone: Readonly<Record<string, string>>;
}

/**
 * The roster of a full sweep after the last one's. A recipe that was taken and is not enrolled any more is gone, until it
 * is back or is an exception, which says why. `explained`: those whose folder says so since the last full sweep.
 */
export function rosterAfter(
  last: Roster,
  { enrolled, exceptions }: { enrolled: readonly string[]; exceptions: readonly string[] },
  now: string,
): Roster & { explained: string[] } {
  const known = [...new Set([...last.enrolled, ...Object.keys(last.gone)])].sort();
  const missing = known.filter((recipe) => !enrolled.includes(recipe));
  const gone = missing.filter((recipe) => !exceptions.includes(recipe));
  return {
    enrolled: [...enrolled].sort(),
    gone: Object.fromEntries(gone.map((recipe) => [recipe, last.gone[recipe] ?? now])),
    explained: missing.filter((recipe) => exceptions.includes(recipe)),
  };
}
