import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import stringWidth from 'string-width';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { renderSweepEnd } from '../../client/follow.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { fleetPage } from '../../domain/site-url.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { createReports } from '../../host/store/reports.ts';
import { createResults } from '../../host/store/results.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { standingsAtEnd, toldStanding } from '../../host/store/standings.ts';
import { typeIn } from './typed-command.ts';

/** What people read of sweeps fits their terminals, whatever recipes and apps are called and say. */

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'columns-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const SITE = 'https://sweeps.an-organisation-with-a-long-name.example.org/below/a/folder';
const SAID = [
  'word '.repeat(80),
  'x'.repeat(300),
  '漢字'.repeat(90),
  `see ${'/very/long'.repeat(12)}/app.log and go on`,
  `a\u001b[2Jb\r\n\u202ec\u0007${'d '.repeat(60)}`,
];
const said = (number: number): string => SAID[number % SAID.length] ?? '';
const nameOf = (number: number): string => `r${'ecipe'.repeat(number % 7)}-${number}`;

function outcomeOf(number: number, evidence: string): Outcome {
  const why = said(number);
  const kinds: Outcome[] = [
    { kind: 'FAIL', version: '1.0.0+1', tier: 'install', why, evidence, canonical: said(number + 1) },
    { kind: 'GREEN-BUT-PROMOTE-FAILED', version: '1.0.0+1', why, evidence, canonical: null },
    { kind: 'PASS', promoted: `1.0.${number}+v2025.12.31-a-long-name-of-a-version` },
    { kind: 'SKIP', because: 'held', why },
    { kind: 'ERROR', cause: 'infrastructure', why },
    { kind: 'SKIP', because: 'no-new-version', why },
  ];
  return kinds[number % kinds.length] as Outcome;
}

function resultOf(number: number, sweep: string, state: string): RecipeResult {
  const recipe = nameOf(number);
  const evidence = `${state}/runs/${sweep}/${recipe}/cold-test-install/app.log`;
  const reason = said(number);
  return {
    schema: 4,
    recipe,
    asked: { by: 'sweep', id: sweep },
    outcome: outcomeOf(number, evidence),
    leftovers: number % 7 === 0 ? said(number + 2) : null,
    notes: [said(number + 3)],
    release: { version: '1.0.0+1', commit: 'c'.repeat(40) },
    test: null,
    tiers: [
      { tier: 'install', result: 'fail', reason, evidence, ms: 3_000 },
      { tier: 'upgrade', result: 'skipped', reason },
      { tier: 'backup', result: 'pass', note: reason },
    ],
    level: 0,
    lint: [{ rule: 'a-rule', file: 'compose.yml', line: 1, what: reason }],
    spentMs: null,
    started: '2025-03-02T03:00:00.000Z',
    ended: '2025-03-02T03:02:00.000Z',
    workflow: { id: `${sweep}/${recipe}`, runId: 'r' },
  };
}

async function swept(): Promise<{ state: string; report: SweepReport; config: string }> {
  const state = path.join(folder, 'a-state-folder-that-is-far-down');
  const sweep = 'sweep-a-host-with-a-long-name-2025-03-02T03:00:00Z';
  const results = Array.from({ length: 40 }, (_, number) => resultOf(number, sweep, state));
  const report: SweepReport = {
    schema: 5,
    sweep,
    host: 'ci-1',
    zone: 'ci.example.org',
    verdict: 'red',
    note: said(0),
    problems: SAID,
    notes: SAID,
    environment: { fingerprint: '0a1b2c3d4e5f', parts: {}, changed: SAID },
    disk: {
      headroom: 10_000_000_000,
      disks: [{ places: ['engine', 'state'], folder: state, size: 107_374_182_400, free: 1_000 }],
      next: {
        engine: 3_000_000,
        state: 1_000_000,
        together: 4_000_000,
        largest: nameOf(3),
        unknown: results.map(({ recipe }) => recipe),
        withoutImages: results.map(({ recipe }) => recipe),
      },
      dropped: [],
    },
    started: '2025-03-02T03:00:00.000Z',
    ended: '2025-03-02T04:00:00.000Z',
    recipes: results,
  };
  await createReports(state).write(report);
  const index = createRunIndex(state);
  for (const result of results) {
    await createResults(state).write(result);
    await index.add(result);
  }
  const config = path.join(folder, 'recipe-sweep.yml');
  await mkdir(path.join(folder, 'recipes'));
  await writeFile(
    config,
    stringify({
      host: 'ci-1',
      zone: 'ci.example.org',
      state,
      recipes: path.join(folder, 'recipes'),
      mirrors: path.join(folder, 'mirrors/{recipe}.git'),
      serve: { url: SITE },
    }),
  );
  return { state, report, config };
}

/** A path, an address or an ID that stands alone, perhaps with a mark at its end. */
const COPIED = /^\s*["'(]*(?:https?:\/|\/|sweep-)\S+$/;

function tooLong(text: string): string[] {
  const lines = text.replace(/\u001b\[\d+m/g, '').split('\n');
  expect(lines.length).toBeGreaterThan(3);
  expect(text).not.toMatch(/\u001b\[2J|\u202e|\u0007|\r/);
  return lines.filter((line) => stringWidth(line) > 80 && !COPIED.test(line));
}

test.each([
  ['results', []],
  ['results --list', ['--list']],
  ['results --recipe', ['--recipe', nameOf(0)]],
  ['results --recipe --list', ['--recipe', nameOf(0), '--list']],
])('%s fits 80 columns', async (_what, options) => {
  const { config } = await swept();
  const { status, out, err } = await typeIn('/elsewhere', ['results', ...options, '--config', config], 80);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(tooLong(out)).toEqual([]);
});

test('the end of a sweep fits 80 columns, and begins with what changed', async () => {
  const { state, report } = await swept();
  const standings = await standingsAtEnd(createRunIndex(state), report);
  const told = standings.map((one) => toldStanding(one, { site: SITE, state }));
  const recipes = report.recipes.map(({ recipe, outcome }) => ({
    recipe,
    outcome: outcome.kind,
    why: 'why' in outcome ? outcome.why : '',
  }));
  const { sweep, verdict, note, problems } = report;
  const result = { sweep, verdict, note, problems, recipes, environment: 'e', report: '/r.json' };
  const temporal = { address: '', namespace: 'default', ui: 'http://127.0.0.1:8233' } as const;
  const end = await renderSweepEnd(
    { host: 'ci-1', state, temporal },
    { ...result, standings: told, site: fleetPage(SITE) },
    report,
    { columns: () => 80 },
    '/elsewhere',
    true,
  );
  expect(tooLong(end)).toEqual([]);
  expect(end).toContain('what changed');
  expect(end).toContain(`${SITE}/\n`);
  const first = told.map(({ is }) => is);
  expect(first.indexOf('newly red')).toBe(0);
  expect(first.lastIndexOf('newly red')).toBeLessThan(first.indexOf('held'));
  expect(first.lastIndexOf('held')).toBeLessThan(first.indexOf('blocked'));
});
