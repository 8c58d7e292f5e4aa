import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { stackName, warmDomain } from '../../domain/names.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { createServices } from '../../host/store/services.ts';
import type { Break, Quality, Tag } from './fake-engine.ts';
import { createMachine, ZONE, type Machine } from './fake-machine.ts';
import { createAsker, tally, type Strike } from './model-sweep.ts';
import { disk } from './mortal-fs.ts';

/**
 * Random stories of publishing, moving tags, losing images, sweeping, testing heads, crashing at any boundary,
 * cancelling, an engine that fails, spoiling records, losing volumes and secrets, and filling the disk, played with the
 * real workflows of a recipe's run and the real steps, and told to a reference model that knows nothing but versions.
 * After every chapter the files are judged without the product's help.
 */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

vi.mock('@temporalio/workflow', async (original) => {
  const { playedWorkflow } = await import('./played-workflow.ts');
  return playedWorkflow(await original<typeof import('@temporalio/workflow')>());
});

/** ghost needs keycloak beside it and keeps data; gitea is not backed up, and has a check. */
const RECIPES = ['ghost', 'gitea'] as const;
type Recipe = (typeof RECIPES)[number];
const NEEDED = 'keycloak';
const CHECK = '/recipes/gitea/checks/clone';

/** What the reference model knows of a recipe. */
interface Known {
  tags: Tag[];
  moved: boolean;
  canonical: string | null;
  spoilt: boolean;
  volumeLost: boolean;
  secretLost: boolean;
  /** The rows of the last committed snapshot, by volume. */
  rows: Map<string, string[]>;
}

type Model = Record<Recipe, Known> & { full: boolean };

interface World {
  machine: Machine;
  sweeps: number;
  /** The rows that visitors left while a test went on: no snapshot may have one. */
  trials: Set<string>;
  commits: number;
  /** What record files hold that were spoilt, to be put back. */
  whole: Map<Recipe, string>;
}

/** With a Keycloak that is live, or one that each run deploys for itself. */
async function createWorld(folder: string, isLive: boolean): Promise<World> {
  const machine = createMachine(folder, [...RECIPES, NEEDED]);
  machine.listsOnly = true;
  machine.upstreams.set(NEEDED, [{ version: '1.0.0+1', commit: 'c'.repeat(40), quality: 'good' }]);
  if (isLive) await goLive(machine);
  machine.settings.set('ghost', { deps: [NEEDED] });
  machine.settings.set('gitea', { checks: [CHECK] });
  machine.labels.set('gitea', {});
  machine.programs.set(CHECK, ({ STACK_NAME }) => {
    const version = machine.deployed.findLast(({ stack }) => stack === STACK_NAME)?.version;
    const tags = [machine.upstreams, machine.proposed].flatMap((of) => of.get('gitea') ?? []);
    const tag = tags.find((one) => one.version === version);
    return tag?.quality === 'fails its checks' ? 1 : 0;
  });
  return { machine, sweeps: 0, trials: new Set(), commits: 0, whole: new Map() };
}

const LIVE = stackName(warmDomain(NEEDED, ZONE));
const STRANGERS = ['ghost-123456', 'master'];

async function goLive(machine: Machine): Promise<void> {
  machine.settings.set(NEEDED, { live: true });
  const release = { version: '1.0.0+1', commit: 'c'.repeat(40) };
  const domain = warmDomain(NEEDED, ZONE);
  const ts = '2026-11-29T03:00:00.000Z';
  const good = { service: NEEDED, ...release, ts, run: 'by-hand', domain, env: {}, images: {}, volumes: [] };
  await createServices({ state: machine.state, zone: ZONE }).commit({ ...good, schema: 1 });
  machine.stacks.set(LIVE, {
    stack: LIVE,
    recipe: NEEDED,
    lifetime: 'live',
    running: true,
    healthy: true,
    ...release,
    secrets: new Set(),
  });
  machine.realms.set(LIVE, new Map(STRANGERS.map((name) => [name, 'a stranger’s'])));
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
  const rows = new Map(
    manifest.volumes.map(({ name, sha256 }): [string, string[]] => {
      const tar = path.join(folder, `${name}.tar`);
      expect(sumOf(tar)).toBe(sha256);
      const files = JSON.parse(readFileSync(tar, 'utf8')) as [string, string][];
      return [name, files.map(([file]) => file).sort()];
    }),
  );
  expect([...rows.values()].flat().filter((row) => world.trials.has(row))).toEqual([]);
  return rows;
}

