import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities, type Activities } from '../../activities/index.ts';
import type { Disk } from '../../domain/disk.ts';
import { Fault } from '../../domain/fault.ts';
import type { RecipeSettings } from '../../domain/recipe-settings.ts';
import type { RunRef } from '../../domain/run.ts';
import { versionsOf } from '../../domain/version.ts';
import { passBoundary } from '../../host/machine/boundary.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import type { Config } from '../../host/config/config.ts';
import type { ExecResult } from '../../host/engine/exec.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { createLedger } from '../../host/git/ledger.ts';
import type { Mirrors } from '../../host/git/mirrors.ts';
import type { Synced } from '../../host/git/sync.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { createServices } from '../../host/store/services.ts';
import { createStore } from '../../host/store/store.ts';
import { createTools } from '../../host/tools.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { fakeDeploying, type FakeEngine, type Stack, type Tag } from './fake-engine.ts';
import { fakeRealms, type FakeKeycloaks } from './fake-keycloak.ts';
import { disk, mortality, stillAlive, type MortalProcess } from './mortal-fs.ts';

/**
 * A machine without an engine: stacks in memory, volumes as folders, upstreams as lists of tags. The steps on
 * it are the real ones, with the real records, snapshots and host lock on a real folder.
 */

export const ZONE = 'model.test';
export const SWEEP = { id: 'sweep', runId: 'run of sweep' };

/** A recipe's run of that sweep. */
export const runOfSweep = (recipe: string): RunRef => ({
  recipe,
  asked: { by: 'sweep', ...SWEEP },
  workflow: { id: `${SWEEP.id}/${recipe}`, runId: 'abcdef' },
});

export const DAY_MS = 24 * 60 * 60_000;

export interface Machine extends FakeEngine, FakeKeycloaks {
  state: string;
  upstreams: Map<string, Tag[]>;
  config: Config;
  /** What release notes say, by version. */
  notes: Map<string, string>;
  /** Commits of a mirror that no tag names: heads that somebody proposes, by recipe. */
  proposed: Map<string, Tag[]>;
  /** The workflows that are open. */
  open: Set<string>;
  /** What recipes' folders say and bring, besides where the upstream is. */
  settings: Map<string, Partial<RecipeSettings>>;
  /** The bytes that volumes take, as far as anybody asks. */
  bytes: number;
  /** The disks, as far as anybody looks. */
  disks(): Disk[];
  /** How much later it is here than elsewhere, in milliseconds. */
  laterMs: number;
  /** What executables of recipes' folders leave with, by their path; others are run. */
  programs: Map<string, (environment: Readonly<Record<string, string>>) => number>;
  /** What of the host decides verdicts. */
  environment: Record<string, string>;
  /** Archives of cold tests are lists, as those of snapshots are, and no process is started for them. */
  listsOnly: boolean;
  /** Runs one step in a worker; the worker may die of it. */
  attempt<T>(worker: MortalProcess, number: number, step: (activities: Activities) => Promise<T>): Promise<T>;
  /** The rows that each volume of a stack holds. */
  rows(stack: string): Map<string, string[]>;
}

