import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Boundary } from '../../host/machine/boundary.ts';
import { until } from '../e2e/system.ts';
import type { Dice } from './dice.ts';
import { LIVE_RECIPE, type Scenario } from './scenarios.ts';
import type { Stage } from './stage.ts';
import type { Strike, Struck } from './strike.ts';

/** What a fault may strike at. */
export interface Target {
  stage: Stage;
  /** The workflow that is struck: a sweep, a test, or a reconcile. */
  asker: string;
  /** The recipe's run: the sweep's child, or the test or reconcile itself. */
  run: string;
  recipe: string;
  dice: Dice;
  isOver(): Promise<boolean>;
}

export interface Fault {
  /** What the worker itself does at the boundary; null for a fault that comes once the sweep has ended. */
  action: Strike['action'] | null;
  /** What is done then. A worker that stopped itself is let go on in here. */
  strike(target: Target, struck: Struck): Promise<void>;
  /**
   * What an operator does about it, once another sweep has had to live with it. Answers whether the canonical was
   * given up for it.
   */
  mend?(target: Target): Promise<{ forgotten: boolean }>;
}

/** Longer than the heartbeat time-out of a step. */
const OVERTAKEN_MS = 60_000;
const SWEEP_MS = 300_000;

export const FAULTS = {
  /** kill -9 of the worker; systemd starts another. */
  'worker-kill': {
    action: 'kill',
    async strike({ stage }) {
      await stage.worker().ended;
      await stage.startWorker();
    },
  },
  /** The worker stands still past its heartbeat while a second one takes over, and then goes on. */
  zombie: {
    action: 'stop',
    async strike({ stage, dice, isOver }, { pid }) {
      const zombie = stage.worker();
      await stage.startWorker();
      const late = dice.pick([true, false]);
      const more = dice.upTo(15);
      const enough = async (): Promise<boolean> =>
        (await isOver()) || (!late && passesOfOthers(stage, pid) > more);
      await until(enough, late ? SWEEP_MS : OVERTAKEN_MS).catch(() => undefined);
      goOn(pid);
      await until(isOver, SWEEP_MS).catch(() => undefined);
      await sleep(2_000);
      await zombie.stop();
    },
  },
  /** SIGTERM, as systemd restarts a unit. */
  'worker-term': {
    action: 'stop',
    async strike({ stage }, { pid }) {
      const worker = stage.worker();
      process.kill(pid, 'SIGTERM');
      goOn(pid);
      await worker.stop();
      await stage.startWorker();
    },
  },
  /** kill -9 of the Temporal server; it comes back on the same database. */
  'server-kill': {
    action: 'stop',
    async strike({ stage, dice }, { pid }) {
      await stage.system.killTemporal();
      goOn(pid);
      await sleep(dice.upTo(30) * 1_000);
      await stage.system.restartTemporal('same');
      await stage.ensureWorker();
    },
  },
  /** The Temporal server comes back with an empty database: it has never heard of the sweep. */
  'history-loss': {
    action: 'stop',
    async strike({ stage, dice }, { pid }) {
      await stage.system.killTemporal();
      goOn(pid);
      await sleep(dice.upTo(3) * 1_000);
      await stage.system.restartTemporal('new');
      await stage.ensureWorker();
    },
  },
  /** The docker engine is restarted, or killed and started again. */
  'docker-restart': {
    action: 'stop',
    async strike({ dice }, { pid }) {
      const restarted = restartDocker(dice.pick(['SIGTERM', 'SIGKILL']));
      goOn(pid);
      await restarted;
    },
  },
  /** A git, docker or tar command is killed the moment it was started. */
  'command-kill': { action: 'kill-command', strike: async () => undefined },
  /** An operator cancels the sweep or the recipe's run; or the test. */
  cancel: {
    action: 'stop',
    async strike({ stage, asker, run, dice }, { pid }) {
      const id = dice.pick([asker, run]);
      await handleOf(stage, id)
        .cancel()
        .catch(() => handleOf(stage, asker).cancel());
      goOn(pid);
    },
  },
  /** An operator terminates them: nothing of theirs cleans up. */
  terminate: {
    action: 'stop',
    async strike({ stage, asker, run, dice }, { pid }) {
      for (const id of dice.pick([[asker], [run], [asker, run]])) {
        await handleOf(stage, id)
          .terminate('chaos')
          .catch(() => undefined);
      }
      goOn(pid);
    },
  },
  /** The state folder's disk is full for a while. */
  'disk-full': {
    action: 'stop',
    async strike({ stage, dice }, { pid }) {
      await stage.fillDisk();
      goOn(pid);
      await sleep(dice.upTo(12) * 1_000);
      await stage.freeDisk();
    },
  },
  /** An operator resets the open sweep, or test, to one of its earlier workflow tasks. */
  'reset-open': {
    action: 'stop',
    async strike({ stage, asker, dice }, { pid }) {
      await reset(stage, asker, dice);
      goOn(pid);
    },
  },
  /** An operator resets a recipe's run, or a test, that has ended. */
  'reset-run': {
    action: null,
    async strike({ stage, run, dice }) {
      await reset(stage, run, dice);
    },
  },
  /** An operator resets a sweep that has ended. */
  'reset-sweep': {
    action: null,
    async strike({ stage, asker, dice }) {
      await reset(stage, asker, dice);
    },
  },
  /** Something that is not ours stands in a stack of ours, so that no clean-up may touch the stack. */
  'foreign-volume': {
    action: 'stop',
    async strike({ stage }, { pid }) {
      for (const stack of await runningStacks(stage)) {
        const name = `${stack}_${FOREIGN}`;
        await docker('volume', 'create', '--label', `com.docker.stack.namespace=${stack}`, name);
      }
      goOn(pid);
    },
    async mend({ stage }) {
      const zone = stage.system.zone.replaceAll('.', '_');
      const names = await docker('volume', 'ls', '--quiet', '--filter', `name=_${zone}_${FOREIGN}`);
      if (names.length > 0) await docker('volume', 'rm', ...names);
      return { forgotten: false };
    },
  },
  /**
   * The record of the canonical is lost, and its operator writes it anew from the history; or that of what a live service
   * is at, and it is taken over again.
   */
  'record-lost': {
    action: null,
    async strike({ stage, recipe }) {
      const file =
        recipe === LIVE_RECIPE
          ? path.join(stage.system.state, 'services', recipe, 'last-good.json')
          : path.join(canonicalFolder(stage, recipe), 'canonical.json');
      rmSync(file, { force: true });
    },
    async mend({ stage, recipe }) {
      if (recipe === LIVE_RECIPE) {
        await type(stage, 'service', 'adopt', recipe);
        return { forgotten: false };
      }
      if (!existsSync(path.join(canonicalFolder(stage, recipe), 'history.jsonl')))
        return { forgotten: false };
      await type(stage, 'canonical', 'rebuild', recipe);
      return { forgotten: false };
    },
  },
  /** The secrets of the canonical are gone from the swarm; its operator gives it up. */
  'secrets-lost': {
    action: null,
    async strike({ stage, recipe }) {
      const names = await secretsOf(stage, recipe);
      if (names.length > 0) await docker('secret', 'rm', ...names);
    },
    async mend({ stage, recipe }) {
      await type(stage, 'canonical', 'forget', recipe, '--yes');
      return { forgotten: true };
    },
  },
  /** What may be thrown away at any time is: the working copy of the mirror, and the copy of the commit. */
  'caches-lost': {
    action: null,
    async strike({ stage, recipe }) {
      rmSync(path.join(stage.system.state, 'work'), { recursive: true, force: true });
      const folder = canonicalFolder(stage, recipe);
      const kept = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.bundle')) : [];
      for (const name of kept) rmSync(path.join(folder, name));
    },
  },
} as const satisfies Record<string, Fault>;

