import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import path from 'node:path';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { decide } from '../../domain/decide.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { UNTESTED } from '../../domain/report.ts';
import type { RunRef } from '../../domain/run.ts';
import { upgradeBase } from '../../domain/upgrade-base.ts';
import { BOUNDARY_CHANNEL } from '../../host/machine/boundary.ts';
import { createMachine, ZONE, type Machine, type Quality, type Tag } from './fake-machine.ts';
import { disk, type MortalProcess } from './mortal-fs.ts';

/**
 * Random stories of publishing, moving tags, sweeping, crashing at any boundary, spoiling records, losing
 * volumes and filling the disk, played with the real steps and told to a reference model that knows nothing
 * but versions. After every chapter the files are judged without the product's help.
 */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const RECIPES = ['ghost', 'gitea'] as const;
type Recipe = (typeof RECIPES)[number];
const ATTEMPTS = 3;

/** What the reference model knows of a recipe. */
interface Known {
  tags: Tag[];
  moved: boolean;
  canonical: string | null;
  spoilt: boolean;
  volumeLost: boolean;
  /** The rows of the last committed snapshot, by volume. */
  rows: Map<string, string[]>;
}

type Model = Record<Recipe, Known> & { full: boolean };

interface Strike {
  nth: number;
  kind: 'crash, tried again' | 'crash, terminated' | 'disk full till the end';
}

interface World {
  machine: Machine;
  sweeps: number;
  commits: number;
  /** What record files hold that were spoilt, to be put back. */
  whole: Map<Recipe, string>;
}

let steps = 0;
let crashes = 0;

class Terminated extends Error {}

