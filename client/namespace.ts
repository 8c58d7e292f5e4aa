import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { msToTs, optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { Config } from '../host/config/config.ts';
import { SEARCH_ATTRIBUTES } from '../workflows/protocol.ts';
import { connect, NoServer, type TemporalServer } from './connect.ts';
import { CommandStopped, explain, isForbidden, isNotFound, isUnreachable } from './failure.ts';

/** The namespace on the Temporal server, and what sweeps need of it. */

type Named = Pick<TemporalServer, 'connection' | 'namespace'>;

/** So long the server keeps closed workflows: operators look back over a quarter of a year of sweeps. */
export const RETENTION_DAYS = 90;
const RETENTION_MS = RETENTION_DAYS * 86_400_000;

/** What is typed where our own command may not. */
export function creationCommand(namespace: string): string {
  return `recipe-sweep namespace ensure, or temporal operator namespace create --retention ${RETENTION_DAYS}d --namespace ${namespace}`;
}

/** How long the namespace keeps closed workflows, in days. */
export async function retentionDays({ connection, namespace }: Named): Promise<number> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  return (optionalTsToMs(config?.workflowExecutionRetentionTtl) ?? 0) / 86_400_000;
}

/** Has a namespace that keeps workflows for less keep them for 90 days. Answers whether it did. */
export async function ensureRetention(server: Named): Promise<boolean> {
  if ((await retentionDays(server)) >= RETENTION_DAYS) return false;
  await server.connection.workflowService.updateNamespace({
    namespace: server.namespace,
    config: { workflowExecutionRetentionTtl: msToTs(RETENTION_MS) },
  });
  return true;
}

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;

/** Our search attributes that the namespace lacks. Stops the command when one exists with another type. */
export async function missingSearchAttributes({ connection, namespace }: Named): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.values(SEARCH_ATTRIBUTES)
    .map(({ name }) => name)
    .filter((name) => {
      const type = customAttributes[name];
      if (type !== undefined && type !== KEYWORD) {
        throw new CommandStopped(
          `namespace ${namespace}: search attribute ${name} exists with another type than Keyword; use a namespace of its own (temporal.namespace)`,
        );
      }
      return type === undefined;
    });
}

/**
 * The namespace exists and has our search attributes; registers those that are missing. A workflow that sets
 * an unregistered one stalls, so whatever starts workflows or a worker calls this first. Safe to repeat.
 */
export async function ensureNamespaceReady(connection: Connection, namespace: string): Promise<void> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CommandStopped(
      `Temporal has no namespace ${namespace} (temporal.namespace); create it: ${creationCommand(namespace)}`,
    );
  }
  const server = { connection, namespace };
  try {
    await registerSearchAttributes(server);
  } catch (error) {
    if (error instanceof CommandStopped) throw error;
    const missing = await missingSearchAttributes(server);
    const commands = missing.map(
      (name) =>
        `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
    );
    const why = isForbidden(error) ? 'this user may not register them' : explain(error);
    throw new CommandStopped(
      `namespace ${namespace} lacks the search attributes ${missing.join(', ')}: ${why}. Whoever runs the cluster registers them:\n  ${commands.join('\n  ')}`,
    );
  }
}

/** Answers those that were missing. */
async function registerSearchAttributes(server: Named): Promise<string[]> {
  const missing = await missingSearchAttributes(server);
  if (missing.length > 0) {
    await server.connection.operatorService.addSearchAttributes({
      namespace: server.namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  }
  return missing;
}

/** A server that was just started answers late, and takes some seconds to know a namespace that it has just made. */
const PATIENCE_MS = 120_000;
const RETRY_MS = 1_000;

/**
 * Makes the namespace of the configuration all that sweeps need: it is there, keeps closed workflows for 90 days or
 * longer, and has our search attributes. Tells each thing that it did. Waits for a server that is only starting, for
 * two minutes at most; safe to repeat.
 */
export async function ensureNamespace(
  config: Pick<Config, 'temporal'>,
  tell: (done: string) => void,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      const server = await connect(config);
      try {
        if (await createUnlessThere(server))
          tell(`created; it keeps closed workflows for ${RETENTION_DAYS} days`);
        if (await ensureRetention(server)) tell(`keeps closed workflows for ${RETENTION_DAYS} days now`);
        const registered = await registerSearchAttributes(server);
        if (registered.length > 0) tell(`search attributes registered: ${registered.join(', ')}`);
        return;
      } finally {
        await server.close();
      }
    } catch (error) {
      const passes = error instanceof NoServer || isUnreachable(error) || isNotFound(error);
      if (!passes || Date.now() > deadline) throw error;
    }
    await sleep(RETRY_MS);
  }
}

/** Makes it unless it is there. Answers whether it did. */
async function createUnlessThere({ connection, namespace }: Named): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return false;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  await connection.workflowService.registerNamespace({
    namespace,
    description: 'recipe-sweep',
    workflowExecutionRetentionPeriod: msToTs(RETENTION_MS),
  });
  return true;
}
