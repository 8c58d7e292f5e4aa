import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import Dockerode from 'dockerode';
import getPort from 'get-port';
import { stringify } from 'yaml';
import { readConfig, type Config } from '../host/config/config.ts';
import { declaredEnvironment } from '../host/config/environment.ts';
import { processRunner } from '../host/machine/process.ts';
import { whyNotReady, startService, type Service } from '../host/machine/child.ts';
import { deployingOnSwarm } from '../host/deploy/deploying.ts';
import type { Ready } from '../setup/main.ts';

import { ABRA_STAND_IN } from '../fixtures/abra-stand-in.ts';
import { startForge, type ForgeFixture } from '../fixtures/forge.ts';
import { startImageRegistry, type ImageRegistry } from '../fixtures/image-registry.ts';

import { writeRecipesFolder } from '../fixtures/recipes-folder.ts';

import { createUpstreams, type Upstreams } from '../fixtures/upstreams.ts';
import { taskQueueOf } from '../workflows/protocol.ts';
import { connect, type TemporalServer } from '../client/connect.ts';
import { ensureNamespaceReady } from '../client/namespace.ts';
import { pollingWorkers } from '../worker/pollers.ts';
import { devServerSettings, startDevServer, type DevServer } from '../client/dev.ts';
import { CommandStopped } from '../client/failure.ts';
import { endEarlierDemo, markOf } from './earlier.ts';

/**
 * Everything the demo runs on: a folder of its own, a server, a worker process, `recipe-sweep serve`, a registry, upstreams
 * on disk; and where it is asked for, a forge.
 */
export interface Stage {
  config: Config;
  configFile: string;
  upstreams: Upstreams;
  server: TemporalServer;
  /** Null where the mirrors are on disk. */
  forge: ForgeFixture | null;
  /** Ends what was started and removes what was deployed; the folder stays, to be read. */
  strike(): Promise<void>;
}

/** Somebody asked the demo to stop. */
export class Interrupted extends Error {}

export const DEMO_HOST = 'demo';
const REPOSITORY = path.resolve(import.meta.dirname, '..');
const FOLDER = path.join(REPOSITORY, '.demo');
const CONFIG_FILE = path.join(FOLDER, 'recipe-sweep.yml');
const TOKEN_FILE = path.join(FOLDER, 'forge-token');
const SECRET_FILE = path.join(FOLDER, 'webhook-secret');
const COMMAND = path.join(REPOSITORY, 'bin', 'recipe-sweep');
/** Of this clone alone: the demos of two clones on one host leave each other's stacks alone. */
const ZONE = `demo-${createHash('sha256').update(REPOSITORY).digest('hex').slice(0, 6)}.test`;
/** Of the container that the forge runs in. */
const FORGE = `recipe-sweep-${ZONE.replace('.test', '')}-forge`;
const START_MS = 60_000;

/** Sets the stage on a host that is ready. What an earlier demo left is removed first. */
export async function setStage(
  enrolled: readonly string[],
  { temporal, registry, madeProxyNetwork }: Ready,
  chosen: { forge: boolean; abra: boolean },
): Promise<Stage> {
  await endEarlierDemo(FOLDER, FORGE);
  await refuseSecondServer();
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER);
  const mark = await markOf(FOLDER);

  const started: {
    forge?: ForgeFixture;
    config?: Config;
    devServer?: DevServer;
    registry?: ImageRegistry;
    server?: TemporalServer;
    worker?: Service;
    serve?: Service;
  } = {};
  const strike = async (): Promise<void> => {
    await started.server?.close();
    await started.serve?.stop();
    await started.worker?.stop();
    await started.devServer?.stop();
    if (started.config) await removeDeployed(started.config);
    await started.registry?.close();
    await started.forge?.stop();
    if (madeProxyNetwork) await removeProxyNetwork();
  };
  try {
    if (chosen.forge) started.forge = await startForge({ name: FORGE, folder: path.join(FOLDER, 'forge') });
    const config = await writeConfig(started.forge ?? null, chosen.abra);
    started.config = config;
    const settings = { ...devServerSettings(config, temporal), env: mark };
    await mkdir(path.dirname(settings.dbFile), { recursive: true });
    await removeDeployed(config);
    started.registry = await startImageRegistry(registry, path.join(FOLDER, 'registry'), mark);
    const upstreams = createUpstreams(path.join(FOLDER, 'upstreams'), started.registry);
    await writeRecipesFolder(path.join(FOLDER, 'recipes'), upstreams, enrolled);
    started.devServer = await startDevServer(settings);
    started.server = await connect(config);
    await ensureNamespaceReady(started.server.connection, started.server.namespace);
    const startCommand = (command: string): Service =>
      startService({
        file: process.execPath,
        args: [COMMAND, '--config', CONFIG_FILE, command],
        env: { ...mark, PATH: config.path },
        logFile: path.join(FOLDER, `${command}.log`),
      });
    started.worker = startCommand('worker');
    await untilPolls(started.worker, started.server);
    started.serve = startCommand('serve');
    await untilServes(started.serve, config);
    if (started.forge) {
      await started.forge.webhook(`${config.serve.url}/webhook`, await readFile(SECRET_FILE, 'utf8'));
    }
    const { server, forge = null } = started;
    return { config, configFile: CONFIG_FILE, upstreams, server, forge, strike };
  } catch (error) {
    await strike();
    throw error;
  }
}