/** A sweep as the workflows do it, with a worker that is started again when it dies. */
function createSweep({ machine }: World, id: string, strike: Strike | null) {
  let worker: MortalProcess = { dead: false };
  let died: () => void = () => undefined;
  let passes = 0;
  const onBoundary = (): void => {
    steps += 1;
    passes += 1;
    if (strike === null || passes !== strike.nth) return;
    if (strike.kind === 'disk full till the end') {
      disk.full = true;
      return;
    }
    crashes += 1;
    worker.dead = true;
    died();
  };

  async function step<T>(attempts: number, body: (activities: Activities) => Promise<T>): Promise<T> {
    for (let number = 1; ; number++) {
      const death = new Promise<'died'>((resolve) => (died = () => resolve('died')));
      const attempt = machine.attempt(worker, number, body).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      const end = await Promise.race([attempt, death]);
      if (end === 'died') {
        if (strike?.kind === 'crash, terminated') throw new Terminated();
        worker = { dead: false };
      } else if ('value' in end) return end.value;
      else if (number >= attempts || (end.error as { nonRetryable?: boolean }).nonRetryable) throw end.error;
      if (number >= attempts * 2) throw new Error('died too often');
    }
  }

  const sweep = { id, runId: `run of ${id}` };
  const holder = { workflowId: id, runId: sweep.runId, what: 'sweep' };

  async function recipeRun(recipe: Recipe): Promise<Outcome> {
    const runId = createHash('sha256').update(`${id}/${recipe}`).digest('hex').slice(0, 32);
    const run: RunRef = { recipe, sweep, workflow: { id: `${id}/${recipe}`, runId } };
    const record = async (outcome: Outcome): Promise<Outcome> => {
      const common = { ...UNTESTED, recipe, sweep: id, outcome, workflow: run.workflow };
      await step(ATTEMPTS * 2, (steps_) =>
        steps_.record({ ...common, startedMs: Date.now(), endedMs: Date.now() }),
      );
      return outcome;
    };
    try {
      const published = await step(ATTEMPTS, ({ mirrorSync }) => mirrorSync({ recipe, run }));
      const found = await step(ATTEMPTS, ({ resolve }) => resolve({ recipe }));
      const head = published.releases.at(-1);
      const canonical = found.canonical?.version ?? null;
      const decision = decide({ latest: head?.version ?? null, canonical, hold: found.hold });
      if (!head || decision.decision === 'skip') {
        const because = decision.decision === 'skip' ? decision.because : 'never-released';
        return await record({ kind: 'SKIP', because, why: decision.reason });
      }
      const { base } = upgradeBase({
        head,
        canonical: found.canonical,
        releases: published.releases,
        main: { commit: published.main, containsHead: true },
      });
      let tested;
      try {
        const cold = {
          run,
          step: 'cold-test: install',
          deploy: base ?? head,
          dependencies: [],
          upgraded: false,
        };
        tested = await step(ATTEMPTS, ({ coldInstall }) => coldInstall(cold));
        if (tested.result === 'pass' && base) {
          const upgrade = { run, step: 'cold-test: upgrade', deploy: head, dependencies: [], upgraded: true };
          tested = await step(ATTEMPTS, ({ coldUpgrade }) => coldUpgrade(upgrade));
        }
      } catch (error) {
        if (!(error instanceof Terminated)) await step(ATTEMPTS * 2, ({ teardown }) => teardown({ run }));
        throw error;
      }
      await step(ATTEMPTS * 2, ({ teardown }) => teardown({ run }));
      if (tested.result === 'fail') {
        const { reason: why, evidence } = tested;
        return await record({
          kind: 'FAIL',
          version: head.version,
          tier: 'install',
          why,
          evidence,
          canonical,
        });
      }
      const input = { run, release: head, tested: tested.images, dependencies: [] };
      let why = 'the record on disk does not say so';
      try {
        const promoted = await step(ATTEMPTS, ({ promote }) => promote(input));
        if (!promoted.promoted) ({ why } = promoted);
      } catch (error) {
        if (error instanceof Terminated) throw error;
        why = String(error);
      }
      const settled = await step(ATTEMPTS * 2, ({ settle }) => settle({ run }));
      const now = settled?.version ?? null;
      const failed = { version: head.version, why, canonical: now, evidence: null };
      return await record(
        now === head.version
          ? { kind: 'PASS', promoted: head.version }
          : { kind: 'GREEN-BUT-PROMOTE-FAILED', ...failed },
      );
    } catch (error) {
      if (error instanceof Terminated) throw error;
      const cause = (error as { type?: string }).type === 'TagMoved' ? 'tag-moved' : 'infrastructure';
      return record({ kind: 'ERROR', cause, why: String(error) });
    }
  }

  return {
    /** Only what a worker does when it starts. */
    async reapOnly(): Promise<void> {
      machine.open.add(id);
      await step(ATTEMPTS, ({ reap }) => reap({ holder }));
      await step(ATTEMPTS, ({ release }) => release({ holder }));
      machine.open.delete(id);
    },

    /** Each recipe's outcome; null for those that have none, since the sweep broke off. */
    async run(): Promise<Map<Recipe, Outcome | null>> {
      const outcomes = new Map<Recipe, Outcome | null>(RECIPES.map((recipe) => [recipe, null]));
      machine.open.add(id);
      subscribe(BOUNDARY_CHANNEL, onBoundary);
      try {
        await step(ATTEMPTS, ({ reap }) => reap({ holder }));
        for (const recipe of RECIPES) outcomes.set(recipe, await recipeRun(recipe));
        await step(ATTEMPTS * 2, ({ release }) => release({ holder }));
      } catch {
        // Terminated, or a disk so full that not even an outcome could be written.
      } finally {
        unsubscribe(BOUNDARY_CHANNEL, onBoundary);
        machine.open.delete(id);
      }
      return outcomes;
    },
  };
}

/** What the record says, read without the product. */
interface OnDisk {
  version: string;
  commit: string;
  snapshot: { id: string; sha256: string; bytes: number };
}

const folderOf = ({ machine }: World, recipe: Recipe): string =>
  path.join(machine.state, 'canonicals', recipe);

