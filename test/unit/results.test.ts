import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { createResults, type Results } from '../../host/store/results.ts';

let state: string;
let results: Results;
beforeEach(async () => {
  state = await mkdtemp(path.join(os.tmpdir(), 'results-'));
  results = createResults(state);
});
afterEach(async () => {
  await rm(state, { recursive: true, force: true });
});

const result: RecipeResult = {
  schema: 2,
  recipe: 'gitea',
  sweep: 'sweep-1',
  outcome: { kind: 'PASS', promoted: '3.6.0+1' },
  leftovers: null,
  notes: [],
  release: { version: '3.6.0+1', commit: 'c'.repeat(40) },
  tiers: [
    { tier: 'install', result: 'pass', ms: 61_250 },
    { tier: 'upgrade', result: 'skipped', reason: 'nothing older' },
  ],
  level: 1,
  lint: [{ rule: 'image-without-tag', file: 'compose.yml', line: 4, what: 'app: nginx has no tag' }],
  started: '2025-03-02T03:00:00.000Z',
  ended: '2025-03-02T03:02:00.000Z',
  workflow: { id: 'sweep-1/gitea', runId: 'r' },
};

const report: SweepReport = {
  schema: 2,
  sweep: 'sweep-1',
  host: 'ci-1',
  zone: 'ci.example.org',
  verdict: 'green',
  note: null,
  problems: [],
  started: result.started,
  ended: result.ended,
  recipes: [result],
};

/** The same as a version wrote it that knew of no levels. */
function ofSchema1({
  level: _level,
  lint: _lint,
  leftovers: _leftovers,
  notes: _notes,
  ...rest
}: RecipeResult): object {
  return { ...rest, schema: 1 };
}

const resultFile = async (): Promise<string> =>
  path.join(await results.runFolder('sweep-1', 'gitea'), 'result.json');

test('a result and a report are read as they were written', async () => {
  await results.writeResult(result);
  await results.writeReport(report);
  expect(await results.readResult('sweep-1', 'gitea')).toEqual(result);
  expect(await results.readReport('sweep-1')).toEqual(report);
  expect(JSON.parse(await readFile(await resultFile(), 'utf8'))).toEqual(result);
});

describe('of schema 1', () => {
  const unknown = { ...result, level: null, lint: null };

  test('a result says nothing of level and lint', async () => {
    await writeFile(await resultFile(), JSON.stringify(ofSchema1(result)));
    expect(await results.readResult('sweep-1', 'gitea')).toEqual(unknown);
  });

  test('a report is read with its results', async () => {
    await results.runFolder('sweep-1', 'gitea');
    const old = { ...report, schema: 1, recipes: [ofSchema1(result)] };
    await writeFile(results.reportFile('sweep-1'), JSON.stringify(old));
    expect((await results.reports()).reports).toEqual([{ ...report, recipes: [unknown] }]);
  });
});

test.each([
  ['of a newer schema', { ...result, schema: 3 }],
  ['of schema 2 without its level', { ...ofSchema1(result), schema: 2 }],
  ['of schema 1 with a level', { ...result, schema: 1 }],
  ['with a level that there is not', { ...result, level: 6 }],
])('a result %s is refused', async (_what, written) => {
  await writeFile(await resultFile(), JSON.stringify(written));
  await expect(results.readResult('sweep-1', 'gitea')).rejects.toMatchObject({ type: 'RecordUnreadable' });
});

test('reports that cannot be read, and stray files, hide no others', async () => {
  await results.runFolder('sweep-1', 'gitea');
  await results.writeReport(report);
  const sweeps = path.join(state, 'sweeps');
  await writeFile(path.join(sweeps, '.DS_Store'), '');
  for (const [name, text] of [
    ['newer', JSON.stringify({ ...report, schema: 9 })],
    ['cut', '{'],
  ] as const) {
    await mkdir(path.join(sweeps, name));
    await writeFile(path.join(sweeps, name, 'report.json'), text);
  }
  const { reports, unreadable } = await results.reports();
  expect(reports).toEqual([report]);
  expect(unreadable).toHaveLength(2);
  for (const name of ['newer', 'cut']) expect(unreadable.join()).toContain(`${name}/report.json`);
});

test('results and reports from before there were leftovers, notes and problems say that there are none', async () => {
  const { leftovers: _leftovers, notes: _notes, ...older } = result;
  await writeFile(await resultFile(), JSON.stringify(older));
  expect(await results.readResult('sweep-1', 'gitea')).toEqual(result);
  const { problems: _problems, ...olderReport } = report;
  await writeFile(results.reportFile('sweep-1'), JSON.stringify({ ...olderReport, recipes: [older] }));
  expect(await results.readReport('sweep-1')).toEqual(report);
});
