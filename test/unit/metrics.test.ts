import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_NEED } from '../../domain/disk.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { NOBODY, type TurnRequest } from '../../domain/turn.ts';
import { alertTargets } from '../../host/config/alert-targets.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createRelayed } from '../../host/store/relayed.ts';
import { createReports } from '../../host/store/reports.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { createServices } from '../../host/store/services.ts';
import { VERSION } from '../../host/version.ts';
import { createMetrics, type MetricsConfig } from '../../metrics/collector.ts';
import { FAMILIES, PREFIX, type FamilyName } from '../../metrics/families.ts';
import { serviceState } from '../../metrics/services.ts';
import type { TemporalView } from '../../metrics/temporal.ts';
import { familyOf, readExposition, type Exposition } from '../fixtures/exposition.ts';

/** What Prometheus is answered of a state folder, and of a Temporal server that may be away. */

const NOW = new Date('2025-03-10T12:00:00.000Z');
const COMMIT = 'c0ffee'.padEnd(40, '0');
const SUM = '0'.repeat(64);
const at = (day: number, hour = 3): string => new Date(Date.UTC(2025, 2, day, hour)).toISOString();
const secondsAt = (day: number, hour = 3): number => Date.UTC(2025, 2, day, hour) / 1000;

let folder: string;
let state: string;
let config: MetricsConfig;
let view: () => Promise<TemporalView>;
/** How often the Temporal server was asked. */
let looks: number;

const IDLE: TemporalView = {
  workers: { polling: 1, lastPollMs: NOW.getTime() },
  turns: NOBODY,
  schedules: { sweep: { paused: false, nextMs: Date.parse(at(16)) }, reconcile: null },
};

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'metrics-'));
  state = path.join(folder, 'state');
  await mkdir(path.join(folder, 'recipes'), { recursive: true });
  await mkdir(state);
  config = {
    host: 'ci-1',
    zone: 'ci.test',
    state,
    recipes: path.join(folder, 'recipes'),
    alerts: [{ webhook: { url: 'https://hooks.example.org/hush' } }],
    limits: { headroom: 10e9 },
  };
  looks = 0;
  view = async () => IDLE;
});
afterEach(() => rm(folder, { recursive: true }));

async function recipe(name: string, settings = ''): Promise<void> {
  const place = path.join(folder, 'recipes', name);
  await mkdir(place);
  await writeFile(
    path.join(place, 'recipe.yml'),
    `upstream: https://git.example.org/${name}.git\n${settings}`,
  );
}

function result(name: string, day: number, outcome: Outcome): RecipeResult {
  return {
    schema: 4,
    recipe: name,
    asked: { by: 'sweep', id: `sweep-${day}` },
    outcome,
    leftovers: null,
    notes: [],
    release: { version: '1.1.0+2', commit: COMMIT },
    test: null,
    tiers: [
      { tier: 'install', result: 'pass', ms: 1500 },
      { tier: 'upgrade', result: 'not reached' },
    ],
    level: 1,
    lint: null,
    spentMs: null,
    started: at(day),
    ended: at(day, 4),
    workflow: { id: `sweep-${day}/${name}`, runId: null },
  };
}

const FAIL = (why: string): Outcome => ({
  kind: 'FAIL',
  version: '1.1.0+2',
  tier: 'upgrade',
  why,
  evidence: '/x',
  canonical: '1.0.0+1',
});
const NOTHING_NEW: Outcome = { kind: 'SKIP', because: 'no-new-version', why: 'nothing newer' };

/** A sweep that ended on that day. */
async function swept(day: number, outcomes: Record<string, Outcome>, more: Partial<SweepReport> = {}) {
  const recipes = Object.entries(outcomes).map(([name, outcome]) => result(name, day, outcome));
  for (const one of recipes) await createRunIndex(state).add(one);
  await createReports(state).write({
    schema: 5,
    sweep: `sweep-${day}`,
    host: 'ci-1',
    zone: 'ci.test',
    verdict: 'red',
    note: null,
    problems: [],
    notes: [],
    environment: null,
    disk: null,
    started: at(day),
    ended: at(day, 5),
    recipes,
    ...more,
  });
}

