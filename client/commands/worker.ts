import path from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../host/config/config.ts';
import { taskQueueOf } from '../../workflows/protocol.ts';
import { connect } from '../connect.ts';
import { ensureNamespaceReady } from '../namespace.ts';
import { devFolder, devServerSettings, startDevServer } from '../dev.ts';
import { CommandStopped } from '../failure.ts';
import { configOf, type Session } from '../session.ts';
import { stopSignal } from '../signals.ts';

/** The two commands that work on this host: each runs until Ctrl-C or SIGTERM. */
export function addWorkerCommands(program: Command, session: Session): void {
  program
    .command('worker')
    .description('run the worker of this host; its log goes to standard output')
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(session, command);
      await prepareNamespace(config);
      const stop = stopSignal();
      await work(session, config, stop.signal);
      stop.dispose();
    });

  program
    .command('dev')
    .description('run an embedded Temporal server and a worker; data under <state>/dev')
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(session, command);
      await serveAndWork(session, config);
    });
}

async function prepareNamespace(config: Config): Promise<void> {
  const server = await connect(config);
  try {
    await ensureNamespaceReady(server.connection, server.namespace);
  } finally {
    await server.close();
  }
}

async function work(session: Session, config: Config, signal: AbortSignal, logFile?: string): Promise<void> {
  const { terminal } = session;
  const { address, namespace } = config.temporal;
  // Loaded here, since it brings the native worker that no other command needs.
  const { runWorker } = await import('../../worker/worker.ts');
  await runWorker(config, {
    signal,
    ...(logFile === undefined ? {} : { logFile }),
    onReady: () =>
      terminal.err(
        `worker waits on task queue ${taskQueueOf(config.host)} of ${address}, namespace ${namespace}`,
      ),
  });
}

async function serveAndWork(session: Session, config: Config): Promise<void> {
  const { terminal } = session;
  const { ensureTemporal } = await import('../../setup/temporal.ts');
  const settings = devServerSettings(config, await ensureTemporal((line) => terminal.err(line)));
  const stop = stopSignal();
  const server = await startDevServer(settings);
  const serverEnded = new AbortController();
  let stopping = false;
  void server.ended.then((how) => {
    if (stopping) return;
    serverEnded.abort(
      new CommandStopped(`the Temporal server: ${how} while in use; its log is ${settings.logFile}`),
    );
  });
  try {
    await prepareNamespace(config);
    const logFile = path.join(devFolder(config), 'worker.log');
    terminal.err(`Temporal UI  ${config.temporal.ui}`);
    terminal.err(`logs         ${settings.logFile}, ${logFile}`);
    terminal.err('Ctrl-C stops both');
    await work(session, config, AbortSignal.any([stop.signal, serverEnded.signal]), logFile);
    serverEnded.signal.throwIfAborted();
  } finally {
    stopping = true;
    await server.stop();
    stop.dispose();
  }
}
