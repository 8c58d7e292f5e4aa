import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { Alert } from '../../domain/alert.ts';
import { outlived, type KeptRun, type KeptSweep } from '../../domain/retention.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { UNTESTED, type RecipeResult } from '../../domain/report.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createServices } from '../../host/store/services.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { folderName } from '../../host/store/places.ts';
import { createReports } from '../../host/store/reports.ts';
import { createResults } from '../../host/store/results.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { createMachine, DAY_MS, ZONE, type Machine } from './fake-machine.ts';

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

/** Nothing of a sweep's opening but what it throws away is asked of this machine. */
vi.mock('../../host/prerequisites.ts', () => ({ checkPrerequisites: async () => [] }));

describe('which sweeps have had their time', () => {
  const NOW = 1_000 * DAY_MS;
  const ages = { sweeps: 100 * DAY_MS, evidence: 10 * DAY_MS };
  const nobody = { askers: new Set<string>(), runs: new Set<string>(), recipes: new Set<string>() };
  const runsOf = (asker: string, endedMs: number, recipes: readonly string[], told: readonly string[]) =>
    recipes.map((recipe): KeptRun => {
      const folder = `${asker}/${recipe}`;
      return { folder, asker, recipe, endedMs, told: told.includes(recipe), isTest: false };
    });
  /** Sweeps by how long ago they ended, in days, with the recipes that they had and those that they told of. */
  const kept = (
    ...sweeps: (readonly [daysAgo: number, recipes: readonly string[], told?: readonly string[]])[]
  ): { runs: KeptRun[]; sweeps: KeptSweep[] } => ({
    sweeps: sweeps.map(([days]) => ({ folder: `sweep-${days}`, endedMs: NOW - days * DAY_MS })),
    runs: sweeps.flatMap(([days, recipes, told = recipes]) =>
      runsOf(`sweep-${days}`, NOW - days * DAY_MS, recipes, told),
    ),
  });

  test('of tests go by their age alone, and are not the last sweep', () => {
    const all = kept([200, ['ghost']]);
    const ofTest = (id: string, days: number): KeptRun => ({
      folder: `${id}/ghost`,
      asker: id,
      recipe: 'ghost',
      endedMs: NOW - days * DAY_MS,
      told: false,
      isTest: true,
    });
    const runs = [...all.runs, ofTest('old', 101), ofTest('older', 150), ofTest('young', 50)];
    expect(outlived({ ...all, runs }, nobody, ages, NOW)).toEqual({
      sweeps: [],
      runs: ['old/ghost', 'older/ghost'],
      evidence: ['young/ghost'],
    });
  });

  test('are those that are older than they need be; younger ones keep their results', () => {
    const all = kept(...[101, 99, 11, 9, 1].map((days) => [days, ['ghost', 'gitea']] as const));
    expect(outlived(all, nobody, ages, NOW)).toEqual({
      sweeps: ['sweep-101'],
      runs: ['sweep-101/ghost', 'sweep-101/gitea'],
      evidence: [11, 99].flatMap((days) => ['ghost', 'gitea'].map((recipe) => `sweep-${days}/${recipe}`)),
    });
  });

  test('are none that a record or an alert names, in part or as a whole', () => {
    const all = kept(...[400, 300, 200, 1].map((days) => [days, ['ghost', 'gitea']] as const));
    const needed = {
      askers: new Set(['sweep-300']),
      runs: new Set(['sweep-400/gitea']),
      recipes: new Set<string>(),
    };
    expect(outlived(all, needed, ages, NOW)).toEqual({
      sweeps: ['sweep-200'],
      runs: ['sweep-200/ghost', 'sweep-200/gitea', 'sweep-400/ghost'],
      evidence: [],
    });
  });

  test('are none of a recipe of which nobody knows what it needs', () => {
    const all = kept([400, ['ghost']], [300, ['gitea']], [1, ['gitea']]);
    expect(outlived(all, { ...nobody, recipes: new Set(['ghost']) }, ages, NOW)).toMatchObject({
      sweeps: ['sweep-300'],
      runs: ['sweep-300/gitea'],
    });
  });

  test('are not the last that said something of a recipe, nor the last of all', () => {
    const all = kept([500, ['ghost']], [400, ['ghost'], []], [300, []], [200, []]);
    expect(outlived(all, nobody, ages, NOW)).toEqual({
      sweeps: ['sweep-300', 'sweep-400'],
      runs: ['sweep-400/ghost'],
      evidence: [],
    });
  });

  test('are those of runs that no sweep asked for as well, but of the last of all', () => {
    const runs = [400, 300, 1].flatMap((days) =>
      runsOf(`hand-${days}`, NOW - days * DAY_MS, ['ghost'], days === 300 ? ['ghost'] : []),
    );
    expect(outlived({ runs, sweeps: [] }, nobody, ages, NOW)).toEqual({
      sweeps: [],
      runs: ['hand-400/ghost'],
      evidence: [],
    });
  });
});

