import type { ProvidedDependency } from '../domain/dependency.ts';
import type { TierPlan } from '../domain/tiers.ts';
import type { ColdTest } from './cold-test.ts';
import type { Run } from './run.ts';

/** The canonical's data, attached again and taken to the head in place. */
export async function quickLane(
  _run: Run,
  _plan: TierPlan,
  _dependencies: readonly ProvidedDependency[],
): Promise<ColdTest> {
  throw new Error('comes with the quick lane');
}
