/**
 * How long a stack lives. A cold one dies with its run. A warm one keeps its volumes and secrets when it is undeployed.
 * A live one is a shared service that nothing but its own reconcile stops or removes.
 */
export type Lifetime = 'cold' | 'warm' | 'live';

const LIFETIMES: ReadonlySet<string> = new Set<Lifetime>(['cold', 'warm', 'live']);

/** A label's word for it; null for none, and for what a later version may mean by another. */
export function parseLifetime(word: string | undefined): Lifetime | null {
  return LIFETIMES.has(word ?? '') ? (word as Lifetime) : null;
}

/** A stack, and how long it lives as far as whoever means to change it knows. */
export interface StackRef {
  stack: string;
  lifetime: Lifetime;
}