/** A tag that moved keeps, in the ledger and in the record, the commit it had. */
const movedFrom = ({ tags, moved }: Known): Tag[] =>
  moved ? tags.map((tag) => ({ ...tag, commit: firstCommit(tag.commit) })) : [];
const MOVED = 'e';
const firstCommit = (commit: string): string => commit.replace(/^e/, '0');

/** Of which recipes the reaper says that it could not remove, or put back, all; read without the product. */
function toldNotReaped({ machine }: World): string[] {
  const folder = path.join(machine.state, 'alerts');
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files
    .filter((file) => file.startsWith('not-reaped-'))
    .map((file) => {
      const alert = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as {
        subject: { name: string };
      };
      return alert.subject.name;
    });
}

/** What holds when a sweep has gone through undisturbed; only stacks of the recipes that are told may be left. */
function judgeAtRest(
  world: World,
  recipe: Recipe,
  known: Known,
  snapshot: Map<string, string[]>,
  told: readonly string[] = [],
): void {
  const { machine } = world;
  const folder = folderOf(world, recipe);
  const stack = stackName(warmDomain(recipe, ZONE));
  const left = [...machine.stacks.values()].filter(
    ({ lifetime, running }) => lifetime === 'cold' || (running && lifetime === 'warm'),
  );
  expect(left.filter((one) => !told.includes(one.recipe))).toEqual([]);
  const live = machine.stacks.get(LIVE);
  expect(live === undefined || live.running).toBe(true);
  if (live !== undefined && told.length === 0) {
    expect([...(machine.realms.get(LIVE)?.keys() ?? [])].sort()).toEqual(STRANGERS);
  }
  // Data whose secrets are lost stays as it is, whatever that is.
  if (known.secretLost) return;
  expect(existsSync(path.join(folder, 'attached.json'))).toBe(false);
  const snapshots = path.join(folder, 'snapshots');
  const kept = existsSync(snapshots) ? readdirSync(snapshots) : [];
  expect(kept).toEqual(known.canonical === null ? [] : [recordOf(world, recipe)?.snapshot.id]);
  const history = known.canonical === null ? '' : readFileSync(path.join(folder, 'history.jsonl'), 'utf8');
  const lines = history.split('\n').filter((line) => line !== '');
  const versions = lines.map((line) => (JSON.parse(line) as OnDisk).version);
  expect(versions.at(-1) ?? null).toBe(known.canonical);
  // The model's versions are as old as they are in the list.
  const order = versions.map((version) => known.tags.findIndex((tag) => tag.version === version));
  expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
  if (!known.volumeLost) expect(machine.rows(stack)).toEqual(snapshot);
}

/** A release before the canonical stands in for it where it does not install; so many are tried. */
const MOST_BASES = 3;

/** What a cold test may start from: the canonical, or a release before it. */
function basesOf({ tags, canonical }: Known): Tag[] {
  const proven = tags.findIndex(({ version }) => version === canonical);
  return proven < 0 ? [] : tags.slice(Math.max(0, proven + 1 - MOST_BASES), proven + 1);
}

/** What each tier of a cold test says, in their order. */
function expectedTiers(recipe: Recipe, quality: Quality | undefined, bases: readonly Tag[]): string[] {
  const isOver = bases.some((base) => base.quality !== 'red');
  const until = (failed: string[]): string[] => [
    ...failed,
    ...Array.from({ length: 5 - failed.length }, () => 'not reached'),
  ];
  if (quality === 'red') return until(isOver ? ['pass', 'fail'] : ['fail']);
  const deployed = ['pass', isOver ? 'pass' : 'skipped'];
  if (recipe === 'ghost') return [...deployed, 'pass', 'pass', 'skipped'];
  return [...deployed, 'skipped', 'skipped', quality === 'fails its checks' ? 'fail' : 'pass'];
}

/** What a sweep that nothing disturbs says of a recipe. */
interface Expected {
  kind: Outcome['kind'];
  canonical: string | null;
  tiers: string[];
}

