import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { msToTs, optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { Config } from '../host/config/config.ts';
import { connect, NoServer, type TemporalServer } from './connect.ts';
import { CommandStopped } from './failure.ts';
import { REGISTERED_ATTRIBUTES, type RegisteredAttribute } from './search-attributes.ts';
import { isAlreadyThere, isForbidden, isNotFound, isUnanswered, isUnreachable } from './temporal-failure.ts';

/** The namespace on the Temporal server, and what sweeps need of it. */

type Named = Pick<TemporalServer, 'connection' | 'namespace'>;

/** So long the server keeps closed workflows: operators look back over a quarter of a year of sweeps. */
export const RETENTION_DAYS = 90;
const RETENTION_MS = RETENTION_DAYS * 86_400_000;

/** What is typed where our own command may not. */
export function creationCommand(namespace: string): string {
  return `recipe-sweep namespace ensure, or ${operatorCommand('create', namespace)}`;
}

/** What an administrator of the server types. */
function operatorCommand(verb: 'create' | 'update', namespace: string): string {
  return `temporal operator namespace ${verb} --retention ${RETENTION_DAYS}d --namespace ${namespace}`;
}

/** How long the namespace keeps closed workflows, in days, and what it is able to do, as far as the server says. */
export async function lookAtNamespace({ connection, namespace }: Named) {
  const { config, namespaceInfo } = await connection.workflowService.describeNamespace({ namespace });
  return {
    retentionDays: (optionalTsToMs(config?.workflowExecutionRetentionTtl) ?? 0) / 86_400_000,
    capabilities: namespaceInfo?.capabilities ?? null,
  };
}

/** Has a namespace that keeps workflows for less keep them for 90 days. Answers whether it did. */
export async function ensureRetention(server: Named): Promise<boolean> {
  if ((await lookAtNamespace(server)).retentionDays >= RETENTION_DAYS) return false;
  await server.connection.workflowService.updateNamespace({
    namespace: server.namespace,
    config: { workflowExecutionRetentionTtl: msToTs(RETENTION_MS) },
  });
  return true;
}

/** Our search attributes that the namespace lacks. Stops the command when one exists with another type. */
export async function missingSearchAttributes(server: Named): Promise<string[]> {
  return (await missingAttributes(server)).map(({ name }) => name);
}

async function missingAttributes({ connection, namespace }: Named): Promise<RegisteredAttribute[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return REGISTERED_ATTRIBUTES.filter(({ name, type, number }) => {
    const found = customAttributes[name];
    if (found !== undefined && found !== number) {
      throw new CommandStopped(
        `namespace ${namespace}: search attribute ${name} exists with another type than ${type}; use a namespace of its own (temporal.namespace)`,
      );
    }
    return found === undefined;
  });
}

/**
 * The namespace exists and has our search attributes; registers those that are missing. A workflow that sets
 * an unregistered one stalls, so whatever starts workflows or a worker calls this first. Safe to repeat.
 */
export async function ensureNamespaceReady(connection: Connection, namespace: string): Promise<void> {
  if (!(await isThere({ connection, namespace }))) {
    throw new CommandStopped(
      `Temporal has no namespace ${namespace} (temporal.namespace); create it: ${creationCommand(namespace)}`,
    );
  }
  await registerSearchAttributes({ connection, namespace });
}

/** Answers those that were missing. Stops the command where this user may not, with what to ask for. */
async function registerSearchAttributes({ connection, namespace }: Named): Promise<string[]> {
  const missing = await missingAttributes({ connection, namespace });
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  const commands = missing.map(
    ({ name, type }) =>
      `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type}`,
  );
  await allowed(
    `namespace ${namespace} lacks the search attributes ${names.join(', ')}`,
    commands.map((command) => `  ${command}`).join('\n'),
    () =>
      connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map(({ name, number }) => [name, number])),
      }),
  );
  return names;
}

/** Does what an administrator of the server may do. Where this user may not, the command stops with what to ask for. */
async function allowed<T>(lack: string, command: string, change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new CommandStopped(
      `${lack}, and this user may not change that. Whoever runs the Temporal server types:\n${command}`,
    );
  }
}

async function isThere({ connection, namespace }: Named): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** A server that was just started answers late, and takes some seconds to know a namespace that it has just made. */
const PATIENCE_MS = 120_000;
const RETRY_MS = 1_000;
/** For each look at it; one that starts may take a call and never answer. */
const LOOK_MS = 20_000;

/**
 * Makes the namespace of the configuration all that sweeps need: it is there, has our search attributes, and keeps
 * closed workflows for 90 days or longer. Tells each thing that it did. Waits for a server that is only starting, for
 * two minutes at most; safe to repeat. Stops the command where this user may not, with what to ask for.
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
        await server.connection.withDeadline(Date.now() + LOOK_MS, () => makeReady(server, tell));
        return;
      } finally {
        await server.close();
      }
    } catch (error) {
      if (!mayPass(error) || Date.now() > deadline) throw error;
    }
    await sleep(RETRY_MS);
  }
}

/** What a server says, or does not, that is only starting, or does not know yet what it was just told. */
function mayPass(error: unknown): boolean {
  return error instanceof NoServer || isUnreachable(error) || isUnanswered(error) || isNotFound(error);
}

async function makeReady(server: TemporalServer, tell: (done: string) => void): Promise<void> {
  const { connection, namespace } = server;
  if (!(await isThere(server))) {
    const command = `  ${operatorCommand('create', namespace)}`;
    const made = await allowed(`there is no namespace ${namespace}`, command, () =>
      connection.workflowService
        .registerNamespace({
          namespace,
          description: 'recipe-sweep',
          workflowExecutionRetentionPeriod: msToTs(RETENTION_MS),
        })
        .then(() => true, unlessExists),
    );
    if (made) tell(`created; it keeps closed workflows for ${RETENTION_DAYS} days`);
  }
  const registered = await registerSearchAttributes(server);
  if (registered.length > 0) tell(`search attributes registered: ${registered.join(', ')}`);
  const command = `  ${operatorCommand('update', namespace)}`;
  const raised = await allowed(
    `namespace ${namespace} keeps closed workflows for less than ${RETENTION_DAYS} days`,
    command,
    () => ensureRetention(server),
  );
  if (raised) tell(`keeps closed workflows for ${RETENTION_DAYS} days now`);
}

/** Of two that make it at once one does, and both have it. */
function unlessExists(error: unknown): false {
  if (isAlreadyThere(error)) return false;
  throw error;
}
