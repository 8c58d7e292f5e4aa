import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Service } from '../../host/machine/child.ts';
import type { ServiceOrder } from '../../domain/service.ts';
import {
  reapWorkflowId,
  RECONCILE_WORKFLOW,
  recipeWorkflowId,
  SERVICE_WORKFLOW,
  SWEEP_WORKFLOW,
  TEST_WORKFLOW,
  type TestInput,
} from '../../workflows/protocol.ts';
import { startSystem, until, type System } from '../e2e/system.ts';
import { KEYCLOAK, REALM_RECIPE } from './keycloak.ts';
import { readJson, strikeFiles, type Strike, type Struck } from './strike.ts';

/** The system that the campaign strikes at: the e2e tests' own, on a small disk, beside a neighbour. */
export interface Stage {
  system: System;
  files: ReturnType<typeof strikeFiles>;
  /** A stack, a volume and a secret on the same host that are not ours. */
  neighbour: Neighbour;
  /** The worker that polls now. */
  worker(): Service;
  /** Starts another one, which is the worker from now on. */
  startWorker(): Promise<Service>;
  /** Starts one if the last one has ended, as systemd would. */
  ensureWorker(): Promise<void>;
  arm(strike: Strike): void;
  disarm(): void;
  struck(): Struck | null;
  startSweep(id: string, recipes: readonly string[]): Promise<void>;
  startTest(id: string, input: TestInput): Promise<void>;
  startReconcile(id: string, services: readonly string[]): Promise<void>;
  /** What an operator says of a live service; resolves once it is done. */
  order(id: string, service: string, order: ServiceOrder): Promise<void>;
  /** Whether the sweep, test or reconcile, the sweep's runs and the reaper have all ended. */
  isOver(id: string, recipes: readonly string[]): Promise<boolean>;
  /** The status of a workflow's last run in Temporal's words; null when the server does not know it. */
  statusOf(workflowId: string): Promise<string | null>;
  /** Fills the state folder's disk to the last byte. */
  fillDisk(): Promise<void>;
  freeDisk(): Promise<void>;
  stop(): Promise<void>;
}

export interface Neighbour {
  stack: string;
  volume: string;
  secret: string;
  /** What the volume holds. */
  text: string;
}

const STATE_MEGABYTES = 256;
const SSO = path.resolve(import.meta.dirname, '../../fixtures/sso/keycloak');
const LISTENER = import.meta.resolve('./listen.mjs');

export async function startStage(temporalBinary: string, recipes: readonly string[]): Promise<Stage> {
  const workerEnv: Record<string, string> = {};
  const system = await startSystem(temporalBinary, recipes, {
    stateMegabytes: STATE_MEGABYTES,
    limits: { headroom: '1MB', attempts: 4, stable: '2s' },
    workerEnv,
  });
  giveMoreToDo(path.join(system.folder, 'recipes', 'notice-board'));
  enrolKeycloak(system);
  const folder = path.join(system.folder, 'chaos');
  mkdirSync(folder);
  Object.assign(workerEnv, { CHAOS_FOLDER: folder, CHAOS_STATE: system.state, CHAOS_ZONE: system.zone });
  const files = strikeFiles(folder);
  appendFileSync(files.passed, '');
  writeFileSync(files.run, '0');
  const ballast = path.join(system.state, 'ballast');
  const neighbour = await deployNeighbour(system);
  const { client } = system.temporal;
  let worker: Service;
  let alive = false;

  async function startWorker(): Promise<Service> {
    const started = await system.startWorker(['--import', LISTENER]);
    worker = started;
    alive = true;
    void started.ended.then(() => {
      if (worker === started) alive = false;
    });
    return started;
  }

  async function statusOf(workflowId: string): Promise<string | null> {
    return client.workflow
      .getHandle(workflowId)
      .describe()
      .then(
        ({ status }) => status.name,
        (error: Error) => {
          if (error.name === 'WorkflowNotFoundError') return null;
          throw error;
        },
      );
  }

  async function stop(): Promise<void> {
    rmSync(ballast, { force: true });
    try {
      await system.stop();
    } finally {
      await removeNeighbour(neighbour);
    }
  }

  try {
    await startWorker();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    system,
    files,
    neighbour,
    worker: () => worker,
    startWorker,
    async ensureWorker() {
      if (!alive) await startWorker();
    },
    arm(strike) {
      rmSync(files.struck, { force: true });
      rmSync(files.report, { force: true });
      writeFileSync(files.armed, JSON.stringify(strike));
    },
    disarm() {
      rmSync(files.armed, { force: true });
    },
    struck: () => readJson<Struck>(files.report),
    async startSweep(id, names) {
      const args = [{ recipes: [...names] }];
      await client.workflow.start(SWEEP_WORKFLOW, { workflowId: id, taskQueue: system.taskQueue, args });
    },
    async startTest(id, input) {
      await client.workflow.start(TEST_WORKFLOW, {
        workflowId: id,
        taskQueue: system.taskQueue,
        args: [input],
      });
    },
    async startReconcile(id, services) {
      await client.workflow.start(RECONCILE_WORKFLOW, {
        workflowId: id,
        taskQueue: system.taskQueue,
        args: [{ services: [...services] }],
      });
    },
    async order(id, service, order) {
      await client.workflow.execute(SERVICE_WORKFLOW, {
        workflowId: id,
        taskQueue: system.taskQueue,
        args: [{ service, order, by: 'the campaign' }],
      });
    },
    async isOver(id, names) {
      const ids = [id, ...names.map((name) => recipeWorkflowId(id, name)), reapWorkflowId(system.host)];
      const states = await Promise.all(ids.map((id) => statusOf(id).catch(() => 'RUNNING')));
      return !states.includes('RUNNING');
    },
    statusOf,
    async fillDisk() {
      // more than there is: what fits is taken, down to the last page
      await execa('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096'], { reject: false });
    },
    async freeDisk() {
      rmSync(ballast, { force: true });
    },
    stop,
  };
}

