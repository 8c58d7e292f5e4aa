import { readFile } from 'node:fs/promises';
import { lastFailure, type Observation, type ServiceSeen } from '../../domain/convergence.ts';
import { Fault, type FaultType } from '../../domain/fault.ts';
import { saysDiskFull } from './daemon.ts';
import { KILLED } from './exec.ts';

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

/**
 * How many processes this host's kernel has ended for want of memory since it started (proc(5), /proc/vmstat); null
 * where it does not say.
 */
export async function oomKills(vmstat = '/proc/vmstat'): Promise<number | null> {
  const text = await readFile(vmstat, 'utf8').catch(() => '');
  const count = /^oom_kill (\d+)$/m.exec(text)?.[1];
  return count === undefined ? null : Number(count);
}

/**
 * Throws a Fault when what a task of the stack last failed of is no fault of the package. `killed`: whether the kernel
 * ended anything for want of memory while it was deployed.
 */
export function refusePlatformTrouble(stack: string, { services }: Observation, killed: boolean): void {
  const ended = services.filter(wasKilled);
  // The kernel counts those too that had used up a limit of their own.
  if (killed && ended.length > 0 && !ended.some(({ memoryLimited }) => memoryLimited)) {
    throw outOfMemory(`${stack}: ${ended.map(({ name }) => name).join(', ')}`);
  }
  for (const { name, tasks } of services) {
    const failure = lastFailure(tasks);
    const trouble = failure === null ? undefined : TROUBLES.find(({ isSaid }) => isSaid(failure));
    if (trouble) throw new Fault(trouble.type, `${stack}: ${name}: ${failure}: ${trouble.advice}`);
  }
}

/** Likewise of a command that ran in a container of the service: a database's dump, say, which outgrew this host. */
export function refuseKilledCommand(
  stack: string,
  service: string,
  { services }: Observation,
  status: number | null,
  killed: boolean,
): void {
  const isLimited = services.some(({ name, memoryLimited }) => name === service && memoryLimited);
  if (killed && status === KILLED && !isLimited) throw outOfMemory(`${stack}: a command in ${service}`);
}

function outOfMemory(what: string): Fault {
  return new Fault(
    'Preflight',
    `${what}: ended by this host's kernel, which had no memory left (exit 137, without a limit of its own): hold this recipe, or give this host more memory`,
  );
}

/** What is ended for being unhealthy leaves with the same status. */
function wasKilled({ tasks }: ServiceSeen): boolean {
  return tasks.some(
    ({ current, exitCode, error }) => current && exitCode === KILLED && !/unhealthy/i.test(error ?? ''),
  );
}
