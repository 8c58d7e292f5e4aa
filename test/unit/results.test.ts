import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { timeSpent } from '../../domain/time-spent.ts';
import { createReports, type Reports } from '../../host/store/reports.ts';
import { createResults, type Results } from '../../host/store/results.ts';
import { parseDocument } from '../fixtures/documents.ts';

let state: string;
let results: Results;
let reports: Reports;
beforeEach(async () => {
  state = await mkdtemp(path.join(os.tmpdir(), 'results-'));
  results = createResults(state);
  reports = createReports(state);
});
afterEach(async () => {
  await rm(state, { recursive: true, force: true });
});

const result: RecipeResult = {
  schema: 4,
  recipe: 'gitea',
  asked: { by: 'sweep', id: 'sweep-1' },
  outcome: { kind: 'PASS', promoted: '3.6.0+1' },
  leftovers: null,
  notes: [],
  release: { version: '3.6.0+1', commit: 'c'.repeat(40) },
  test: null,
  tiers: [
    { tier: 'install', result: 'pass', ms: 61_250 },
    { tier: 'upgrade', result: 'skipped', reason: 'nothing older' },
  ],
  level: 1,
  lint: [{ rule: 'image-without-tag', file: 'compose.yml', line: 4, what: 'app: nginx has no tag' }],
  spentMs: null,
  started: '2025-03-02T03:00:00.000Z',
  ended: '2025-03-02T03:02:00.000Z',
  workflow: { id: 'sweep-1/gitea', runId: 'r' },
};

const report: SweepReport = {
  schema: 5,
  sweep: 'sweep-1',
  host: 'ci-1',
  zone: 'ci.example.org',
  verdict: 'green',
  note: null,
  problems: [],
  notes: [],
  environment: null,
  disk: null,
  started: result.started,
  ended: result.ended,
  recipes: [result],
};

/** The same as a version wrote it for which every run was a sweep's. */
function ofSchema2({ asked, test: _test, ...rest }: RecipeResult): object {
  return { ...rest, sweep: asked.id, schema: 2 };
}

/** The same as a version wrote it that knew of no tests. */
function ofSchema3({ test: _test, ...rest }: RecipeResult): object {
  return { ...rest, schema: 3 };
}

/** The same as a version wrote it that knew of no levels. */
function ofSchema1({
  level: _level,
  lint: _lint,
  leftovers: _leftovers,
  notes: _notes,
  ...rest
}: RecipeResult): object {
  return { ...ofSchema2(rest as RecipeResult), schema: 1 };
}

const resultFile = async (): Promise<string> =>
  path.join(await results.runFolder('sweep-1/gitea'), 'result.json');

test('a result and a report are read as they were written', async () => {
  await results.write(result);
  await reports.write(report);
  expect(await results.read('sweep-1/gitea')).toEqual(result);
  expect(await reports.read('sweep-1')).toEqual(report);
  parseDocument('result.json', await readFile(await resultFile(), 'utf8'));
  parseDocument('results', await readFile(reports.fileOf('sweep-1'), 'utf8'));
  expect(await resultFile()).toBe(path.join(state, 'runs', 'sweep-1', 'gitea', 'result.json'));
  expect(JSON.parse(await readFile(await resultFile(), 'utf8'))).toEqual(result);
});

describe('of schema 1', () => {
  const unknown = { ...result, level: null, lint: null };

  test('a result says nothing of level and lint', async () => {
    await writeFile(await resultFile(), JSON.stringify(ofSchema1(result)));
    expect(await results.read('sweep-1/gitea')).toEqual(unknown);
  });

  test('a report is read with its results', async () => {
    await reports.write(report);
    const old = { ...report, schema: 1, recipes: [ofSchema1(result)] };
    await writeFile(reports.fileOf('sweep-1'), JSON.stringify(old));
    expect((await reports.all()).reports).toEqual([{ ...report, recipes: [unknown] }]);
  });
});

test('a report of schema 4 says nothing of the disk', async () => {
  await reports.write(report);
  const { disk: _disk, ...old } = report;
  await writeFile(reports.fileOf('sweep-1'), JSON.stringify({ ...old, schema: 4 }));
  expect(await reports.read('sweep-1')).toEqual(report);
});

