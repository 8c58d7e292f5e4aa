import type { Connection } from '@temporalio/client';
import { POLLING_WITHIN_MS } from '../workflows/protocol.ts';

/** The workers that wait on a task queue, as the Temporal server knows them. */

export interface Poller {
  /** The worker's name for itself: `<pid>@<host>`. */
  identity: string;
  lastSeen: Date;
}

/** The workers that wait for workflow tasks on a task queue now. */
export async function pollingWorkers(
  { connection, namespace }: { connection: Connection; namespace: string },
  taskQueue: string,
  now = Date.now(),
): Promise<Poller[]> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: 1, // workflow tasks
  });
  return (pollers ?? [])
    .map(({ identity, lastAccessTime }) => ({
      identity: identity ?? '',
      lastSeen: new Date(Number(lastAccessTime?.seconds ?? 0) * 1000),
    }))
    .filter(({ lastSeen }) => now - lastSeen.getTime() < POLLING_WITHIN_MS);
}

/** What a worker of an installation calls itself. */
export function workerIdentity(pid: number, hostname: string, installation: string): string {
  return `${pid}@${hostname}/${installation}`;
}

/**
 * Workers that wait on this host's queue and are not of this installation: they would take steps of its sweeps to
 * another state folder, and mostly to another machine.
 */
export function foreignWorkers(workers: readonly Poller[], installation: string): string[] {
  return workers.map(({ identity }) => identity).filter((identity) => !identity.endsWith(`/${installation}`));
}

/** Such workers, in words: what was found and what to do. */
export function foreignFound(host: string, foreign: readonly string[]): { found: string; how: string } {
  return {
    found: `another installation calls itself ${host} as well: ${foreign.join(', ')}`,
    how: 'stop its worker, or give it a "host" of its own',
  };
}