/** One of the recipes needs another one beside it, and has a check of its own. */
function giveMoreToDo(folder: string): void {
  appendFileSync(path.join(folder, 'recipe.yml'), 'deps: [custom-html-tiny]\n');
  mkdirSync(path.join(folder, 'checks'), { recursive: true });
  const check = '#!/bin/sh\nexec curl -fsS "$APP_URL/"\n';
  writeFileSync(path.join(folder, 'checks', 'answers'), check, { mode: 0o755 });
}

/** As the live service that it is once it was approved; one of the recipes needs a realm there. */
function enrolKeycloak({ folder, upstreams }: System): void {
  const ours = path.join(folder, 'recipes', KEYCLOAK);
  cpSync(SSO, ours, { recursive: true });
  const file = path.join(ours, 'recipe.yml');
  writeFileSync(file, `upstream: ${upstreams.url(KEYCLOAK)}\n${readFileSync(file, 'utf8')}`);
  appendFileSync(path.join(folder, 'recipes', REALM_RECIPE, 'recipe.yml'), `deps: [${KEYCLOAK}]\n`);
}

/** Named so that it looks like ours to whoever goes by names. */
async function deployNeighbour({ folder, zone }: System): Promise<Neighbour> {
  const stack = `warm-neighbour_${zone.replaceAll('.', '_')}`;
  const neighbour = { stack, volume: `${stack}_data`, secret: `${stack}_key`, text: `of ${stack}\n` };
  const compose = path.join(folder, 'neighbour.yml');
  writeFileSync(
    compose,
    [
      'version: "3.8"',
      'services:',
      '  app:',
      '    image: localhost/recipe-sweep/nginx:1.26',
      '    volumes: [data:/data]',
      '    secrets: [key]',
      '    networks: [own]',
      '    deploy: { endpoint_mode: dnsrr }',
      'volumes: { data: }',
      'networks: { own: }',
      `secrets: { key: { external: true, name: ${neighbour.secret} } }`,
    ].join('\n'),
  );
  await execa('docker', ['secret', 'create', neighbour.secret, '-'], { input: 'the neighbour' });
  await execa('docker', ['stack', 'deploy', '--resolve-image', 'never', '--compose-file', compose, stack]);
  const filter = `label=com.docker.stack.namespace=${stack}`;
  await until(async () => (await execa('docker', ['ps', '--quiet', '--filter', filter])).stdout !== '');
  const { stdout } = await execa('docker', [
    ...['volume', 'inspect', '--format', '{{.Mountpoint}}', neighbour.volume],
  ]);
  writeFileSync(path.join(stdout, 'text'), neighbour.text);
  return neighbour;
}

async function removeNeighbour({ stack, volume, secret }: Neighbour): Promise<void> {
  const docker = (...args: string[]) => execa('docker', args, { reject: false });
  await docker('service', 'rm', `${stack}_app`);
  const filter = `label=com.docker.stack.namespace=${stack}`;
  await until(async () => (await docker('ps', '--all', '--quiet', '--filter', filter)).stdout === '');
  for (let time = 0; time < 20; time++) {
    const gone = await docker('network', 'rm', `${stack}_own`);
    if (gone.exitCode === 0 || /not found|no such/i.test(gone.stderr)) break;
    await sleep(500);
  }
  await docker('volume', 'rm', volume);
  await docker('secret', 'rm', secret);
}
