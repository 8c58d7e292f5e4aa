import { lastFailure, type Observation } from '../domain/convergence.ts';
import { Fault, type FaultType } from '../domain/fault.ts';
import { saysDiskFull } from './daemon.ts';

/**
 * The engine's and the swarm's words for why a task does not run that are about this host and not about the package.
 * "scheduling constraints not satisfied" is not among them: a constraint is the recipe's own.
 */
const TROUBLES: readonly { isSaid: (failure: string) => boolean; type: FaultType; advice: string }[] = [
  {
    isSaid: saysDiskFull,
    type: 'Disk',
    advice: "the engine's disk is full: free some space",
  },
  {
    isSaid: (failure) =>
      /failed to allocate (network IP|gateway)|could not find an available IP|no available IPv[46] address/i.test(
        failure,
      ),
    type: 'Daemon',
    advice:
      'a network has no free address: see docker network inspect proxy, and make it anew with a larger subnet',
  },
  {
    isSaid: (failure) => /no suitable node \([^)]*insufficient resources/i.test(failure),
    type: 'Preflight',
    advice:
      'it asks to reserve more memory or processors than this host has free: hold this recipe, or free some',
  },
];

/** Throws a Fault when what a task of the stack last failed of is no fault of the package. */
export function refusePlatformTrouble(stack: string, { services }: Observation): void {
  for (const { name, tasks } of services) {
    const failure = lastFailure(tasks);
    const trouble = failure === null ? undefined : TROUBLES.find(({ isSaid }) => isSaid(failure));
    if (trouble) throw new Fault(trouble.type, `${stack}: ${name}: ${failure}: ${trouble.advice}`);
  }
}