describe('a sweep that opens', () => {
  const holder = { workflowId: 'now', runId: 'run of now', what: 'sweep' };
  const CANONICAL = {
    schema: 4,
    recipe: 'ghost',
    version: '1.0.0+1',
    commit: 'a'.repeat(40),
    status: 'proven',
    ts: '2020-01-01T00:00:00.000Z',
    run: 'proven/ghost',
    images: { app: { image: 'ghost:1', digest: 'sha256:proven' } },
    snapshot: { id: 'ghos-abcdef-1', sha256: 'b'.repeat(64), bytes: 1 },
    domain: `warm-ghost.${ZONE}`,
    env: {},
    dropped: null,
    droppedBy: null,
    disk: null,
  } as const;
  let folder: string;
  let machine: Machine;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'retention-'));
    machine = createMachine(folder, ['ghost', 'gitea']);
    machine.open.add('now');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const step = <T>(body: (activities: Activities) => Promise<T>, worker = { dead: false }): Promise<T> =>
    machine.attempt(worker, 1, body);
  const open = () => step(({ openSweep }) => openSweep({ recipes: ['ghost'], holder }));
  const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();
  const sweeps = (): string[] => readdirSync(path.join(machine.state, 'sweeps')).sort();
  const runs = (): string[] => readdirSync(path.join(machine.state, 'runs')).sort();
  const index = () => createRunIndex(machine.state);
  const runFiles = (sweep: string, recipe: string): string[] =>
    readdirSync(path.join(machine.state, 'runs', folderName(sweep), recipe)).sort();
  const alerts = () => createAlerts(machine.state);
  const raise = (alert: Partial<Alert>) =>
    alerts().raise(
      {
        kind: 'promote-failed',
        subject: { is: 'recipe', name: 'ghost' },
        message: 'no',
        evidence: null,
        run: 'x',
        ...alert,
      },
      new Date(),
    );

  async function ended(
    sweep: string,
    days: number,
    outcome: Outcome = { kind: 'ERROR', cause: 'cancelled', why: 'no' },
    recipe = 'ghost',
  ): Promise<void> {
    const results = createResults(machine.state);
    const run = await results.runFolder(`${sweep}/${recipe}`);
    mkdirSync(path.join(run, 'promote'));
    writeFileSync(path.join(run, 'promote', 'app.log'), 'hello');
    writeFileSync(
      path.join(run, 'resolved-images.json'),
      JSON.stringify({ schema: 1, images: { 'ghost:1': `sha256:of-${sweep}` } }),
    );
    const [started, at] = [daysAgo(days), daysAgo(days)];
    const result: RecipeResult = {
      schema: 4,
      recipe,
      asked: { by: 'sweep', id: sweep },
      outcome,
      ...UNTESTED,
      started,
      ended: at,
      workflow: { id: `${sweep}/${recipe}`, runId: 'x' },
    };
    await results.write(result);
    await index().add(result);
    const verdict = 'none';
    const report = {
      host: 'h',
      zone: ZONE,
      note: null,
      problems: [],
      notes: [],
      environment: null,
      disk: null,
    };
    const times = { started, ended: at };
    await createReports(machine.state).write({
      schema: 5,
      sweep,
      verdict,
      ...report,
      ...times,
      recipes: [result],
    });
  }

  it('throws away old sweeps and old evidence, and says so where that was', async () => {
    await ended('ancient', 800);
    await ended('by hand/again', 100);
    await ended('lately', 10);
    expect((await open()).problems).toEqual([]);
    expect([sweeps(), runs()]).toEqual([
      ['by%20hand%2Fagain', 'lately'],
      ['by%20hand%2Fagain', 'lately'],
    ]);
    expect(runFiles('by hand/again', 'ghost')).toEqual(['evidence-removed.txt', 'result.json']);
    expect(runFiles('lately', 'ghost')).toEqual(['promote', 'resolved-images.json', 'result.json']);
    const word = path.join(machine.state, 'runs', 'by%20hand%2Fagain', 'ghost', 'evidence-removed.txt');
    expect(readFileSync(word, 'utf8')).toMatch(/^removed on \d{4}-\d\d-\d\d: more than 90 days old/);
    const { reports, unreadable } = await createReports(machine.state).all();
    expect([reports.map(({ sweep }) => sweep), unreadable]).toEqual([['lately', 'by hand/again'], []]);
  });

  it('keeps what a canonical and an open alert name, with the images', async () => {
    await createCanonicals({ state: machine.state, zone: ZONE }).write(CANONICAL);
    await ended('proven', 900);
    await ended('alerted', 900);
    await ended('whole', 900);
    await ended('neither', 900);
    await ended('lately', 1);
    await raise({ run: 'alerted/ghost' });
    await raise({ kind: 'sweep-problems', subject: { is: 'host', name: 'model' }, run: 'whole' });
    await open();
    expect(sweeps()).toEqual(['alerted', 'lately', 'proven', 'whole']);
    for (const sweep of ['alerted', 'proven', 'whole']) {
      expect(runFiles(sweep, 'ghost')).toEqual(['promote', 'resolved-images.json', 'result.json']);
    }
    const { before, digests } = machine.imagesKept[0] ?? { before: new Date(), digests: new Set() };
    expect([...digests].sort()).toEqual(['sha256:of-alerted', 'sha256:proven']);
    expect(Date.now() - before.getTime()).toBeGreaterThan(29.9 * DAY_MS);
    // Once the operator has seen to it, it may go.
    const seen = path.join(machine.state, 'alerts', 'seen');
    mkdirSync(seen);
    for (const { file } of (await alerts().open()).alerts)
      renameSync(file, path.join(seen, path.basename(file)));
    await open();
    expect(sweeps()).toEqual(['lately', 'proven']);
  });

  it('keeps the images that a live service goes back to, and what found it healthy', async () => {
    await createServices({ state: machine.state, zone: ZONE }).commit({
      schema: 1,
      service: 'keycloak',
      version: '10.0.0+26.0.8',
      commit: 'c'.repeat(40),
      ts: new Date().toISOString(),
      run: 'reconcile/keycloak',
      domain: `warm-keycloak.${ZONE}`,
      env: {},
      images: { app: { image: 'keycloak:26.0.8', digest: 'sha256:last-good' } },
      volumes: [],
    });
    await ended('reconcile', 900, undefined, 'keycloak');
    await ended('lately', 1);
    await open();
    expect(sweeps()).toEqual(['lately', 'reconcile']);
    expect([...(machine.imagesKept[0]?.digests ?? [])]).toEqual(['sha256:last-good']);
  });

  it('keeps everything of a recipe whose record cannot be read, and every image', async () => {
    const canonicals = createCanonicals({ state: machine.state, zone: ZONE });
    await canonicals.write(CANONICAL);
    writeFileSync(path.join(machine.state, 'canonicals', 'ghost', 'canonical.json'), '{');
    await ended('of ghost', 900);
    await ended('of gitea', 900, undefined, 'gitea');
    await ended('lately', 1);
    await open();
    expect(sweeps()).toEqual(['lately', 'of%20ghost']);
    expect(machine.imagesKept).toEqual([]);
  });

  it('throws away nothing that an alert might name which cannot be read, and says so', async () => {
    await ended('ancient', 900);
    await ended('lately', 1);
    await raise({ run: 'ancient/ghost' });
    const file = (await alerts().open()).alerts[0]?.file ?? '';
    writeFileSync(file, '{');
    const { problems } = await open();
    expect(problems).toEqual([expect.stringMatching(/^old sweeps were not thrown away: .*alerts\/.*json/)]);
    expect(sweeps()).toEqual(['ancient', 'lately']);
    expect(machine.imagesKept).toEqual([]);
  });

  it('keeps what it wrote itself before it was reset, and reports that cannot be read', async () => {
    await ended('now', 900);
    await ended('broken', 900);
    await ended('moved', 900);
    await ended('lately', 1);
    writeFileSync(path.join(machine.state, 'sweeps', 'broken', 'report.json'), '{');
    const root = path.join(machine.state, 'sweeps');
    renameSync(path.join(root, 'moved'), path.join(root, 'elsewhere'));
    await open();
    expect(sweeps()).toEqual(['broken', 'elsewhere', 'lately', 'now']);
    expect(runFiles('now', 'ghost')).toEqual(['promote', 'resolved-images.json', 'result.json']);
  });

  it('throws away a sweep that never ended once it is old, by when it was last written to', async () => {
    await ended('died', 900);
    rmSync(path.join(machine.state, 'sweeps', 'died', 'report.json'));
    mkdirSync(path.join(machine.state, 'runs', 'in its first run', 'ghost'), { recursive: true });
    await ended('lately', 0);
    await open();
    expect(sweeps()).toEqual(['died', 'lately']);
    expect(runs()).toEqual(['in its first run', 'lately']);
    machine.laterMs = 731 * DAY_MS;
    await ended('later', -730);
    await open();
    expect([sweeps(), runs()]).toEqual([['later'], ['later']]);
  });

  it('trims the index to the runs that are there, and gives it those that it does not know', async () => {
    const fail = { kind: 'FAIL', version: '1', tier: 'install', why: 'no', evidence: 'x', canonical: null };
    for (const [sweep, days] of [
      ['ancient', 800],
      ['told', 900],
      ['old', 100],
      ['lately', 10],
    ] as const) {
      await ended(sweep, days, sweep === 'told' ? (fail as Outcome) : undefined);
    }
    await ended('gone', 900, undefined, 'gitea');
    const known = async (recipe: string) => (await index().of(recipe)).runs.map(({ run }) => run);
    const file = path.join(machine.state, 'index', 'ghost.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    // one line that nobody can read, and one run without a line
    writeFileSync(file, ['{"schema":9}', ...lines.filter((line) => !line.includes('lately/'))].join('\n'));
    expect((await index().of('ghost')).problem).toContain('1 of its lines cannot be read');
    expect((await open()).problems).toEqual([]);
    expect(await known('ghost')).toEqual(['lately/ghost', 'old/ghost', 'told/ghost']);
    expect((await index().of('ghost')).problem).toBeNull();
    expect(await known('gitea')).toEqual([]);
    expect(await index().recipes()).toEqual(['ghost']);
    rmSync(file);
    await open();
    expect(await known('ghost')).toEqual(['lately/ghost', 'old/ghost', 'told/ghost']);
  });

  it('is stopped by no index that cannot be written, and says so', async () => {
    await ended('lately', 10);
    const file = path.join(machine.state, 'index', 'ghost.jsonl');
    rmSync(file);
    mkdirSync(path.join(file, 'x'), { recursive: true });
    const { problems, recipes } = await open();
    expect(problems).toEqual([
      expect.stringMatching(/^lines of the index .*not thrown away: .*ghost\.jsonl/),
    ]);
    expect(recipes).toEqual(['ghost']);
  });

  it('throws away what versions left that had runs in the folders of sweeps', async () => {
    for (const [sweep, days] of [
      ['ancient', 800],
      ['old', 100],
      ['proven', 900],
    ] as const) {
      await ended(sweep, days);
      renameSync(
        path.join(machine.state, 'runs', sweep, 'ghost'),
        path.join(machine.state, 'sweeps', sweep, 'ghost'),
      );
    }
    await createCanonicals({ state: machine.state, zone: ZONE }).write(CANONICAL);
    await ended('lately', 1);
    await open();
    expect(sweeps()).toEqual(['lately', 'old', 'proven']);
    const files = (sweep: string) => readdirSync(path.join(machine.state, 'sweeps', sweep, 'ghost')).sort();
    expect(files('old')).toEqual(['evidence-removed.txt', 'result.json']);
    expect(files('proven')).toEqual(['promote', 'resolved-images.json', 'result.json']);
  });

  it('goes on where a worker died over it, and never shows half a sweep', async () => {
    await ended('ancient', 900);
    await ended('old', 100);
    await ended('lately', 1);
    const shown = async (): Promise<string[]> => {
      const { reports, unreadable } = await createReports(machine.state).all();
      expect(unreadable).toEqual([]);
      return reports.map(({ sweep }) => sweep);
    };
    const left = path.join(machine.state, 'sweeps', '.discarded-0123');
    mkdirSync(path.join(left, 'ghost'), { recursive: true });
    expect(await shown()).toEqual(['lately', 'old', 'ancient']);
    writeFileSync(path.join(machine.state, 'runs', 'old', 'ghost', 'evidence-removed.txt'), 'begun\n');
    await open();
    expect(sweeps()).toEqual(['lately', 'old']);
    expect(runFiles('old', 'ghost')).toEqual(['evidence-removed.txt', 'result.json']);
  });

  it('throws away alerts a time after they ended, or were archived, and never those that hold', async () => {
    await raise({ subject: { is: 'recipe', name: 'gitea' } });
    await raise({ run: 'two' });
    await raise({ kind: 'tag-moved' });
    await alerts().end('tag-moved', { is: 'recipe', name: 'ghost' }, new Date());
    const over = path.join(machine.state, 'alerts', 'ended');
    const seen = path.join(machine.state, 'alerts', 'seen');
    mkdirSync(seen);
    const file = (await alerts().open()).alerts[0]?.file ?? '';
    const archived = path.join(seen, path.basename(file));
    renameSync(file, archived);
    await open();
    expect(existsSync(archived)).toBe(true);
    expect(readdirSync(over)).toHaveLength(1);
    machine.laterMs = 181 * DAY_MS;
    await open();
    expect(existsSync(archived)).toBe(false);
    expect(readdirSync(over)).toEqual([]);
    expect((await alerts().open()).alerts).toHaveLength(1);
  });

  it('is not stopped by what cannot be thrown away', async () => {
    await ended('ancient', 900);
    await ended('lately', 1);
    // a folder where a file should be
    const seen = path.join(machine.state, 'alerts', 'seen');
    mkdirSync(path.join(seen, 'folder.json'), { recursive: true });
    writeFileSync(path.join(seen, 'zeal.json'), '{}');
    machine.laterMs = 181 * DAY_MS;
    const { problems, recipes } = await open();
    expect(problems).toEqual([expect.stringMatching(/^alerts that are over were not thrown away: /)]);
    expect(recipes).toEqual(['ghost']);
    expect(sweeps()).toEqual(['lately']);
    expect(readdirSync(seen)).toEqual(['folder.json']);
  });

  it('one run whose evidence does not go holds no other up, nor a sweep or an image', async () => {
    await ended('ancient', 900);
    for (const sweep of ['old', 'older']) await ended(sweep, sweep === 'old' ? 100 : 200);
    await ended('lately', 1);
    // a folder where the word about it should be
    mkdirSync(path.join(machine.state, 'runs', 'old', 'ghost', 'evidence-removed.txt', 'x'), {
      recursive: true,
    });
    const { problems } = await open();
    expect(problems).toEqual([
      expect.stringMatching(/^old files of evidence were not thrown away: .*runs\/old\//),
    ]);
    expect(sweeps()).toEqual(['lately', 'old', 'older']);
    expect(runFiles('older', 'ghost')).toEqual(['evidence-removed.txt', 'result.json']);
    expect(machine.imagesKept).toHaveLength(1);
  });
});