/** An operator may have opened the Temporal UI again. */
async function refuseSecondServer(): Promise<void> {
  const there = await access(CONFIG_FILE).then(
    () => true,
    () => false,
  );
  if (!there) return;
  const earlier = await readConfig(CONFIG_FILE).catch(() => null);
  const server = earlier && (await connect(earlier, 1_000).catch(() => null));
  if (!server) return;
  await server.close();
  throw new CommandStopped(
    `the last demo's server is still up, from ${CONFIG_FILE}; end it first with Ctrl-C`,
  );
}

async function writeConfig(forge: ForgeFixture | null, abra: boolean): Promise<Config> {
  const [port, uiPort, servePort] = [await getPort(), await getPort(), await getPort()];
  const mirrors = forge
    ? `${forge.url}/${forge.organisation}/{recipe}`
    : path.join(FOLDER, 'mirrors', '{recipe}');
  const listen = `127.0.0.1:${servePort}`;
  if (forge) {
    await writeFile(TOKEN_FILE, forge.bot.token, { mode: 0o600 });
    await writeFile(SECRET_FILE, randomBytes(32).toString('hex'), { mode: 0o600 });
  }
  const written = {
    host: DEMO_HOST,
    zone: ZONE,
    state: './state',
    recipes: './recipes',
    mirrors: `${mirrors}.git`,
    ...(forge && { forge: { url: forge.url, tokenFile: TOKEN_FILE } }),
    serve: { listen, url: `http://${listen}`, ...(forge && { webhookSecretFile: SECRET_FILE }) },
    ...(abra && { deployer: 'abra' }),
    path: `${abra ? `${ABRA_STAND_IN}:` : ''}${process.env['PATH']}`,
    // There is no proxy in front.
    probe: { via: 'task' },
    temporal: { address: `127.0.0.1:${port}`, ui: `http://127.0.0.1:${uiPort}` },
    // What is broken here breaks at once.
    limits: { headroom: '1GB', stable: '3s' },
  };
  await writeFile(CONFIG_FILE, `# Written by npm run demo.\n${stringify(written)}`);
  return readConfig(CONFIG_FILE);
}

async function untilPolls(worker: Service, server: TemporalServer): Promise<void> {
  const why = await whyNotReady(worker, {
    isReady: async () => (await pollingWorkers(server, taskQueueOf(DEMO_HOST))).length > 0,
    lack: 'does not poll',
    withinMs: START_MS,
    everyMs: 200,
  });
  if (why !== null) throw new CommandStopped(`the worker: ${why}`);
}

async function untilServes(serve: Service, { serve: { url } }: Config): Promise<void> {
  const why = await whyNotReady(serve, {
    isReady: () =>
      fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    lack: 'is not healthy',
    withinMs: START_MS,
    everyMs: 200,
  });
  if (why !== null) throw new CommandStopped(`recipe-sweep serve: ${why}`);
}

/** Everything of the demo's zone, running or retained, by the labels that the worker puts on all it deploys. */
async function removeDeployed(config: Config): Promise<void> {
  const { deployer, stacks } = deployingOnSwarm({
    config,
    commands: processRunner({ environment: declaredEnvironment(config) }),
    docker: new Dockerode({ socketPath: config.docker.socket }),
    signal: new AbortController().signal,
    guard: async () => undefined,
    commandMark: '',
    report: () => undefined,
  });
  for (const { stack, lifetime } of await stacks.owned()) {
    if (lifetime !== null) await deployer.remove({ stack, lifetime });
  }
}

async function removeProxyNetwork(): Promise<void> {
  const { run } = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  // It stays when somebody else uses it by now.
  await run({ file: 'docker', args: ['network', 'rm', 'proxy'] });
}
