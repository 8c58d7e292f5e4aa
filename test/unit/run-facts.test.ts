import { describe, expect, test } from 'vitest';
import { blameText, blameOf } from '../../domain/blame.ts';
import { TIERS, type Outcome } from '../../domain/outcome.ts';
import { factsOf, type Fact, type ToldRun } from '../../domain/run-facts.ts';

const FAIL: Outcome = {
  kind: 'FAIL',
  version: '1.1.0+1',
  tier: 'upgrade',
  why: 'app: exited with 1',
  evidence: '/app.log',
  canonical: null,
};

const red: ToldRun = {
  asked: { by: 'sweep' },
  outcome: FAIL,
  release: { version: '1.1.0+1', commit: 'b'.repeat(40) },
  test: null,
  tiers: [
    { tier: 'install', result: 'pass', ms: 9_400, note: 'nobody was asked' },
    { tier: 'upgrade', result: 'fail', reason: 'app: exited with 1', evidence: '/app.log', ms: 21_000 },
    { tier: 'backup', result: 'skipped', reason: 'no label' },
    { tier: 'restore', result: 'not reached' },
  ],
  level: 1,
  lint: [{ rule: 'no-notes', file: 'release', line: null, what: 'no release notes' }],
  spentMs: { app: 1, pulling: 0, scripts: 0, data: 0, mirrorSync: 0, turn: 0, retries: 0, own: 0 },
  notes: ['a tag moved', 'another one'],
  leftovers: 'a volume',
  unrecorded: 'no disk',
  started: '2025-03-02T03:00:00.000Z',
  ended: '2025-03-02T03:04:02.000Z',
};

const told = (facts: readonly Fact[]): string[] => facts.map(({ about }) => about);
const one = <About extends Fact['about']>(run: ToldRun, about: About) =>
  factsOf(run).find((fact): fact is Extract<Fact, { about: About }> => fact.about === about);

test('of a run everything is told, first how it ended and whose that is, last what to open next', () => {
  expect(told(factsOf(red))).toEqual([
    ...['outcome', 'why', 'blame', 'release', 'tier', 'tier', 'tier', 'tier', 'canonical', 'level', 'lint'],
    ...['time', 'note', 'note', 'left', 'unrecorded', 'evidence'],
  ]);
  expect(one(red, 'outcome')).toMatchObject({ title: 'FAIL', tookMs: 242_000 });
  expect(one(red, 'why')).toEqual({ about: 'why', text: 'upgrade: app: exited with 1', by: 'upgrade' });
  expect(one(red, 'level')).toMatchObject({ level: 1, highest: 5, missed: 'upgrade failed' });
  expect(one(red, 'evidence')?.file).toBe('/app.log');
});

test('a tier says what it asks, and of what it found what was seen, noted and kept', () => {
  const tiers = factsOf(red).filter((fact) => fact.about === 'tier');
  expect(tiers).toMatchObject([
    { tier: 'install', result: 'pass', seen: null, note: 'nobody was asked', evidence: null, ms: 9_400 },
    { tier: 'upgrade', result: 'fail', seen: 'app: exited with 1', note: null, evidence: '/app.log' },
    { tier: 'backup', result: 'skipped', seen: null, note: 'no label', ms: null },
    { tier: 'restore', result: 'not reached', seen: null, note: null, ms: null },
  ]);
  expect(tiers.every(({ expected }) => expected.length > 0)).toBe(true);
});

test('of a promote that failed the same is told, after the tiers and before the canonical', () => {
  const outcome: Outcome = {
    kind: 'GREEN-BUT-PROMOTE-FAILED',
    version: '1.1.0+1',
    why: 'app exited',
    canonical: '1.0.0+1',
    evidence: null,
  };
  const run: ToldRun = {
    ...red,
    outcome,
    tiers: TIERS.map((tier) => ({ tier, result: 'pass' })),
    lint: null,
    level: 4,
  };
  expect(told(factsOf(run))).toEqual([
    ...['outcome', 'why', 'blame', 'release', 'tier', 'tier', 'tier', 'tier', 'tier', 'promote', 'canonical'],
    ...['level', 'time', 'note', 'note', 'left', 'unrecorded'],
  ]);
  expect(one(run, 'why')?.by).toBe('promote');
  expect(one(run, 'promote')).toMatchObject({ seen: 'app exited', evidence: null });
});

test('of one that goes on only what is known by now', () => {
  const nothing = { level: null, lint: null, spentMs: null, leftovers: null, unrecorded: null, notes: [] };
  expect(told(factsOf({ ...red, ...nothing, outcome: null }))).toEqual([
    'release',
    ...red.tiers.map(() => 'tier'),
  ]);
});

test('of a test what was tested stands in place of the release', () => {
  const head = { version: null, commit: 'b'.repeat(40) };
  const tested = { mode: 'cold', wanted: 'cold', why: null, pullRequest: 12, head, base: null } as const;
  const facts = told(factsOf({ ...red, asked: { by: 'test' }, test: tested }));
  expect(facts).toContain('tested');
  expect(facts).not.toContain('release');
});

describe('what the title says is not said again', () => {
  test.each<[string, Outcome, string[]]>([
    ['green', { kind: 'PASS', promoted: '1.1.0+1' }, []],
    ['held', { kind: 'SKIP', because: 'held', why: 'on holiday' }, ['blame']],
    ['skipped', { kind: 'SKIP', because: 'no-new-version', why: 'equal' }, ['why', 'blame']],
    ['without a verdict', { kind: 'ERROR', cause: 'mirror-sync', why: 'gone' }, ['why', 'blame']],
  ])('of one that is %s', (_what, outcome, facts) => {
    expect(told(factsOf({ ...red, outcome })).slice(1, 1 + facts.length)).toEqual(facts);
    expect(told(factsOf({ ...red, outcome }))[1 + facts.length]).toBe('release');
  });
});

describe('whose it is', () => {
  test('of a sweep says that the next one tries it again, and of a test that somebody may ask again', () => {
    expect(blameText(blameOf(FAIL))).toMatch(/^the package: .*the next sweep tries it again$/);
    expect(one({ ...red, asked: { by: 'test' } }, 'blame')?.next).not.toContain('sweep');
  });

  test('of a green one has no more to say', () => {
    expect(blameText(blameOf({ kind: 'PASS', promoted: null }))).toBe('nobody');
  });
});
