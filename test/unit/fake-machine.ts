import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities, type Activities } from '../../activities/index.ts';
import { Fault } from '../../domain/fault.ts';
import type { RecipeSettings } from '../../domain/recipe-settings.ts';
import { versionsOf } from '../../domain/version.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { passBoundary } from '../../host/machine/boundary.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import type { Config } from '../../host/config/config.ts';
import type { Deployer, Occasion, OwnedStack } from '../../host/deploy/deployer.ts';
import type { ExecResult } from '../../host/engine/exec.ts';
import type { App } from '../../domain/app.ts';
import { createHostLock } from '../../host/turn/host-lock.ts';
import { createLedger } from '../../host/git/ledger.ts';
import type { Mirrors } from '../../host/git/mirrors.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createResults } from '../../host/store/results.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { disk, mortality, stillAlive, type MortalProcess } from './mortal-fs.ts';

/**
 * A machine without an engine: stacks in memory, volumes as folders, upstreams as lists of tags. The steps on
 * it are the real ones, with the real records, snapshots and host lock on a real folder.
 */

/** How a release behaves. */
export type Quality = 'good' | 'red' | 'fails on data attached again' | 'fails its checks';

export interface Tag {
  version: string;
  commit: string;
  quality: Quality;
}

interface Stack extends OwnedStack {
  secrets: Set<string>;
}

export const ZONE = 'model.test';
export const DAY_MS = 24 * 60 * 60_000;

export interface Machine {
  state: string;
  upstreams: Map<string, Tag[]>;
  stacks: Map<string, Stack>;
  /** Stacks that cannot be removed. */
  stuck: Set<string>;
  /** The workflows that are open. */
  open: Set<string>;
  /** What recipes' folders say and bring, besides where the upstream is. */
  settings: Map<string, Partial<RecipeSettings>>;
  /** The labels of a recipe's one service, where it has others than that it is backed up. */
  labels: Map<string, Record<string, string>>;
  /** The volumes, as compose names them, that a recipe keeps elsewhere than on this host. */
  elsewhere: Map<string, string[]>;
  /** The bytes that volumes take, as far as anybody asks. */
  bytes: number;
  /** What was said of images that may go, in order. */
  imagesKept: Parameters<Deployer['removeOldImages']>[0][];
  /** How much later it is here than elsewhere, in milliseconds. */
  laterMs: number;
  /** Whatever was deployed, in order. */
  deployed: (Pick<App, 'stack' | 'version' | 'env'> & { occasion: Occasion })[];
  /** Services that run beside the one that every release has. */
  older: string[];
  /** What of every app is in flight; null when nothing is. */
  restless: string | null;
  /** No container of the app runs, and none has to: it is a job. */
  idle: boolean;
  /** How often the container of an app went. */
  crashes: number;
  /** Whether anything says how an app is asked if it serves. */
  asked: boolean;
  /** What every app does when it starts, and when it is stopped. */
  started: () => void;
  stopped: () => void;
  /** What every app does when it is taken to another release while it runs. */
  upgraded: () => void;
  /** What executables of recipes' folders leave with, by their path; others are run. */
  programs: Map<string, (environment: Readonly<Record<string, string>>) => number>;
  /** Archives of cold tests are lists, as those of snapshots are, and no process is started for them. */
  listsOnly: boolean;
  /** What commands in containers do, by their text; others do nothing. */
  commands: Map<string, (stack: string) => ExecResult>;
  /** Runs one step in a worker; the worker may die of it. */
  attempt<T>(worker: MortalProcess, number: number, step: (activities: Activities) => Promise<T>): Promise<T>;
  volume(name: string): string;
  /** The rows that each volume of a stack holds. */
  rows(stack: string): Map<string, string[]>;
}