/** What the foreign thing is called in any stack. */
const FOREIGN = 'foreign';

export type FaultName = keyof typeof FAULTS;

/** What is done to the workflows themselves. */
const OPERATORS: readonly FaultName[] = ['cancel', 'terminate', 'reset-open'];

/** The faults that make sense in a story, at a boundary; null stands for the time afterwards. */
export function faultsFor(boundary: Boundary | null, scenario: Scenario): FaultName[] {
  const names = (Object.keys(FAULTS) as FaultName[]).filter((name) => fits(name, scenario));
  if (boundary === null) return names.filter((name) => FAULTS[name].action === null);
  // Those are passed by the reaper, when the sweep is long gone.
  const reaping = boundary.startsWith('reap.');
  return names.filter(
    (name) =>
      FAULTS[name].action !== null &&
      (name !== 'command-kill' || boundary === 'command.after-start') &&
      !(reaping && OPERATORS.includes(name)),
  );
}

function fits(name: FaultName, { test, live, fails }: Scenario): boolean {
  if (name === 'reset-sweep') return test === null && live === null;
  // What stands in the stack of a service that is looked after counts as the service's.
  if (name === 'foreign-volume') return live === null || live === 'install';
  // What is given up is installed anew at the latest release, whose data fails no later one. Those of a live service
  // are in use.
  if (name === 'secrets-lost') return !fails && live === null;
  return true;
}

