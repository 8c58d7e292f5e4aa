import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import Dockerode from 'dockerode';
import { createActivities } from '../activities/index.ts';
import { relayAlerts } from '../alerts/relay.ts';
import { createForge } from '../forge/gitea.ts';
import { createAttempts } from '../host/lock/attempts.ts';
import { COMMAND_MARK } from '../host/machine/processes.ts';
import { createCanonicals } from '../host/store/canonicals.ts';
import type { Config } from '../host/config/config.ts';
import { declaredEnvironment } from '../host/config/environment.ts';
import { forgeAccess } from '../host/config/forge-access.ts';
import { createHostLock } from '../host/lock/host-lock.ts';
import { ensureInstallation } from '../host/lock/installation.ts';
import { createLedger } from '../host/git/ledger.ts';
import { createMirrors } from '../host/git/mirrors.ts';
import { openLog } from '../host/machine/log.ts';
import { processRunner } from '../host/machine/process.ts';
import { createRecipes } from '../host/recipes/recipes.ts';
import { lookAtDisks } from '../host/room.ts';
import { createServices } from '../host/store/services.ts';
import { createStore } from '../host/store/store.ts';
import { temporalAccess } from '../host/config/temporal-access.ts';
import { deployingOnSwarm } from '../host/deploy/deploying.ts';
import { lookAtEnvironment } from '../host/fingerprint.ts';
import { createTools } from '../host/tools.ts';
import { REAP_WORKFLOW, reapWorkflowId, taskQueueOf } from '../workflows/protocol.ts';
import { keepSite } from '../site/keep-site.ts';
import { temporalLogger } from './log.ts';
import { isOpenWorkflow } from './open-workflow.ts';
import { installRuntime } from './runtime.ts';
import { siteNow } from './site-now.ts';
import { logsSteps } from './step-log.ts';
import { createTurns } from './turns.ts';
import { foreignFound, foreignWorkers, pollingWorkers, workerIdentity } from './pollers.ts';

export interface WorkerOptions {
  /** Stops the worker: what runs is cancelled, and tried again by the next worker. */
  signal: AbortSignal;
  /** Where the log goes, one JSON object a line; standard output when it is not given. */
  logFile?: string;
  /** Called once the worker polls. */
  onReady?: () => void;
}

/** Less than the heartbeat of a step, so that each one is sent, and brings a cancellation back with it. */
const HEARTBEAT_THROTTLE = '1s';

/** Made by `npm run build`: a worker runs from dist/, and compiles nothing. */
const WORKFLOW_BUNDLE = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

/** Runs a worker until the signal, and first of all reaps what crashed runs left on this host. */
export async function runWorker(config: Config, { signal, logFile, onReady }: WorkerOptions): Promise<void> {
  const log = openLog(config.host, logFile);
  installRuntime(temporalLogger(log), config);
  await createAttempts(config.state).endOrphans();
  const { namespace } = config.temporal;
  const access = await temporalAccess(config.temporal);
  const clientConnection = await Connection.connect(access);
  let connection: NativeConnection | undefined;
  try {
    connection = await NativeConnection.connect(access);
    const client = new Client({ connection: clientConnection, namespace });
    const installation = await ensureInstallation(config.state);
    const worker = await Worker.create({
      connection,
      namespace,
      identity: workerIdentity(process.pid, os.hostname(), installation),
      taskQueue: taskQueueOf(config.host),
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      activities: activitiesFor(config, client, clientConnection, installation),
      interceptors: { activity: [logsSteps] },
      maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
      defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    });
    const running = worker.run();
    // By this process and no workflow: it changes nothing of the host, and its secrets are for no history.
    const ending = new AbortController();
    const relaying = relayAlerts(config, { log, signal: ending.signal });
    const showing = keepSite(config, { log, signal: ending.signal, now: siteNow(config, client) });
    const stop = (): void => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) stop();
      else await startReaping(client, config.host);
      onReady?.();
    } catch (error) {
      stop();
      throw error;
    } finally {
      // What runs is let end before the connections close under it.
      await running.finally(() => ending.abort());
      await Promise.all([relaying, showing]);
    }
  } finally {
    await clientConnection.close();
    await connection?.close();
  }
}

/** The steps bound to this host. */
function activitiesFor(config: Config, client: Client, connection: Connection, installation: string) {
  const { state, recipes, host } = config;
  const { namespace } = config.temporal;
  const now = (): Date => new Date();
  const ledger = createLedger(state);
  const canonicals = createCanonicals(config);
  const folders = createRecipes(recipes);
  const services = createServices(config);
  const environment = declaredEnvironment(config);
  const attempts = createAttempts(state);
  return createActivities({
    config,
    async forgeFor(signal) {
      const access = await forgeAccess(config);
      return access && createForge({ ...access, signal });
    },
    recipes: folders,
    ledger,
    canonicals,
    services,
    ...createStore(state),
    lock: createHostLock({ state, host, now, isOpen: (holder) => isOpenWorkflow(client, holder) }),
    attempts,
    turns: createTurns(client, host),
    async foreignWorker() {
      const workers = await pollingWorkers({ connection, namespace }, taskQueueOf(host));
      const foreign = foreignWorkers(workers, installation);
      return foreign.length === 0 ? null : foreignFound(host, foreign);
    },
    environment: (commands) => lookAtEnvironment({ config, commands, recipes: folders, services }),
    disks: () => lookAtDisks(config),
    runnerFor: ({ signal, commandMark }) =>
      processRunner({ environment: { ...environment, [COMMAND_MARK]: commandMark }, signal }),
    mirrorsFor: (commands) =>
      createMirrors({ config, commands, ledger, now, endOrphans: () => attempts.endOrphans() }),
    toolsFor(attempt) {
      const docker = new Dockerode({ socketPath: config.docker.socket });
      const deploying = deployingOnSwarm({ ...attempt, config, docker });
      return createTools({ config, canonicals, now }, deploying, attempt);
    },
    now,
  });
}

async function startReaping(client: Client, host: string): Promise<void> {
  await client.workflow.start(REAP_WORKFLOW, {
    workflowId: reapWorkflowId(host),
    taskQueue: taskQueueOf(host),
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: 'what crashed runs left, removed when a worker starts',
  });
}