const QUIET = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export function createMachine(folder: string, recipes: readonly string[]): Machine {
  const state = path.join(folder, 'state');
  const volumes = path.join(folder, 'volumes');
  mkdirSync(volumes, { recursive: true });
  const upstreams = new Map<string, Tag[]>(recipes.map((recipe) => [recipe, []]));
  const mirrored = new Map<string, Tag[]>();
  const stacks = new Map<string, Stack>();
  const stuck = new Set<string>();
  const open = new Set<string>();
  const settings = new Map<string, Partial<RecipeSettings>>();
  const allLabels = new Map<string, Record<string, string>>();
  const elsewhere = new Map<string, string[]>();
  const deployed: Machine['deployed'] = [];
  const commands = new Map<string, (stack: string) => ExecResult>();
  let visitors = 0;

  const volume = (name: string): string => path.join(volumes, name);
  const volumesOf = (stack: string): string[] =>
    readdirSync(volumes)
      .filter((name) => name.startsWith(`${stack}_`))
      .sort();
  const tagOf = (recipe: string, commit: string): Tag => {
    const found = [...(mirrored.get(recipe) ?? []), ...(upstreams.get(recipe) ?? [])].find(
      (tag) => tag.commit === commit,
    );
    if (!found) throw new Fault('MirrorSync', `${recipe}: no ${commit}`);
    return found;
  };

  const ledger = createLedger(state);

  const mirrors: Mirrors = {
    async sync(recipe) {
      await stillAlive();
      const upstream = upstreams.get(recipe) ?? [];
      const recorded = await ledger.read(recipe);
      const moved = upstream.find(({ version, commit }) => {
        const known = recorded.get(version);
        return known !== undefined && known.commit !== commit;
      });
      if (moved) throw new Fault('TagMoved', `${recipe}: ${moved.version} moved`);
      passBoundary('mirror-sync.after-fetch');
      const ts = new Date().toISOString();
      await ledger.append(
        recipe,
        upstream.map(({ version, commit }) => ({ tag: version, commit, ts })),
      );
      passBoundary('mirror-sync.after-ledger');
      await stillAlive();
      mirrored.set(recipe, [...upstream]);
      passBoundary('mirror-sync.after-push');
      return {
        main: upstream.at(-1)?.commit ?? 'f'.repeat(40),
        tags: upstream.length,
        changed: true,
        moved: [],
      };
    },
    async releases(recipe) {
      await stillAlive();
      const tags = mirrored.get(recipe) ?? [];
      const sorted = versionsOf(tags.map(({ version }) => version));
      const releases = sorted.flatMap(({ tag }) => {
        const found = tags.find(({ version }) => version === tag);
        return found ? [{ version: tag, commit: found.commit }] : [];
      });
      return { main: tags.at(-1)?.commit ?? 'f'.repeat(40), releases };
    },
    async accept(recipe, _upstream, { tag, ts, by, reason }) {
      const from = (await ledger.read(recipe)).get(tag)?.commit ?? '';
      const commit = upstreams.get(recipe)?.find(({ version }) => version === tag)?.commit ?? '';
      await ledger.accept(recipe, { tag, from, commit, ts, by, reason });
      return { tag, from, commit };
    },
    async checkout(_recipe, _commit, target) {
      await stillAlive();
      if (disk.full) throw new Fault('Disk', 'no space left on device');
      mkdirSync(target, { recursive: true });
    },
    async keep() {
      await stillAlive();
      return true;
    },
    keepOnly: stillAlive,
  };

  const real = processRunner({ environment: { PATH: '/usr/bin:/bin' } });
  /** The tar of a snapshot is a list of every file's text; sync and the wiping of volumes are not what is tested. */
  const run: ProcessRunner = {
    async run(command) {
      await stillAlive();
      const { file, args } = command;
      const option = (name: string): string =>
        args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
      const [tar, directory] = [option('file'), option('directory')];
      const program = machine.programs.get(file);
      if (program) return { status: program(command.env ?? {}), stdout: '', stderr: '' };
      const isRemoval = file === 'find' && args.at(-1) === '-delete';
      const isWipe = isRemoval && args.includes('-mindepth');
      const isList = tar.includes('/snapshots/') || (machine.listsOnly && tar.includes('/backups/'));
      if (isRemoval && !isWipe && machine.listsOnly) {
        rmSync(args[0] ?? '', { recursive: true });
        return { status: 0, stdout: '', stderr: '' };
      }
      if (file === 'du') return { status: 0, stdout: `${machine.bytes}\ttotal\n`, stderr: '' };
      if (file !== 'sync' && !isWipe && !isList) return real.run(command);
      if (isWipe) {
        const folder = args[0] ?? '';
        for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
      }
      if (args.includes('--create')) {
        const files = readdirSync(directory).map((name) => [
          name,
          readFileSync(path.join(directory, name), 'utf8'),
        ]);
        const text = JSON.stringify(files);
        const listing = option('index-file');
        if (listing !== '') writeFileSync(listing, files.map(([name]) => `-rw-r--r-- ./${name}\n`).join(''));
        writeFileSync(tar, disk.full ? text.slice(0, text.length / 2) : text);
        if (disk.full) return { status: 2, stdout: '', stderr: 'No space' };
      } else if (file === 'tar') {
        const files = JSON.parse(readFileSync(tar, 'utf8')) as [string, string][];
        for (const [name, text] of files) writeFileSync(path.join(directory, name), text);
      }
      return { status: 0, stdout: '', stderr: '' };
    },
    async output(command) {
      return (await run.run(command)).stdout;
    },
  };

  function deployerOf(guard: () => Promise<void>): Deployer {
    const change = async (): Promise<void> => {
      await stillAlive();
      await guard();
      await stillAlive();
    };
    const stop = async (stack: string): Promise<void> => {
      await change();
      const found = stacks.get(stack);
      if (found?.running) machine.stopped();
      if (found) found.running = false;
      if (found?.lifetime === 'cold' && volumesOf(stack).length === 0) stacks.delete(stack);
      passBoundary('stop.after-networks');
    };
    const forget = (stack: string): void => {
      if (volumesOf(stack).length === 0 && stacks.get(stack)?.secrets.size === 0) stacks.delete(stack);
    };
    return {
      async deploy(app, occasion = 'deploy') {
        const { quality } = tagOf(app.recipe, app.commit);
        const attachedAgain = volumesOf(app.stack).length > 0;
        await change();
        const stack = stacks.get(app.stack) ?? {
          stack: app.stack,
          recipe: app.recipe,
          lifetime: app.lifetime,
          running: false,
          secrets: new Set<string>(),
        };
        stacks.set(app.stack, stack);
        stack.secrets.add(`${app.stack}_password_v1`);
        passBoundary('deploy.after-secrets');
        await change();
        deployed.push({ stack: app.stack, version: app.version, env: app.env, occasion });
        for (const name of ['data', 'files']) mkdirSync(volume(`${app.stack}_${name}`), { recursive: true });
        if (stack.running) machine.upgraded();
        else machine.started();
        stack.running = true;
        passBoundary('deploy.after-stack-deploy');
        await stillAlive();
        const isAttached = attachedAgain && app.lifetime === 'warm';
        const failsOnIt = quality === 'fails on data attached again' && isAttached;
        if (failsOnIt) {
          // and it has migrated the data before it failed
          for (const name of volumesOf(app.stack)) {
            for (const row of readdirSync(volume(name))) rmSync(path.join(volume(name), row));
            writeFileSync(path.join(volume(name), 'migrated'), app.commit);
          }
          stack.secrets.add(`${app.stack}_migrated_v1`);
        }
        if (quality === 'red' || failsOnIt)
          return { ok: false, reason: `${app.version} is ${quality}`, evidence: app.evidence };
        visitors += 1;
        for (const name of volumesOf(app.stack)) {
          writeFileSync(path.join(volume(name), `row-${visitors}`), String(visitors));
        }
        passBoundary('deploy.after-converge');
        const images = { app: { image: app.commit, digest: `sha256:${app.commit}` } };
        return { ok: true, images, asked: machine.asked };
      },
      undeploy: stop,
      async remove(stack) {
        if (stuck.has(stack)) throw new Fault('Daemon', `${stack} did not stop`);
        await stop(stack);
        await change();
        for (const name of volumesOf(stack)) rmSync(volume(name), { recursive: true });
        stacks.get(stack)?.secrets.clear();
        forget(stack);
        passBoundary('remove.after-volumes');
      },
      async volumes(stack) {
        await stillAlive();
        return volumesOf(stack).map((name) => ({ name, mountpoint: volume(name) }));
      },
      async keptElsewhere({ recipe }) {
        return elsewhere.get(recipe) ?? [];
      },
      async atRest() {
        await stillAlive();
        return machine.restless === null
          ? { ok: true, tasks: { app: machine.idle ? '' : `task ${machine.crashes}` } }
          : { ok: false, reason: machine.restless };
      },
      async goneTasks(_stack, tasks) {
        await stillAlive();
        return tasks['app'] === `task ${machine.crashes}` ? [] : ['app'];
      },
      async services({ stack, recipe }) {
        await stillAlive();
        const labels = allLabels.get(recipe) ?? { 'backupbot.backup': 'true' };
        const mounts = volumesOf(stack).map((name) => ({
          volume: name,
          target: `/${name.slice(stack.length + 1)}`,
        }));
        return { ofRelease: [{ name: 'app', labels, mounts }], older: machine.older };
      },
      async exec(stack, _service, command) {
        await change();
        return commands.get(command)?.(stack) ?? { status: 0, output: '' };
      },
      async environment(app) {
        return { STACK_NAME: app.stack };
      },
      async watchEngine() {
        return { check: async () => undefined, close: () => undefined };
      },
      async fit(_stack, text) {
        return text;
      },
      async keepEvidence() {
        await stillAlive();
      },
      async secrets(stack) {
        await stillAlive();
        return [...(stacks.get(stack)?.secrets ?? [])].sort();
      },
      async trim(stack, keep) {
        await change();
        for (const name of volumesOf(stack)) {
          if (!keep.volumes.includes(name)) rmSync(volume(name), { recursive: true });
        }
        const found = stacks.get(stack);
        for (const secret of found?.secrets ?? []) {
          if (!keep.secrets.includes(secret)) found?.secrets.delete(secret);
        }
      },
      async ensureVolume(_stack, _recipe, name) {
        await change();
        mkdirSync(volume(name), { recursive: true });
        return { name, mountpoint: volume(name) };
      },
      async owned() {
        await stillAlive();
        return [...stacks.values()];
      },
      async removeOldImages(keep) {
        machine.imagesKept.push(keep);
        return [];
      },
    };
  }

  const now = (): Date => new Date(Date.now() + machine.laterMs);
  const activities = createActivities({
    config: {
      state,
      host: 'model',
      zone: ZONE,
      limits: { headroom: 1, fetch: 1e9, tier: 60 * 60_000 },
      retention: { sweeps: 730 * DAY_MS, evidence: 90 * DAY_MS, alerts: 180 * DAY_MS, images: 30 * DAY_MS },
    } as unknown as Config,
    recipes: {
      strays: async () => [],
      all: async () => recipes.map((recipe) => ({ recipe, exception: null, problem: null })),
      one: async (recipe) => ({ ...plainSettings(recipe), ...settings.get(recipe) }),
    },
    ledger,
    canonicals: createCanonicals({ state, zone: ZONE }),
    results: createResults(state),
    alerts: createAlerts(state),
    foreignWorker: async () => null,
    turns: { ask: async () => 'host', isOpen: async () => true },
    lock: createHostLock({
      host: 'model',
      state,
      now,
      isOpen: async ({ workflowId }) => open.has(workflowId),
    }),
    attempts: {
      mark: async () => '',
      // A worker that died has stopped at its next file operation: nothing of it is left to end.
      enter: async () => ({ leave: async () => undefined }),
      endOrphans: async () => undefined,
    },
    runnerFor: () => run,
    mirrorsFor: () => mirrors,
    deployerFor: ({ guard }) => deployerOf(guard),
    now,
  });

  const machine: Machine = {
    bytes: 1,
    laterMs: 0,
    imagesKept: [],
    older: [],
    asked: true,
    restless: null,
    idle: false,
    crashes: 0,
    programs: new Map(),
    listsOnly: false,
    started: () => undefined,
    stopped: () => undefined,
    upgraded: () => undefined,
    state,
    stuck,
    upstreams,
    stacks,
    open,
    settings,
    labels: allLabels,
    elsewhere,
    deployed,
    commands,
    volume,
    async attempt(worker, number, step) {
      const environment = new MockActivityEnvironment(
        { attempt: number, startToCloseTimeoutMs: 3_600_000 },
        { logger: QUIET },
      );
      return mortality.run(worker, () => environment.run(() => step(activities)));
    },
    rows: (stack) => new Map(volumesOf(stack).map((name) => [name, readdirSync(volume(name)).sort()])),
  };
  return machine;
}