test('a report of schema 2, whose results name their sweep, is read', async () => {
  await reports.write(report);
  const old = { ...report, schema: 2, recipes: [ofSchema2(result)] };
  await writeFile(reports.fileOf('sweep-1'), JSON.stringify(old));
  expect(await reports.read('sweep-1')).toEqual(report);
});

test('a result of before time was divided says nothing of where it went, and a later one is read as it was', async () => {
  const { spentMs: _, ...before } = result;
  await writeFile(await resultFile(), JSON.stringify(before));
  expect(await results.read('sweep-1/gitea')).toEqual(result);
  const times = { startedMs: 0, endedMs: 120_000 };
  const spentMs = timeSpent([{ on: 'pulling', fromMs: 1_000, toMs: 31_000 }], times);
  await results.write({ ...result, spentMs });
  expect(await results.read('sweep-1/gitea')).toMatchObject({ spentMs: { pulling: 30_000, own: 90_000 } });
});

test('a result of schema 3 tested a release', async () => {
  await writeFile(await resultFile(), JSON.stringify(ofSchema3(result)));
  expect(await results.read('sweep-1/gitea')).toEqual(result);
});

test('what a test tested is read as it was written', async () => {
  const head = { version: '3.7.0+1', commit: 'd'.repeat(40) };
  const of = { asked: { by: 'test', id: 'test-1' }, workflow: { id: 'test-1', runId: 'r' } } as const;
  const why = 'gitea has no canonical';
  const tested = { mode: 'cold', wanted: 'quick', why, pullRequest: 12, head, base: result.release } as const;
  const ofTest: RecipeResult = {
    ...result,
    ...of,
    outcome: { kind: 'PASS', promoted: null },
    release: head,
    test: tested,
  };
  await results.write(ofTest);
  expect(await results.read('test-1/gitea')).toEqual(ofTest);
  const file = path.join(state, 'runs', 'test-1', 'gitea', 'result.json');
  parseDocument('result.json', await readFile(file, 'utf8'));
});

test.each([
  ['of a newer schema', { ...result, schema: 5 }],
  ['of schema 4 that names its sweep', { ...ofSchema2(result), test: null, schema: 4 }],
  ['of schema 4 that does not say what a test tested', { ...ofSchema3(result), schema: 4 }],
  ['of schema 3 that does', { ...result, schema: 3 }],
  ['of schema 2 without its level', { ...ofSchema1(result), schema: 2 }],
  ['of schema 1 with a level', { ...ofSchema2(result), schema: 1 }],
  ['that nobody asked for', { ...result, asked: { by: 'nobody', id: 'x' } }],
  ['with a level that there is not', { ...result, level: 6 }],
])('a result %s is refused', async (_what, written) => {
  await writeFile(await resultFile(), JSON.stringify(written));
  await expect(results.read('sweep-1/gitea')).rejects.toMatchObject({ type: 'RecordUnreadable' });
});

test('reports that cannot be read, and stray files, hide no others', async () => {
  await reports.write(report);
  const sweeps = path.join(state, 'sweeps');
  await writeFile(path.join(sweeps, '.DS_Store'), '');
  for (const [name, text] of [
    ['newer', JSON.stringify({ ...report, schema: 9 })],
    ['cut', '{'],
  ] as const) {
    await mkdir(path.join(sweeps, name));
    await writeFile(path.join(sweeps, name, 'report.json'), text);
  }
  const { reports: read, unreadable } = await reports.all();
  expect(read).toEqual([report]);
  expect(unreadable).toHaveLength(2);
  for (const name of ['newer', 'cut']) expect(unreadable.join()).toContain(`${name}/report.json`);
});

test('results and reports from before there were leftovers, notes and problems say that there are none', async () => {
  const { leftovers: _leftovers, notes: _notes, ...older } = result;
  await writeFile(await resultFile(), JSON.stringify(ofSchema2(older as RecipeResult)));
  expect(await results.read('sweep-1/gitea')).toEqual(result);
  const { problems: _problems, ...olderReport } = report;
  const recipes = [ofSchema2(older as RecipeResult)];
  await reports.write(report);
  await writeFile(reports.fileOf('sweep-1'), JSON.stringify({ ...olderReport, schema: 2, recipes }));
  expect(await reports.read('sweep-1')).toEqual(report);
});