function expected(recipe: Recipe, known: Known): Expected {
  const { tags, moved, canonical, spoilt, secretLost } = known;
  const latest = tags.at(-1);
  if (moved || spoilt) return { kind: 'ERROR', canonical, tiers: [] };
  if (!latest || latest.version === canonical) return { kind: 'SKIP', canonical, tiers: [] };
  const tiers = expectedTiers(recipe, latest.quality, basesOf(known));
  if (tiers.includes('fail')) return { kind: 'FAIL', canonical, tiers };
  if (canonical === null) return { kind: 'PASS', canonical: latest.version, tiers };
  if (secretLost) return { kind: 'GREEN-BUT-PROMOTE-FAILED', canonical, tiers };
  return fitsData(ownQuality(known)) && fitsData(latest.quality)
    ? { kind: 'PASS', canonical: latest.version, tiers }
    : { kind: 'GREEN-BUT-PROMOTE-FAILED', canonical, tiers };
}

/** Runs on data that is attached again, as far as nobody checks. */
const fitsData = (quality: Quality | undefined): boolean =>
  quality === 'good' || quality === 'fails its checks';
const ownQuality = ({ tags, canonical }: Known): Quality | undefined =>
  tags.find(({ version }) => version === canonical)?.quality;

/** What a test that nothing disturbs says of a head that is newer than every release. */
function expectedOfTest(
  recipe: Recipe,
  known: Known,
  quality: Quality,
  isQuick: boolean,
): Pick<Expected, 'kind' | 'tiers'> {
  const { tags, canonical, moved, spoilt, secretLost } = known;
  if (moved || spoilt) return { kind: 'ERROR', tiers: [] };
  if (canonical === null || !isQuick) {
    // Without a canonical it starts from main.
    const tiers = expectedTiers(recipe, quality, canonical === null ? tags.slice(-1) : basesOf(known));
    return { kind: tiers.includes('fail') ? 'FAIL' : 'PASS', tiers };
  }
  if (secretLost || !fitsData(ownQuality(known))) return { kind: 'ERROR', tiers: [] };
  if (!fitsData(quality))
    return { kind: 'FAIL', tiers: ['pass', 'fail', 'not reached', 'not reached', 'not reached'] };
  const asked = ['pass', 'pass', 'skipped', 'skipped'];
  if (recipe === 'ghost') return { kind: 'PASS', tiers: [...asked, 'skipped'] };
  return quality === 'good'
    ? { kind: 'PASS', tiers: [...asked, 'pass'] }
    : { kind: 'FAIL', tiers: [...asked, 'fail'] };
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
    const sweep = createAsker(world.machine, `sweep-${++world.sweeps}`, this.strike);
    const results = await sweep.sweep(RECIPES);
    const disturbed = this.strike !== null || model.full;
    // Who was cancelled cleans up all the same.
    const atRest = !model.full && (this.strike === null || this.strike.kind === 'cancelled');
    disk.full = model.full;
    for (const recipe of RECIPES) {
      const known = model[recipe];
      const before = known.canonical;
      const { kind, canonical, tiers } = expected(recipe, known);
      const result = results[recipe];
      if (!disturbed) {
        expect([recipe, result?.outcome.kind]).toEqual([recipe, kind]);
        expect([recipe, result?.tiers.map((tier) => tier.result)]).toEqual([recipe, tiers]);
        const unopened = known.secretLost && kind === 'GREEN-BUT-PROMOTE-FAILED';
        const leftovers = unopened ? expect.stringContaining('_password_v1') : null;
        expect([recipe, result?.leftovers]).toEqual([recipe, leftovers]);
      }
      if (known.spoilt) continue;
      const found = recordOf(world, recipe)?.version ?? null;
      expect([recipe, disturbed ? [before, canonical] : [canonical]]).toEqual([
        recipe,
        expect.arrayContaining([found]),
      ]);
      // Of a run that has a result, the result and the record are of one mind.
      if (result?.outcome.kind === 'PASS') expect(result.outcome.promoted).toBe(found);
      else if (result) expect([recipe, found]).toEqual([recipe, before]);
      known.canonical = found;
      if (found !== before) known.volumeLost = false;
      const rows = judgeAlways(world, recipe, known);
      for (const [name, was] of known.rows) expect(rows.get(name)).toEqual(expect.arrayContaining(was));
      if (found === before) expect(rows).toEqual(known.rows);
      known.rows = rows;
      // A recipe that no sweep could get to is settled by the reaper all the same.
      if (atRest) judgeAtRest(world, recipe, known, rows);
    }
  }
  toString = (): string =>
    this.strike ? `sweep (${JSON.stringify(this.strike.kind)} at boundary ${this.strike.nth})` : 'sweep';
}

