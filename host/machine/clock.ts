/**
 * Tells by how many milliseconds this machine's clock was set since it was called first: the system's own count of time,
 * which nobody sets, says how much has passed. A machine that slept counts as one whose clock was set.
 */
export function watchClock(
  now: () => number = () => Date.now(),
  passed: () => number = () => performance.now(),
): () => number {
  const [from, since] = [now(), passed()];
  return () => now() - from - (passed() - since);
}