function recordOf(world: World, recipe: Recipe): OnDisk | null {
  const file = path.join(folderOf(world, recipe), 'canonical.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as OnDisk) : null;
}

function sumOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** What holds at any moment, also in the middle of a crash. */
function judgeAlways(world: World, recipe: Recipe, known: Known): Map<string, string[]> {
  const record = recordOf(world, recipe);
  if (record === null) {
    expect(known.canonical).toBeNull();
    return new Map();
  }
  expect([...known.tags, ...movedFrom(known)]).toContainEqual(
    expect.objectContaining({ version: record.version, commit: record.commit }),
  );
  const folder = path.join(folderOf(world, recipe), 'snapshots', record.snapshot.id);
  expect(sumOf(path.join(folder, 'manifest.json'))).toBe(record.snapshot.sha256);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as {
    volumes: { name: string; sha256: string }[];
  };
  return new Map(
    manifest.volumes.map(({ name, sha256 }) => {
      const tar = path.join(folder, `${name}.tar`);
      expect(sumOf(tar)).toBe(sha256);
      const files = JSON.parse(readFileSync(tar, 'utf8')) as [string, string][];
      return [name, files.map(([file]) => file).sort()];
    }),
  );
}

/** A tag that moved keeps, in the ledger and in the record, the commit it had. */
const movedFrom = ({ tags, moved }: Known): Tag[] =>
  moved ? tags.map((tag) => ({ ...tag, commit: firstCommit(tag.commit) })) : [];
const MOVED = 'e';
const firstCommit = (commit: string): string => commit.replace(/^e/, '0');

/** What holds when a sweep has gone through undisturbed. */
function judgeAtRest(world: World, recipe: Recipe, known: Known, snapshot: Map<string, string[]>): void {
  const { machine } = world;
  const folder = folderOf(world, recipe);
  const stack = stackName(warmDomain(recipe, ZONE));
  expect(
    [...machine.stacks.values()].filter(({ lifetime, running }) => lifetime === 'cold' || running),
  ).toEqual([]);
  expect(existsSync(path.join(folder, 'attached.json'))).toBe(false);
  const snapshots = path.join(folder, 'snapshots');
  const kept = existsSync(snapshots) ? readdirSync(snapshots) : [];
  expect(kept).toEqual(known.canonical === null ? [] : [recordOf(world, recipe)?.snapshot.id]);
  const history = known.canonical === null ? '' : readFileSync(path.join(folder, 'history.jsonl'), 'utf8');
  const versions = [...history.matchAll(/"version":"([^"]+)"/g)].map(([, version]) => version);
  expect(versions.at(-1) ?? null).toBe(known.canonical);
  // The model's versions are as old as they are in the list.
  const order = versions.map((version) => known.tags.findIndex((tag) => tag.version === version));
  expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
  if (!known.volumeLost) expect(machine.rows(stack)).toEqual(snapshot);
}

/** What a sweep that nothing disturbs says of a recipe. */
function expected(known: Known): [Outcome['kind'], canonical: string | null] {
  const { tags, moved, canonical, spoilt } = known;
  const latest = tags.at(-1);
  if (moved || spoilt) return ['ERROR', canonical];
  if (!latest || latest.version === canonical) return ['SKIP', canonical];
  if (latest.quality === 'red') return ['FAIL', canonical];
  if (canonical === null) return ['PASS', latest.version];
  const own = tags.find(({ version }) => version === canonical)?.quality;
  const works = own === 'good' && latest.quality === 'good';
  return works ? ['PASS', latest.version] : ['GREEN-BUT-PROMOTE-FAILED', canonical];
}

type Command = fc.AsyncCommand<Model, World>;

class Publish implements Command {
  readonly recipe: Recipe;
  readonly quality: Quality;
  constructor(recipe: Recipe, quality: Quality) {
    this.recipe = recipe;
    this.quality = quality;
  }
  check(model: Readonly<Model>): boolean {
    return !model[this.recipe].moved;
  }
  async run(model: Model, world: World): Promise<void> {
    const { tags } = model[this.recipe];
    const commit = `0${String(++world.commits).padStart(39, '0')}`;
    tags.push({ version: `1.${tags.length}.0+1`, commit, quality: this.quality });
    world.machine.upstreams.set(this.recipe, [...tags]);
  }
  toString = (): string => `publish ${this.recipe} (${this.quality})`;
}

/** Its newest tag, to another commit, or back to where it was. */
class MoveTag implements Command {
  readonly recipe: Recipe;
  readonly back: boolean;
  constructor(recipe: Recipe, back: boolean) {
    this.recipe = recipe;
    this.back = back;
  }
  check(model: Readonly<Model>): boolean {
    // A tag that was never seen may be at any commit.
    return (
      model[this.recipe].moved === this.back &&
      model[this.recipe].tags.some(({ version }) => version === model[this.recipe].canonical)
    );
  }
  async run(model: Model, world: World): Promise<void> {
    const known = model[this.recipe];
    known.moved = !this.back;
    known.tags = known.tags.map((tag) =>
      tag.version === known.canonical
        ? { ...tag, commit: known.moved ? tag.commit.replace(/^0/, MOVED) : firstCommit(tag.commit) }
        : tag,
    );
    world.machine.upstreams.set(this.recipe, [...known.tags]);
  }
  toString = (): string => `move the tag of ${this.recipe}${this.back ? ' back' : ''}`;
}

class Sweep implements Command {
  readonly strike: Strike | null;
  constructor(strike: Strike | null) {
    this.strike = strike;
  }
  check(): boolean {
    return true;
  }
  async run(model: Model, world: World): Promise<void> {
    const outcomes = await createSweep(world, `sweep-${++world.sweeps}`, this.strike).run();
    const disturbed = this.strike !== null || model.full;
    disk.full = model.full;
    for (const recipe of RECIPES) {
      const known = model[recipe];
      const before = known.canonical;
      const [kind, canonical] = expected(known);
      if (!disturbed) expect([recipe, outcomes.get(recipe)]).toMatchObject([recipe, { kind }]);
      if (known.spoilt) continue;
      const found = recordOf(world, recipe)?.version ?? null;
      expect([recipe, disturbed ? [before, canonical] : [canonical]]).toEqual([
        recipe,
        expect.arrayContaining([found]),
      ]);
      known.canonical = found;
      if (found !== before) known.volumeLost = false;
      const rows = judgeAlways(world, recipe, known);
      for (const [name, was] of known.rows) expect(rows.get(name)).toEqual(expect.arrayContaining(was));
      if (found === before) expect(rows).toEqual(known.rows);
      known.rows = rows;
      // A recipe that no sweep could get to is settled by the reaper all the same.
      if (!disturbed) judgeAtRest(world, recipe, known, rows);
    }
  }
  toString = (): string =>
    this.strike ? `sweep (${this.strike.kind} at boundary ${this.strike.nth})` : 'sweep';
}

/** A worker starts. */
class Reap implements Command {
  check(model: Readonly<Model>): boolean {
    return !model.full;
  }
  async run(model: Model, world: World): Promise<void> {
    await createSweep(world, `reap-${++world.sweeps}`, null).reapOnly();
    for (const recipe of RECIPES) {
      const known = model[recipe];
      if (known.spoilt) continue;
      const rows = judgeAlways(world, recipe, known);
      expect(rows).toEqual(known.rows);
      judgeAtRest(world, recipe, known, rows);
    }
  }
  toString = (): string => 'start a worker';
}

/** Cuts canonical.json or loses it, or puts it back. */
class SpoilRecord implements Command {
  readonly recipe: Recipe;
  readonly how: 'cut' | 'lost' | 'back';
  readonly back: boolean;
  constructor(recipe: Recipe, how: 'cut' | 'lost' | 'back') {
    this.recipe = recipe;
    this.how = how;
    this.back = how === 'back';
  }
  check(model: Readonly<Model>): boolean {
    return model[this.recipe].canonical !== null && model[this.recipe].spoilt === this.back;
  }
  async run(model: Model, world: World): Promise<void> {
    const known = model[this.recipe];
    const file = path.join(folderOf(world, this.recipe), 'canonical.json');
    const whole = world.whole.get(this.recipe);
    if (!this.back || whole === undefined) {
      world.whole.set(this.recipe, readFileSync(file, 'utf8'));
      if (this.how === 'lost') rmSync(file);
      else writeFileSync(file, readFileSync(file, 'utf8').slice(0, 60));
    } else {
      if (existsSync(file)) expect(readFileSync(file, 'utf8')).toBe(whole.slice(0, 60));
      writeFileSync(file, whole);
      world.whole.delete(this.recipe);
    }
    known.spoilt = !this.back;
  }
  toString = (): string => `${this.back ? 'mend' : this.how} the record of ${this.recipe}`;
}

class LoseVolume implements Command {
  readonly recipe: Recipe;
  constructor(recipe: Recipe) {
    this.recipe = recipe;
  }
  check(model: Readonly<Model>): boolean {
    return model[this.recipe].canonical !== null;
  }
  async run(model: Model, { machine }: World): Promise<void> {
    rmSync(machine.volume(`${stackName(warmDomain(this.recipe, ZONE))}_data`), {
      recursive: true,
      force: true,
    });
    model[this.recipe].volumeLost = true;
  }
  toString = (): string => `lose a volume of ${this.recipe}`;
}

class FillDisk implements Command {
  readonly back: boolean;
  constructor(back: boolean) {
    this.back = back;
  }
  check(model: Readonly<Model>): boolean {
    return model.full === this.back;
  }
  async run(model: Model): Promise<void> {
    model.full = !this.back;
    disk.full = model.full;
  }
  toString = (): string => (this.back ? 'free the disk' : 'fill the disk');
}

const recipe = fc.constantFrom(...RECIPES);
const quality = fc.constantFrom<Quality[]>('good', 'good', 'good', 'red', 'fails on data attached again');
const strike = fc.record<Strike>({
  nth: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1, max: 60 })),
  kind: fc.constantFrom('crash, tried again', 'crash, terminated', 'disk full till the end'),
});
const sweeping = fc.option(strike, { freq: 3, nil: null }).map((struck) => new Sweep(struck));
const publishing = fc.tuple(recipe, quality).map(([name, how]) => new Publish(name, how));