/** Somebody proposes a head on top of main, and has it tested. */
class TestHead implements Command {
  readonly recipe: Recipe;
  readonly quality: Quality;
  readonly isQuick: boolean;
  readonly strike: Strike | null;
  constructor(recipe: Recipe, quality: Quality, isQuick: boolean, strike: Strike | null) {
    this.recipe = recipe;
    this.quality = quality;
    this.isQuick = isQuick;
    this.strike = strike;
  }
  check(model: Readonly<Model>): boolean {
    return model[this.recipe].tags.length > 0;
  }
  async run(model: Model, world: World): Promise<void> {
    const { recipe, quality, isQuick } = this;
    const { machine } = world;
    const known = model[recipe];
    const number = ++world.commits;
    const commit = `a${String(number).padStart(39, '0')}`;
    const head = { version: `1.${known.tags.length - 1}.${number}+1`, commit, quality };
    machine.proposed.set(recipe, [...(machine.proposed.get(recipe) ?? []), head]);
    const before = onRecord(world, recipe);
    const visitors = machine.visitors;

    const asker = createAsker(machine, `test-${++world.sweeps}`, this.strike);
    const result = await asker.test({ recipe, ref: commit, quick: isQuick });
    disk.full = model.full;

    for (let row = visitors + 1; row <= machine.visitors; row++) world.trials.add(`row-${row}`);
    const { kind, tiers } = expectedOfTest(recipe, known, quality, isQuick);
    const isDisturbed = this.strike !== null || model.full;
    if (!isDisturbed) {
      expect([recipe, result?.outcome.kind]).toEqual([recipe, kind]);
      expect([recipe, result?.tiers.map((tier) => tier.result)]).toEqual([recipe, tiers]);
    }
    if (result?.outcome.kind === 'PASS') expect(result.outcome.promoted).toBeNull();
    expect(['PASS', 'FAIL', 'ERROR', undefined]).toContain(result?.outcome.kind);
    // A history that a crash before it cut off is completed, whoever comes next.
    const after = onRecord(world, recipe);
    expect(after.record).toBe(before.record);
    expect(after.history.startsWith(before.history)).toBe(true);
    if (known.spoilt) return;
    const rows = judgeAlways(world, recipe, known);
    expect(rows).toEqual(known.rows);
    // What is green leaves its data to whoever comes next; all else is put back at once.
    const isPutBack = result !== null && result.leftovers === null && result.outcome.kind !== 'PASS';
    if (isPutBack || !isDisturbed) {
      const isLeft = result?.test?.mode === 'quick' && result.outcome.kind === 'PASS';
      if (isLeft) expect(existsSync(path.join(folderOf(world, recipe), 'attached.json'))).toBe(true);
      // What an earlier run left may stay where the reaper was struck, but never without a word.
      else if (!model.full) judgeAtRest(world, recipe, known, rows, isDisturbed ? toldNotReaped(world) : []);
    }
  }
  toString = (): string =>
    `${this.isQuick ? 'quick' : 'cold'} test of ${this.recipe} (${this.quality}${this.strike ? `; ${JSON.stringify(this.strike.kind)} at boundary ${this.strike.nth}` : ''})`;
}