async function docker(...args: string[]): Promise<string[]> {
  const { stdout } = await execa('docker', args);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Of our zone, cold and warm. */
async function runningStacks({ system }: Stage): Promise<string[]> {
  const format = '{{index .Spec.Labels "com.docker.stack.namespace"}}';
  const services = await docker(
    'service',
    'ls',
    '--quiet',
    '--filter',
    `label=recipe-sweep.zone=${system.zone}`,
  );
  if (services.length === 0) return [];
  return [...new Set(await docker('service', 'inspect', '--format', format, ...services))];
}

async function secretsOf({ system }: Stage, recipe: string): Promise<string[]> {
  const stack = `warm-${recipe}_${system.zone.replaceAll('.', '_')}`;
  const label = `label=com.docker.stack.namespace=${stack}`;
  return docker('secret', 'ls', '--filter', label, '--format', '{{.Name}}');
}

function canonicalFolder({ system }: Stage, recipe: string): string {
  return path.join(system.state, 'canonicals', recipe);
}

/** A command as an operator types it. */
async function type({ system }: Stage, ...args: string[]): Promise<void> {
  const { status, stdout, stderr } = await system.cli(...args);
  if (status !== 0) throw new Error(`recipe-sweep ${args.join(' ')}: ${stdout}${stderr}`);
}

function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // it was ended meanwhile
  }
}

function passesOfOthers(stage: Stage, pid: number): number {
  const lines = readFileSync(stage.files.passed, 'utf8').trimEnd().split('\n');
  let overtaken = 0;
  for (const line of lines.reverse()) {
    if (line.includes(`"pid":${pid},`)) break;
    overtaken += 1;
  }
  return overtaken;
}

function handleOf({ system }: Stage, id: string) {
  return system.temporal.client.workflow.getHandle(id);
}

/** To the end of any of its workflow tasks, as `temporal workflow reset --event-id` does. */
async function reset(stage: Stage, workflowId: string, dice: Dice): Promise<void> {
  const { client, namespace, connection } = stage.system.temporal;
  const handle = client.workflow.getHandle(workflowId);
  const { runId } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const ends = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes);
  await connection.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId, runId },
    reason: 'chaos',
    requestId: randomUUID(),
    workflowTaskFinishEventId: dice.pick(ends).eventId ?? null,
  });
}

async function restartDocker(signal: NodeJS.Signals): Promise<void> {
  const pid = Number(readFileSync('/var/run/docker.pid', 'utf8'));
  const [file = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  process.kill(pid, signal);
  await until(async () => !existsSync(`/proc/${pid}`), 60_000);
  // As systemd does, it is started again should it end before it answers.
  let ended = true;
  await until(async () => {
    if (ended) {
      ended = false;
      const engine = execa(file, args, { detached: true, stdio: 'ignore', cleanup: false, reject: false });
      engine.unref();
      void engine.then(() => (ended = true));
    }
    return (await execa('docker', ['info'], { reject: false })).exitCode === 0;
  }, 180_000);
}
