/** What must all be true of one run before its release may become the canonical. */
export interface PromoteFacts {
  /** The recipe has a folder, and no exception is recorded there. */
  enrolled: boolean;
  /** Every tier that was reached passed. */
  green: boolean;
  /** The test deployed from nothing; a quick run never promotes. */
  cold: boolean;
  /** No newer release was on the mirror when the test began. */
  latest: boolean;
  /** What was tested is the very commit of a release tag. */
  tagged: boolean;
}

/** Opens for exactly one combination: all five. Else names what is missing. */
export function promoteGate(facts: PromoteFacts): { open: true } | { open: false; missing: string } {
  const missing = (['enrolled', 'green', 'cold', 'latest', 'tagged'] as const).filter((name) => !facts[name]);
  return missing.length === 0 ? { open: true } : { open: false, missing: missing.join(', ') };
}
