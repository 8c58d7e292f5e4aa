import { createConnection } from 'node:net';
import path from 'node:path';
import type { Config } from '../host/config/config.ts';
import { whyNotReady, startService, type Service } from '../host/machine/child.ts';
import { connect } from './connect.ts';
import { CommandStopped } from './failure.ts';
import { REGISTERED_ATTRIBUTES, type RegisteredAttribute } from './search-attributes.ts';
import { ensureRetention } from './namespace.ts';

/** Temporal's development server, with its data in one file. Production runs a server of its own. */
export interface DevServerSettings {
  /** The `temporal` command line tool. */
  binary: string;
  dbFile: string;
  port: number;
  uiPort: number;
  namespace: string;
  logFile: string;
  /** Names to register, each of type Keyword. */
  searchAttributes: readonly Pick<RegisteredAttribute, 'name' | 'type'>[];
  /** Its environment; else an empty one. */
  env?: Readonly<Record<string, string>>;
}

export interface DevServer {
  pid: number;
  /** Answers how it ended; never rejects. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
const START_TIMEOUT_MS = 60_000;

/** What `recipe-sweep dev` runs for a configuration. Stops the command when it points at another machine. */
export function devServerSettings(
  config: Pick<Config, 'temporal' | 'state'>,
  binary: string,
): DevServerSettings {
  const { address, ui, namespace } = config.temporal;
  const folder = devFolder(config);
  return {
    binary,
    dbFile: path.join(folder, 'temporal.db'),
    port: localPort('temporal.address', `http://${address}`),
    uiPort: localPort('temporal.ui', ui),
    namespace,
    logFile: path.join(folder, 'temporal.log'),
    searchAttributes: REGISTERED_ATTRIBUTES,
  };
}

/** Where `dev` keeps its database and logs. */
export function devFolder({ state }: Pick<Config, 'state'>): string {
  return path.join(state, 'dev');
}

function localPort(key: string, url: string): number {
  const { hostname, port } = URL.canParse(url) ? new URL(url) : { hostname: '', port: '' };
  if (!['127.0.0.1', 'localhost'].includes(hostname) || port === '') {
    throw new CommandStopped(
      `dev runs a server on this machine, but ${key} is ${url.replace(/^http:\/\//, '')}: set it to ${LOOPBACK}:<port>, or run recipe-sweep worker against that server`,
    );
  }
  return Number(port);
}

/** Starts the server and waits until it answers; stops the command with the end of its log when it does not. */
export async function startDevServer(settings: DevServerSettings): Promise<DevServer> {
  const { binary, port, uiPort, namespace, logFile, env = {} } = settings;
  const address = `${LOOPBACK}:${port}`;
  await refuseTakenPort(address, port);
  await refuseTakenPort(address, uiPort);
  const service = startService({ file: binary, args: devServerArgs(settings), env, logFile });
  try {
    await untilAnswers(service, address, namespace);
    // start-dev has no flag for its retention, and its default of a day is shorter than a week between sweeps.
    const server = await connect({ temporal: { address, namespace, ui: '' } });
    try {
      await ensureRetention(server);
    } finally {
      await server.close();
    }
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

/** The server's command line. */
export function devServerArgs(settings: Omit<DevServerSettings, 'binary' | 'logFile' | 'env'>): string[] {
  return [
    ...['server', 'start-dev', '--ip', LOOPBACK, '--port', String(settings.port)],
    ...['--ui-port', String(settings.uiPort), '--db-filename', settings.dbFile],
    ...['--namespace', settings.namespace, '--log-level', 'warn', '--log-format', 'json'],
    ...['--disable-config-env', '--disable-config-file'],
    // The server otherwise hands out tasks on a tick of 50 ms, and a sweep is many small steps; eager, a step
    // begins with the answer that asked for it. A write-ahead log spares each of them a rollback journal.
    ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
    ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
    ...['--sqlite-pragma', 'journal_mode=wal'],
    ...settings.searchAttributes.flatMap(({ name, type }) => ['--search-attribute', `${name}=${type}`]),
  ];
}

async function untilAnswers(service: Service, address: string, namespace: string): Promise<void> {
  const why = await whyNotReady(service, {
    isReady: () => answers(address, namespace),
    lack: 'does not answer',
    withinMs: START_TIMEOUT_MS,
    everyMs: 100,
  });
  if (why !== null) throw new CommandStopped(`the Temporal development server: ${why}`);
}

async function answers(address: string, namespace: string): Promise<boolean> {
  try {
    const server = await connect({ temporal: { address, namespace, ui: '' } }, 1_000);
    try {
      await server.connection.workflowService.describeNamespace({ namespace });
      return true;
    } finally {
      await server.close();
    }
  } catch {
    return false;
  }
}

async function refuseTakenPort(address: string, port: number): Promise<void> {
  if (!(await isTaken(port))) return;
  const other = await connect({ temporal: { address, namespace: 'default', ui: '' } }, 1_000).catch(
    () => null,
  );
  await other?.close();
  throw new CommandStopped(
    other
      ? `a Temporal server answers at ${address} already: run recipe-sweep worker against it, or stop it first`
      : `port ${port} of ${LOOPBACK} is taken by another program: free it, or set another in temporal.address and temporal.ui`,
  );
}

/** Somebody listens there. */
async function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: LOOPBACK, port });
    const answer = (taken: boolean) => (): void => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', answer(true));
    socket.once('error', answer(false));
  });
}