/** The bytes of what only a promotion changes. */
function onRecord(world: World, recipe: Recipe): { record: string; history: string } {
  const read = (name: string): string => {
    const file = path.join(folderOf(world, recipe), name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  return { record: read('canonical.json'), history: read('history.jsonl') };
}

/** A worker starts. */
class Reap implements Command {
  check(model: Readonly<Model>): boolean {
    return !model.full;
  }
  async run(model: Model, world: World): Promise<void> {
    await createAsker(world.machine, `reap-${++world.sweeps}`, null).reapOnly();
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

/** The canonical's image is gone from its registry: it installs no more. */
class LoseImage implements Command {
  readonly recipe: Recipe;
  constructor(recipe: Recipe) {
    this.recipe = recipe;
  }
  check(model: Readonly<Model>): boolean {
    return model[this.recipe].canonical !== null && !model[this.recipe].moved;
  }
  async run(model: Model, { machine }: World): Promise<void> {
    const known = model[this.recipe];
    known.tags = known.tags.map((tag) =>
      tag.version === known.canonical ? { ...tag, quality: 'red' } : tag,
    );
    machine.upstreams.set(this.recipe, [...known.tags]);
  }
  toString = (): string => `lose the image of ${this.recipe}`;
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

/** The one secret that the canonical's data is opened with; or has it made again by hand. */
class LoseSecret implements Command {
  readonly recipe: Recipe;
  readonly back: boolean;
  constructor(recipe: Recipe, back: boolean) {
    this.recipe = recipe;
    this.back = back;
  }
  check(model: Readonly<Model>): boolean {
    return model[this.recipe].canonical !== null && model[this.recipe].secretLost === this.back;
  }
  async run(model: Model, { machine }: World): Promise<void> {
    const stack = stackName(warmDomain(this.recipe, ZONE));
    const secrets = machine.stacks.get(stack)?.secrets;
    if (this.back) secrets?.add(`${stack}_password_v1`);
    else expect(secrets?.delete(`${stack}_password_v1`)).toBe(true);
    model[this.recipe].secretLost = !this.back;
  }
  toString = (): string =>
    `${this.back ? 'make' : 'lose'} a secret of ${this.recipe}${this.back ? ' again' : ''}`;
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
const quality = fc.constantFrom<Quality[]>(
  'good',
  'good',
  'good',
  'good',
  'red',
  'fails on data attached again',
  'fails its checks',
);
const strike = fc.record<Strike>({
  nth: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1, max: 120 })),
  kind: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom('crash, tried again', 'crash, terminated', 'cancelled') },
    { weight: 1, arbitrary: fc.constant('disk full till the end' as const) },
    {
      weight: 2,
      arbitrary: fc.record<Break>({
        call: fc.constantFrom('deploy', 'undeploy', 'remove'),
        when: fc.constantFrom('before', 'halfway'),
        type: fc.constantFrom('Registry', 'Network', 'Daemon', 'Disk'),
        times: fc.constantFrom(1, 2, 1_000),
      }),
    },
  ),
});
const sweeping = fc.option(strike, { freq: 3, nil: null }).map((struck) => new Sweep(struck));
const testing = fc
  .tuple(recipe, quality, fc.constantFrom(true, true, true, false), fc.option(strike, { freq: 2, nil: null }))
  .map(([name, how, isQuick, struck]) => new TestHead(name, how, isQuick, struck));
const publishing = fc.tuple(recipe, quality).map(([name, how]) => new Publish(name, how));

const COMMANDS = [
  publishing,
  publishing,
  publishing,
  sweeping,
  sweeping,
  sweeping,
  sweeping,
  testing,
  testing,
  testing,
  testing,
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
  recipe.map((name) => new LoseImage(name)),
  recipe.map((name) => new LoseSecret(name, false)),
  recipe.map((name) => new LoseSecret(name, true)),
  fc.constant(new FillDisk(false)),
];

/** Many stories begin with canonicals, without which there is no quick lane. */
const beginning = fc.constantFrom<Command[][]>(
  [],
  [new Publish('ghost', 'good'), new Publish('gitea', 'good'), new Sweep(null)],
  [new Publish('gitea', 'good'), new Publish('ghost', 'fails its checks'), new Sweep(null)],
);

test(
  'whatever happens, the records tell the truth and the data is what they say',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        beginning,
        fc.boolean(),
        fc.commands(COMMANDS, { maxCommands: 40, size: 'max' }),
        async (begun, isLive, commands) => {
          const folder = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'model-'));
          const fresh = (): Known => ({
            tags: [],
            moved: false,
            canonical: null,
            spoilt: false,
            volumeLost: false,
            secretLost: false,
            rows: new Map(),
          });
          const setUp = async () => ({
            model: { ghost: fresh(), gitea: fresh(), full: false },
            real: await createWorld(folder, isLive),
          });
          try {
            await fc.asyncModelRun(setUp, [...begun, ...commands, new Sweep(null)]);
          } finally {
            disk.full = false;
            rmSync(folder, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(tally.boundaries).toBeGreaterThan(10_000);
    expect(tally.crashes).toBeGreaterThan(10);
    expect(tally.cancels).toBeGreaterThan(3);
    expect(tally.broken).toBeGreaterThan(5);
    expect(tally.cold).toBeGreaterThan(10);
    expect(tally.quick).toBeGreaterThan(10);
    expect(tally.struckTests).toBeGreaterThan(10);
  },
);