const QUIET = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export function createMachine(folder: string, recipes: readonly string[]): Machine {
  const state = path.join(folder, 'state');
  const volumes = path.join(folder, 'volumes');
  mkdirSync(volumes, { recursive: true });
  const upstreams = new Map<string, Tag[]>(recipes.map((recipe) => [recipe, []]));
  const proposed = new Map<string, Tag[]>();
  const mirrored = new Map<string, Tag[]>();
  const stacks = new Map<string, Stack>();
  const stuck = new Set<string>();
  const open = new Set<string>();
  const settings = new Map<string, Partial<RecipeSettings>>();
  const allLabels = new Map<string, Record<string, string>>();
  const elsewhere = new Map<string, string[]>();
  const deployed: Machine['deployed'] = [];
  const commands = new Map<string, (stack: string) => ExecResult>();

  const volume = (name: string): string => path.join(volumes, name);
  const volumesOf = (stack: string): string[] =>
    readdirSync(volumes)
      .filter((name) => name.startsWith(`${stack}_`))
      .sort();
  const tagOf = (recipe: string, commit: string): Tag => {
    const found = [mirrored, upstreams, proposed]
      .flatMap((tags) => tags.get(recipe) ?? [])
      .find((tag) => tag.commit === commit);
    if (!found) throw new Fault('MirrorSync', `${recipe}: no ${commit}`);
    return found;
  };

  const onMirror = (recipe: string): Pick<Synced, 'main' | 'releases'> => {
    const tags = mirrored.get(recipe) ?? [];
    const sorted = versionsOf(tags.map(({ version }) => version));
    const releases = sorted.flatMap(({ tag }) => {
      const found = tags.find(({ version }) => version === tag);
      return found ? [{ version: tag, commit: found.commit }] : [];
    });
    return { main: tags.at(-1)?.commit ?? 'f'.repeat(40), releases };
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
      return { ...onMirror(recipe), tags: upstream.length, changed: true, moved: [] };
    },
    async accept(recipe, _upstream, { tag, ts, by, reason }) {
      const from = (await ledger.read(recipe)).get(tag)?.commit ?? '';
      const commit = upstreams.get(recipe)?.find(({ version }) => version === tag)?.commit ?? '';
      await ledger.accept(recipe, { tag, from, commit, ts, by, reason });
      return { tag, from, commit };
    },
    async checkout(recipe, commit, target) {
      await stillAlive();
      if (disk.full) throw new Fault('Disk', 'no space left on device');
      mkdirSync(target, { recursive: true });
      // Nothing is read of a release's files.
      const head = proposed.get(recipe)?.find((one) => one.commit === commit);
      if (!head) return;
      writeFileSync(path.join(target, '.env.sample'), '');
      writeFileSync(path.join(target, 'compose.yml'), composeOf(head));
    },
    async bringCommit() {
      await stillAlive();
      return true;
    },
    async onMain() {
      await stillAlive();
      return false;
    },
    mergesToNothing: async () => false,
    diff: async () => null,
    async releaseNotes(_recipe, releases) {
      await stillAlive();
      return new Map(
        releases.flatMap(({ version }) => {
          const text = machine.notes.get(version);
          return text === undefined ? [] : [[version, text] as const];
        }),
      );
    },
    async keep() {
      await stillAlive();
      return true;
    },
    keepOnly: stillAlive,
  };

  const real = processRunner({ environment: { PATH: '/usr/bin:/bin' } });
  /** The tar of a snapshot is a list of every file's text; sync and the wiping of volumes are not what is tested. */
  const runner: ProcessRunner = {
    settings: real.settings,
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
      return (await runner.run(command)).stdout;
    },
  };

  const now = (): Date => new Date(Date.now() + machine.laterMs);
  const config = {
    serve: {},
    state,
    host: 'model',
    zone: ZONE,
    limits: { headroom: 1, fetch: 1e9, tier: 60 * 60_000 },
    retention: { sweeps: 730 * DAY_MS, evidence: 90 * DAY_MS, alerts: 180 * DAY_MS, images: 30 * DAY_MS },
  } as unknown as Config;
  const canonicals = createCanonicals(config);
  const activities = createActivities({
    config,
    forgeFor: async () => null,
    recipes: {
      strays: async () => [],
      all: async () =>
        recipes.map((recipe) => {
          const { exception = null, live = false, stateful = null } = settings.get(recipe) ?? {};
          return { recipe, exception, live, stateful, problem: null };
        }),
      one: async (recipe) => ({ ...plainSettings(recipe), ...settings.get(recipe) }),
    },
    ledger,
    canonicals,
    services: createServices(config),
    ...createStore(state),
    foreignWorker: async () => null,
    disks: async () => machine.disks(),
    turns: { ask: async () => 'host', isOpen: async ({ id }) => open.has(id) },
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
    environment: async () => {
      const { environment } = machine;
      return { fingerprint: JSON.stringify(environment), parts: environment };
    },
    runnerFor: () => runner,
    mirrorsFor: () => mirrors,
    toolsFor: (bonds) => ({
      ...createTools({ config, canonicals, now }, fakeDeploying(machine, bonds), bonds),
      realmsAt: fakeRealms(machine, bonds),
    }),
    now,
  });

  const machine: Machine = {
    zone: ZONE,
    bytes: 1,
    disks: () => [],
    laterMs: 0,
    imagesKept: [],
    pulledAhead: [],
    older: [],
    restarted: new Set(),
    realms: new Map(),
    away: new Set(),
    differences: [],
    asked: true,
    restless: null,
    idle: false,
    visitors: 0,
    crashes: 0,
    programs: new Map(),
    environment: { node: 'v20' },
    listsOnly: false,
    started: () => undefined,
    stopped: () => undefined,
    upgraded: () => undefined,
    state,
    stuck,
    breaks: [],
    upstreams,
    config,
    notes: new Map(),
    proposed,
    stacks,
    open,
    settings,
    labels: allLabels,
    elsewhere,
    deployed,
    commands,
    volume,
    volumesOf,
    tagOf,
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

function composeOf({ version }: Tag): string {
  const labels = [`coop-cloud.\${STACK_NAME}.version=${version}`];
  return JSON.stringify({ version: '3.8', services: { app: { image: 'app', deploy: { labels } } } });
}