const COMMANDS = [
  publishing,
  publishing,
  publishing,
  sweeping,
  sweeping,
  sweeping,
  sweeping,
  fc.constant(new Reap()),
  fc.constant(new Reap()),
  recipe.map((name) => new MoveTag(name, false)),
  fc
    .tuple(recipe, fc.constantFrom('cut' as const, 'lost' as const))
    .map(([name, how]) => new SpoilRecord(name, how)),
  ...[1, 2, 3].flatMap(() => [
    recipe.map((name) => new MoveTag(name, true)),
    recipe.map((name) => new SpoilRecord(name, 'back')),
    fc.constant(new FillDisk(true)),
  ]),
  recipe.map((name) => new LoseVolume(name)),
  fc.constant(new FillDisk(false)),
];

test(
  'whatever happens, the records tell the truth and the data is what they say',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 40, size: 'max' }), async (commands) => {
        const folder = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'model-'));
        const fresh = (): Known => ({
          tags: [],
          moved: false,
          canonical: null,
          spoilt: false,
          volumeLost: false,
          rows: new Map(),
        });
        const setUp = () => ({
          model: { ghost: fresh(), gitea: fresh(), full: false },
          real: { machine: createMachine(folder, RECIPES), sweeps: 0, commits: 0, whole: new Map() },
        });
        try {
          await fc.asyncModelRun(setUp, [...commands, new Sweep(null)]);
        } finally {
          disk.full = false;
          rmSync(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: 100 },
    );
    expect(steps).toBeGreaterThan(2_000);
    expect(crashes).toBeGreaterThan(20);
  },
);
