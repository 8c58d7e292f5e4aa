import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { outcomeReason, outcomeTitle, TIERS, type Tier } from '../../domain/outcome.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { followEvents, isOfZone, startSystem, type System } from './system.ts';

/** Real apps, really upgraded. One story, in order: each test finds the system as the one before left it. */

/** Both releases of each, and a check whose output says which version answered. */
const APPS = {
  gitea: { first: '3.5.0+1.25.5', second: '3.6.0+1.26.0', check: 'version', says: 'the forge says 1.26.0' },
  miniflux: { first: '2.0.0+2.0.51', second: '2.1.0+2.2.0', check: 'api-version', says: 'version 2.2.0' },
  mumble: {
    first: '1.0.0+1.3.4',
    second: '1.1.0+1.5.735',
    check: 'handshake',
    says: 'the server says 1.5.735',
  },
} as const;
const NAMES = Object.keys(APPS) as (keyof typeof APPS)[];

/** Gitea has its database open, which is a file: it does not look again at what is put beneath it, and no hook makes it. */
const NEEDS_RESTART = new Set<string>(['gitea']);

const ENROLLED = ['custom-html', 'gitea', 'miniflux', 'mumble', 'pinboard', 'reading-room'];

let system: System;
/** Those of which the second release is out. */
const published = new Set<string>();
/** Containers made, and volumes mounted by which. */
let events: Awaited<ReturnType<typeof followEvents>>;

beforeAll(async () => {
  system = await startSystem(inject('temporal'), ENROLLED, { limits: { stable: '4s' } });
  events = await followEvents(system.docker, { type: ['container', 'volume'], event: ['create', 'mount'] });
  for (const name of NAMES) await system.upstreams.publish(name, APPS[name].first);
  for (const name of ['custom-html', 'pinboard', 'reading-room']) {
    await system.upstreams.publish(name, '1.0.0+1.22');
  }
  await system.startWorker();
}, 300_000);

afterAll(async () => {
  events?.close();
  await system?.stop();
}, 180_000);

/** Volumes that have no name of their own and were mounted by containers of ours, and that are still there. */
async function namelessVolumes(): Promise<string[]> {
  const seen = events.seen();
  const ours = new Set(
    seen
      .filter(({ Type, Action }) => Type === 'container' && Action === 'create')
      .filter((event) => isOfZone(event, system.zone))
      .map(({ Actor }) => Actor.ID),
  );
  const mounted = new Set(
    seen
      .filter(({ Type, Action, Actor }) => {
        const container = Actor.Attributes['container'] ?? '';
        return Type === 'volume' && Action === 'mount' && ours.has(container);
      })
      .map(({ Actor }) => Actor.ID),
  );
  expect(mounted.size).toBeGreaterThan(0);
  const { Volumes: found } = await system.docker.listVolumes();
  return found.map(({ Name }) => Name).filter((name) => /^[0-9a-f]{64}$/.test(name) && mounted.has(name));
}

/** Sweeps these recipes as an operator does, and answers the reports by recipe. */
async function sweep(...recipes: string[]): Promise<Map<string, RecipeResult>> {
  const { stdout, stderr } = await system.cli('sweep', '--json', ...recipes);
  expect(stdout, stderr).not.toBe('');
  const { sweep: id } = JSON.parse(stdout) as { sweep: string };
  const report = JSON.parse((await system.cli('results', id, '--json')).stdout) as SweepReport;
  expect(
    report.recipes.map(({ recipe }) => recipe),
    stderr,
  ).toEqual(recipes.toSorted());
  return new Map(report.recipes.map((result) => [result.recipe, result]));
}

/** What the tiers said, each in a few words, and what came of it; of whatever is no pass why. */
function storyOf(result: RecipeResult | undefined): string[] {
  if (result === undefined) return [];
  const { tiers, outcome } = result;
  return [
    ...tiers.map((tier) => {
      const why = tier.result === 'fail' || tier.result === 'skipped' ? `: ${tier.reason}` : '';
      return `${tier.tier} ${tier.result}${why}`;
    }),
    outcome.kind === 'PASS' ? outcomeTitle(outcome) : `${outcomeTitle(outcome)}: ${outcomeReason(outcome)}`,
  ];
}

/** Only the data of canonicals stays between sweeps: nothing runs, and no archive or checkout lies about. */
async function expectNothingLeft(): Promise<void> {
  expect((await system.ours()).filter((thing) => !/^(volume|secret) warm-/.test(thing))).toEqual([]);
  for (const folder of ['backups', 'checkouts']) {
    expect(await readdir(path.join(system.state, folder)).catch(() => [])).toEqual([]);
  }
  expect(await namelessVolumes()).toEqual([]);
}

/** Those whose canonical is not at that release yet: all of them, but where the test is tried once more. */
async function notYetAt(release: 'first' | 'second'): Promise<(typeof NAMES)[number][]> {
  const versions = await Promise.all(NAMES.map((name) => system.canonical(name)));
  return NAMES.filter((name, place) => versions[place]?.version !== APPS[name][release]);
}

