import { Client, Connection } from '@temporalio/client';
import type { Config } from '../host/config/config.ts';
import { temporalAccess } from '../host/config/temporal-access.ts';
import { pollingWorkers } from '../worker/pollers.ts';
import { taskQueueOf } from '../workflows/protocol.ts';
import { CommandStopped } from './failure.ts';
import { explain, isUnauthenticated } from './temporal-failure.ts';

/** The server as the commands use it. */
export interface TemporalServer {
  connection: Connection;
  client: Client;
  namespace: string;
  close(): Promise<void>;
}

/** Nobody answers there: it may be starting. */
export class NoServer extends CommandStopped {}

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
    throw new NoServer(`no Temporal server answers at ${address} (temporal.address); ${how}`);
  }
  const client = new Client({ connection, namespace });
  return { connection, client, namespace, close: () => connection.close() };
}

/** A question that nobody would answer is not asked. */
export async function requireWorker(server: TemporalServer, host: string): Promise<void> {
  const taskQueue = taskQueueOf(host);
  if ((await pollingWorkers(server, taskQueue)).length > 0) return;
  throw new CommandStopped(
    `no worker waits on task queue ${taskQueue} of namespace ${server.namespace}; start one on ${host}: recipe-sweep worker, or its systemd unit`,
  );
}
