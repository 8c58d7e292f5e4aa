import { Client, Connection } from '@temporalio/client';
import type { Config } from '../host/config/config.ts';
import { temporalAccess } from '../host/config/temporal-access.ts';
import { pollingWorkers } from '../worker/pollers.ts';
import { SEARCH_ATTRIBUTES, taskQueueOf } from '../workflows/protocol.ts';
import { CommandStopped, explain, isForbidden, isNotFound, isUnauthenticated } from './failure.ts';

/** The server as the commands use it. */
export interface TemporalServer {
  connection: Connection;
  client: Client;
  namespace: string;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 3_000;

/** Connects, or stops the command with one line that says how to get a server. */
export async function connect(
  { temporal }: Pick<Config, 'temporal'>,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<TemporalServer> {
  const { address, namespace } = temporal;
  const access = await temporalAccess(temporal);
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...access, connectTimeout: timeoutMs });
  } catch (error) {
    if (isUnauthenticated(error)) {
      throw new CommandStopped(
        `the Temporal server at ${address} does not take who we are (${explain(error)}): see temporal.apiKeyFile, and temporal.tls.cert`,
      );
    }
    const how = access.tls
      ? 'is it this server, with TLS, and does temporal.tls.ca vouch for it?'
      : 'start it: recipe-sweep dev, or its systemd unit; one with TLS needs temporal.tls';
    throw new CommandStopped(`no Temporal server answers at ${address} (temporal.address); ${how}`);
  }
  const client = new Client({ connection, namespace });
  return { connection, client, namespace, close: () => connection.close() };
}

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;

/** Our search attributes that the namespace lacks. Stops the command when one exists with another type. */
export async function missingSearchAttributes({
  connection,
  namespace,
}: Pick<TemporalServer, 'connection' | 'namespace'>): Promise<string[]> {
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
      `Temporal has no namespace ${namespace} (temporal.namespace); create it: temporal operator namespace create --retention 90d ${namespace}`,
    );
  }
  const missing = await missingSearchAttributes({ connection, namespace });
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
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

/** A question that nobody would answer is not asked. */
export async function requireWorker(server: TemporalServer, host: string): Promise<void> {
  const taskQueue = taskQueueOf(host);
  if ((await pollingWorkers(server, taskQueue)).length > 0) return;
  throw new CommandStopped(
    `no worker waits on task queue ${taskQueue} of namespace ${server.namespace}; start one on ${host}: recipe-sweep worker, or its systemd unit`,
  );
}

/** The page of a workflow in Temporal's own UI. */
export function workflowUrl({ temporal }: Pick<Config, 'temporal'>, workflowId: string): string {
  return `${namespaceUrl(temporal)}/workflows/${encodeURIComponent(workflowId)}`;
}

/** The page of a schedule in Temporal's own UI. */
export function scheduleUrl({ temporal }: Pick<Config, 'temporal'>, scheduleId: string): string {
  return `${namespaceUrl(temporal)}/schedules/${encodeURIComponent(scheduleId)}`;
}

function namespaceUrl({ ui, namespace }: Config['temporal']): string {
  return `${ui.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}`;
}