describe('real apps', () => {
  test('their first releases pass and become canonicals', async () => {
    const names = await notYetAt('first');
    const results = await sweep(...names);
    for (const name of names) {
      const { first } = APPS[name];
      expect([name, ...storyOf(results.get(name))]).toEqual([
        name,
        'install pass',
        expect.stringMatching(/^upgrade skipped/),
        'backup pass',
        'restore pass',
        'custom pass',
        `PASS (promoted ${first})`,
      ]);
      expect([name, results.get(name)?.level]).toEqual([name, 1]);
      expect((await system.canonical(name))?.version).toBe(first);
    }
    await expectNothingLeft();
  });

  test('the next releases keep the data through upgrade, backup and restore, and are promoted', async () => {
    for (const name of NAMES.filter((one) => !published.has(one))) {
      await system.upstreams.publish(name, APPS[name].second);
      published.add(name);
    }
    const names = await notYetAt('second');
    const results = await sweep(...names);
    for (const name of names) {
      const { second, check, says } = APPS[name];
      const result = results.get(name);
      expect([name, ...storyOf(result)]).toEqual([
        name,
        ...TIERS.map((tier) => `${tier} pass`),
        `PASS (promoted ${second})`,
      ]);
      const rules = result?.lint?.map(({ rule }) => rule);
      expect([name, rules, result?.level]).toEqual(
        NEEDS_RESTART.has(name) ? [name, ['restore-needs-restart'], 4] : [name, [], 5],
      );
      expect((await system.canonical(name))?.version).toBe(second);
      expect(await evidence(result, `check-${check}.txt`)).toContain(says);
    }
    await expectNothingLeft();
  });

  test('the third sweep has nothing to do, and makes nothing on the engine', async () => {
    let results = new Map<string, RecipeResult>();
    const created = await system.createdDuring(async () => {
      results = await sweep(...NAMES);
    });
    for (const name of NAMES) {
      expect([name, results.get(name)?.outcome]).toEqual([
        name,
        expect.objectContaining({ kind: 'SKIP', because: 'no-new-version' }),
      ]);
    }
    expect(created).toEqual([]);
    await expectNothingLeft();
  });
});

/** The text of a file of that name, wherever it is in the recipe's evidence. */
async function evidence(result: RecipeResult | undefined, file: string): Promise<string> {
  const { state } = system;
  const folder = path.join(state, 'runs', result?.workflow.id ?? '');
  const found = (await readdir(folder, { recursive: true })).find((name) => path.basename(name) === file);
  expect(found, `${file} in ${folder}`).toBeDefined();
  return readFile(path.join(folder, found ?? ''), 'utf8');
}

test('a recipe that needs another one has one of its own for the run', async () => {
  const results = await sweep('reading-room');
  expect(storyOf(results.get('reading-room'))).toEqual([
    'install pass',
    expect.stringMatching(/^upgrade skipped/),
    expect.stringMatching(/^backup skipped/),
    expect.stringMatching(/^restore skipped/),
    'custom pass',
    'PASS (promoted 1.0.0+1.22)',
  ]);
  // deployed for the run, it is no canonical
  expect(await system.canonical('custom-html')).toBeNull();
  await expectNothingLeft();
});

describe('a release that works, and yet', () => {
  test('begins well', async () => {
    const result = (await sweep('pinboard')).get('pinboard');
    expect(storyOf(result)).toEqual([
      'install pass',
      expect.stringMatching(/^upgrade skipped/),
      'backup pass',
      'restore pass',
      'custom pass',
      'PASS (promoted 1.0.0+1.22)',
    ]);
    expect(await evidence(result, 'check-search.txt')).toContain('this board has no search');
  });

  test.each<[string, string, Tier, RegExp, string]>([
    [
      'loses its data when it is upgraded',
      '1.1.0+1.26',
      'upgrade',
      /^upgrade fail: hook check-data: exit status 1: the notice is gone/,
      'error: 404',
    ],
    [
      'has nothing in its backup',
      '1.2.0+1.26',
      'backup',
      /^backup fail: .*holds files, and none of them is in the archive/,
      'uploads',
    ],
    [
      'fails a check',
      '1.3.0+1.26',
      'custom',
      /^custom fail: check readable: exit status 1: the page does not say/,
      'text/html',
    ],
  ])('%s is red, and the canonical stays', async (_, version, tier, reason, kept) => {
    await system.upstreams.publish('pinboard', version);
    const result = (await sweep('pinboard')).get('pinboard');
    const place = TIERS.indexOf(tier);
    expect(storyOf(result)).toEqual([
      ...TIERS.slice(0, place).map((name) => `${name} pass`),
      expect.stringMatching(reason),
      ...TIERS.slice(place + 1).map((name) => `${name} not reached`),
      expect.stringMatching(/^FAIL: /),
    ]);
    const outcome = result?.outcome;
    expect(await readFile(outcome?.kind === 'FAIL' ? outcome.evidence : '', 'utf8')).toContain(kept);
    expect((await system.canonical('pinboard'))?.version).toBe('1.0.0+1.22');
    await expectNothingLeft();
  });
});