function metrics(freshMs = 0): () => Promise<string> {
  const look = (): Promise<TemporalView> => {
    looks += 1;
    return view();
  };
  return createMetrics({ config, look, now: () => NOW }, freshMs);
}

const scraped = async (): Promise<Exposition> => readExposition(await metrics()());

/** The values of a family of ours, by its labels in one word. */
function valuesOf({ samples }: Exposition, name: FamilyName): Record<string, number> {
  const ours = samples.filter((one) => one.name === `${PREFIX}${name}`);
  return Object.fromEntries(ours.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

async function fullState(): Promise<void> {
  await recipe('ghost');
  await recipe('gitea');
  await recipe('traefik', 'live: true\n');
  await recipe('mumble', 'exception: nobody wants it\n');
  await swept(2, { ghost: FAIL('no answer'), gitea: { kind: 'PASS', promoted: '1.1.0+2' } });
  const estimate = { ...NO_NEED, engine: 3e9, state: 1e9, together: 4e9 };
  await swept(
    9,
    { ghost: FAIL('no answer'), gitea: NOTHING_NEW },
    {
      problems: ['one', 'two'],
      disk: {
        headroom: 10e9,
        disks: [{ places: ['engine', 'state'], folder: '/nowhere', size: 1, free: 1 }],
        next: { ...estimate, largest: 'gitea', unknown: [], withoutImages: [] },
        dropped: [],
      },
    },
  );
  await createCanonicals(config).write({
    schema: 4,
    recipe: 'gitea',
    version: '1.1.0+2',
    commit: COMMIT,
    status: 'proven',
    ts: at(2, 4),
    run: 'sweep-2/gitea',
    images: {},
    domain: 'warm-gitea.ci.test',
    env: {},
    snapshot: { id: 's1', sha256: SUM, bytes: 4096 },
    dropped: null,
    droppedBy: null,
    disk: null,
  });
  const services = createServices(config);
  await services.commit({
    schema: 1,
    service: 'traefik',
    version: '3.0.0+3',
    commit: COMMIT,
    ts: at(1),
    run: 'reconcile-1',
    domain: 'warm-traefik.ci.test',
    env: {},
    images: {},
    volumes: [],
  });
  await services.tell('traefik', {
    ts: at(10),
    run: 'r',
    outcome: 'rolled-back',
    why: 'down',
    version: null,
  });
  const alerts = createAlerts(state);
  const about = { message: 'it is so', evidence: null, run: 'sweep-9' };
  const rolledBack = { kind: 'service-rolled-back', subject: { is: 'recipe', name: 'traefik' } } as const;
  await alerts.raise({ ...rolledBack, ...about }, new Date(at(10)));
  await alerts.raise({ kind: 'sweep-problems', subject: { is: 'host', name: 'ci-1' }, ...about }, NOW);
  const [target] = alertTargets(config.alerts);
  await createRelayed(state).write(target?.key ?? '', {
    schema: 1,
    target: 'webhook',
    since: at(5),
    failing: { since: at(10, 4), at: at(10, 6), error: 'no answer' },
    alerts: {},
  });
}

describe('what is answered of a host', () => {
  test('says how each recipe stands, and what of it was proven when', async () => {
    await fullState();
    const found = await scraped();
    expect(valuesOf(found, 'build_info')).toEqual({ [`${VERSION} ci-1`]: 1 });
    expect(valuesOf(found, 'recipe_enrolled')).toEqual({ ghost: 1, gitea: 1, mumble: 0, traefik: 0 });
    expect(valuesOf(found, 'recipe_outcome')).toEqual({ 'ghost FAIL': 1, 'gitea SKIP no-new-version': 1 });
    expect(valuesOf(found, 'recipe_standing')).toEqual({ 'ghost red': 1, 'gitea unchanged': 1 });
    expect(valuesOf(found, 'recipe_red_runs')).toEqual({ ghost: 2, gitea: 0 });
    expect(valuesOf(found, 'recipe_red_since_timestamp_seconds')).toEqual({ ghost: secondsAt(2, 4) });
    expect(valuesOf(found, 'recipe_last_run_timestamp_seconds')).toEqual({
      ghost: secondsAt(9, 4),
      gitea: secondsAt(9, 4),
    });
    expect(valuesOf(found, 'recipe_tested_timestamp_seconds')).toEqual({
      ghost: secondsAt(9, 4),
      gitea: secondsAt(2, 4),
    });
    expect(valuesOf(found, 'recipe_level')).toEqual({ ghost: 1, gitea: 1 });
    expect(valuesOf(found, 'recipe_run_duration_seconds')).toEqual({ ghost: 3600, gitea: 3600 });
    expect(valuesOf(found, 'recipe_tier_duration_seconds')).toEqual({
      'ghost install': 1.5,
      'gitea install': 1.5,
    });
    expect(valuesOf(found, 'canonical_info')).toEqual({ 'gitea 1.1.0+2': 1 });
    expect(valuesOf(found, 'canonical_promoted_timestamp_seconds')).toEqual({ gitea: secondsAt(2, 4) });
    expect(valuesOf(found, 'canonical_snapshot_bytes')).toEqual({ gitea: 4096 });
  });

  test('says what the last sweep came to, and what the next one wants of the disk', async () => {
    await fullState();
    // One that is under way has runs, and no report yet.
    await createRunIndex(state).add(result('ghost', 10, FAIL('still')));
    const found = await scraped();
    expect(valuesOf(found, 'last_sweep_start_timestamp_seconds')).toEqual({ '': secondsAt(9) });
    expect(valuesOf(found, 'last_sweep_end_timestamp_seconds')).toEqual({ '': secondsAt(9, 5) });
    expect(valuesOf(found, 'last_sweep_verdict')).toEqual({ red: 1 });
    expect(valuesOf(found, 'last_sweep_recipes')).toEqual({ FAIL: 1, 'SKIP no-new-version': 1 });
    expect(valuesOf(found, 'last_sweep_problems')).toEqual({ '': 2 });
    expect(valuesOf(found, 'disk_headroom_bytes')).toEqual({ 'engine and state': 10e9 });
    expect(valuesOf(found, 'disk_wanted_bytes')).toEqual({ 'engine and state': 14e9 });
    expect(valuesOf(found, 'disk_free_bytes')['engine and state']).toBeGreaterThan(1);
  });

  test('says how services are, which alerts hold, and which nobody could be told of', async () => {
    await fullState();
    const found = await scraped();
    expect(valuesOf(found, 'service_state')).toEqual({ 'traefik rolled-back': 1 });
    expect(valuesOf(found, 'service_last_good_info')).toEqual({ 'traefik 3.0.0+3': 1 });
    expect(valuesOf(found, 'service_last_good_timestamp_seconds')).toEqual({ traefik: secondsAt(1) });
    expect(valuesOf(found, 'service_reconciled_timestamp_seconds')).toEqual({ traefik: secondsAt(10) });
    expect(valuesOf(found, 'alerts_open')).toMatchObject({ 'service-rolled-back': 1, 'tag-moved': 0 });
    expect(valuesOf(found, 'alert_since_timestamp_seconds')).toEqual({
      'service-rolled-back traefik': secondsAt(10),
      'sweep-problems ci-1': NOW.getTime() / 1000,
    });
    const [target = ''] = alertTargets(config.alerts).map(({ key }) => key);
    expect(valuesOf(found, 'alerts_undelivered')).toEqual({ [target]: 2 });
    expect(valuesOf(found, 'alert_undelivered_since_timestamp_seconds')).toEqual({ [target]: secondsAt(10) });
    expect(valuesOf(found, 'alert_target_failing_since_timestamp_seconds')).toEqual({
      [target]: secondsAt(10, 4),
    });
    expect(JSON.stringify(found)).not.toContain('hush');
  });

  test('says whose turn it is, who waits, and what is scheduled', async () => {
    const asker = (who: TurnRequest['asker'], what: string, sinceMs: number): TurnRequest => ({
      workflow: { id: what, runId: what },
      asker: who,
      what,
      number: 1,
      sinceMs,
    });
    view = async () => ({
      workers: { polling: 0, lastPollMs: Date.parse(at(9)) },
      turns: {
        ...NOBODY,
        holder: asker('sweep', 'sweep', Date.parse(at(9))),
        heldMs: Date.parse(at(10)),
        waiting: [asker('test', 'b', Date.parse(at(10, 8))), asker('test', 'a', Date.parse(at(10, 7)))],
      },
      schedules: { sweep: { paused: true, nextMs: null }, reconcile: null },
    });
    const found = await scraped();
    expect(valuesOf(found, 'temporal_up')).toEqual({ '': 1 });
    expect(valuesOf(found, 'workers_polling')).toEqual({ '': 0 });
    expect(valuesOf(found, 'worker_last_poll_timestamp_seconds')).toEqual({ '': secondsAt(9) });
    expect(valuesOf(found, 'turn_held_since_timestamp_seconds')).toEqual({ 'sweep sweep': secondsAt(10) });
    expect(valuesOf(found, 'turns_waiting')).toEqual({ sweep: 0, hand: 0, test: 2 });
    expect(valuesOf(found, 'turn_waiting_since_timestamp_seconds')).toEqual({ '': secondsAt(10, 7) });
    expect(valuesOf(found, 'schedule_exists')).toEqual({ sweep: 1, reconcile: 0 });
    expect(valuesOf(found, 'schedule_paused')).toEqual({ sweep: 1 });
    expect(valuesOf(found, 'schedule_next_timestamp_seconds')).toEqual({});
  });

  test('is without what only a Temporal server knows that is away', async () => {
    view = () => Promise.reject(new Error('no answer'));
    const found = await scraped();
    expect(valuesOf(found, 'temporal_up')).toEqual({ '': 0 });
    expect(valuesOf(found, 'workers_polling')).toEqual({});
    expect(valuesOf(found, 'schedule_exists')).toEqual({});
    expect(valuesOf(found, 'alerts_open')).toMatchObject({ 'tag-moved': 0 });
  });

  test('forgets what is gone', async () => {
    await fullState();
    const ask = metrics();
    await ask();
    await rm(path.join(folder, 'recipes', 'ghost'), { recursive: true });
    const found = readExposition(await ask());
    expect(valuesOf(found, 'recipe_standing')).toEqual({ 'gitea unchanged': 1 });
  });

  test('is read no more often than it may be', async () => {
    const ask = metrics(60_000);
    const [one, other] = await Promise.all([ask(), ask()]);
    expect([await ask(), other]).toEqual([one, one]);
    expect(looks).toBe(1);
  });
});

describe('what cannot be read', () => {
  test('is counted, and hides nothing else', async () => {
    await fullState();
    const broken = [
      ['canonicals', 'gitea', 'canonical.json'],
      ['index', 'ghost.jsonl'],
      ['services', 'traefik', 'orders.json'],
      ['sweeps', 'sweep-9', 'report.json'],
      ['alerts', 'tag-moved-recipe-ghost.json'],
    ];
    for (const parts of broken) await writeFile(path.join(state, ...parts), '{');
    const [target] = alertTargets(config.alerts);
    await writeFile(path.join(state, 'alerts', 'relayed', `${target?.key}.json`), '[]');
    const found = await scraped();
    expect(valuesOf(found, 'unreadable_records')).toEqual({
      recipes: 2,
      reports: 1,
      services: 1,
      alerts: 1,
      relayed: 1,
    });
    expect(valuesOf(found, 'recipe_problems')).toEqual({ ghost: 1, gitea: 1 });
    expect(valuesOf(found, 'recipe_standing')).toEqual({ 'ghost never swept': 1, 'gitea unchanged': 1 });
    expect(valuesOf(found, 'last_sweep_end_timestamp_seconds')).toEqual({});
    expect(valuesOf(found, 'alerts_open')).toMatchObject({ 'sweep-problems': 1 });
  });

  test('of a host that has nothing yet is nothing', async () => {
    await rm(state, { recursive: true });
    await rm(path.join(folder, 'recipes'), { recursive: true });
    const found = await scraped();
    expect(new Set(Object.values(valuesOf(found, 'unreadable_records')))).toEqual(new Set([0]));
    expect(valuesOf(found, 'disk_free_bytes')).toEqual({});
  });
});

describe('the format', () => {
  test('is held whatever others wrote', async () => {
    const name = 'a"b\\c\nrecipe_sweep_temporal_up 7\r\u2028}é\ud800';
    const alerts = createAlerts(state);
    const about = { message: name, evidence: null, run: name };
    await alerts.raise({ kind: 'left-behind', subject: { is: 'recipe', name }, ...about }, NOW);
    const long = { is: 'recipe', name: 'x'.repeat(5000) } as const;
    await alerts.raise({ kind: 'left-behind', subject: long, ...about }, NOW);
    view = async () => ({
      ...IDLE,
      turns: {
        ...NOBODY,
        holder: {
          workflow: { id: 'w', runId: 'r' },
          asker: 'hand',
          what: name,
          number: 1,
          sinceMs: 0,
        },
        heldMs: 0,
      },
    });
    const text = Buffer.from(await metrics()()).toString();
    const found = readExposition(text);
    expect(valuesOf(found, 'temporal_up')).toEqual({ '': 1 });
    const subjects = Object.keys(valuesOf(found, 'alert_since_timestamp_seconds'));
    expect(subjects).toContain(`left-behind ${name.replace('\ud800', '\ufffd')}`);
    expect(Math.max(...subjects.map(({ length }) => length))).toBeLessThan(150);
  });

  test('says of each family what it is, of the process too', async () => {
    await fullState();
    const text = await metrics()();
    const found = readExposition(text);
    for (const { name } of found.samples) {
      const family = familyOf(name, found);
      expect(found.help.get(family), family).toMatch(/\S/);
      expect(found.type.has(family), family).toBe(true);
    }
    expect([...found.type.keys()]).toEqual(expect.arrayContaining(['process_resident_memory_bytes']));
  });
});

describe('the state of a service', () => {
  const well = { isStopped: false, isHeld: false, wasHealthy: true, kinds: [] };
  test.each([
    ['healthy', well],
    ['not-deployed', { ...well, wasHealthy: false }],
    ['held', { ...well, isHeld: true }],
    ['waits', { ...well, kinds: ['service-held'] }],
    ['rolled-back', { ...well, isHeld: true, kinds: ['service-held', 'service-rolled-back'] }],
    ['not-adopted', { ...well, wasHealthy: false, kinds: ['service-not-adopted'] }],
    ['not-reconciled', { ...well, kinds: ['service-not-reconciled', 'tag-moved'] }],
    ['down', { ...well, kinds: ['service-down', 'service-not-reconciled'] }],
    ['rollback-failed', { ...well, isStopped: true, isHeld: true, kinds: ['service-down'] }],
  ] as const)('%s', (is, signs) => {
    expect(serviceState(signs)).toBe(is);
  });
});

test('docs/metrics.md names every metric, with its labels', async () => {
  const page = await readFile(path.join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `recipe_sweep_(\w+)` +\| ([^|]*?) *\|/gm)].map(
    ([, name = '', labels = '']) => [name, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)],
  );
  expect(rows).toEqual(Object.entries(FAMILIES).map(([name, { labels }]) => [name, [...labels]]));
});
