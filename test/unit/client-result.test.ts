import { describe, expect, test } from 'vitest';
import { renderResult } from '../../client/render/result.ts';
import { columnsOf, wrapped } from '../../client/render/terminal.ts';
import { TIERS } from '../../domain/outcome.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { timeSpent } from '../../domain/time-spent.ts';

const FOLDER = '/var/lib/recipe-sweep/runs/sweep-2025-03-02T03:00:00Z/gitea';
const LOG = `${FOLDER}/cold-test-upgrade/app.log`;

const red: RecipeResult = {
  schema: 4,
  recipe: 'gitea',
  asked: { by: 'sweep', id: 'sweep-2025-03-02T03:00:00Z' },
  outcome: {
    kind: 'FAIL',
    version: '3.6.0+1.24.2',
    tier: 'upgrade',
    why: 'app: exited with 1',
    evidence: LOG,
    canonical: '3.5.0+1.24.1',
  },
  leftovers: null,
  notes: [],
  release: { version: '3.6.0+1.24.2', commit: 'c'.repeat(40) },
  test: null,
  tiers: [
    { tier: 'install', result: 'pass', ms: 61_250 },
    { tier: 'upgrade', result: 'fail', reason: 'app: exited with 1', evidence: LOG, ms: 9_120 },
    { tier: 'backup', result: 'not reached' },
    { tier: 'restore', result: 'not reached' },
    { tier: 'custom', result: 'not reached' },
  ],
  level: 1,
  lint: null,
  spentMs: null,
  started: '2025-03-02T03:00:00.000Z',
  ended: '2025-03-02T03:04:02.000Z',
  workflow: { id: 'sweep-2025-03-02T03:00:00Z/gitea', runId: 'r' },
};

const green: RecipeResult = {
  ...red,
  outcome: { kind: 'PASS', promoted: '3.6.0+1.24.2' },
  tiers: TIERS.map((tier) => ({ tier, result: 'pass', ms: 1_000 })),
  level: 5,
  lint: [],
};

function shown(result: RecipeResult, columns: number | null = 80): string[] {
  const text = renderResult(result, { folder: FOLDER, columns, cwd: '/home' });
  return text.replace(/\u001b\[\d+m/g, '').split('\n');
}

test('where the time went is one line, the largest part first and nothing that took no second', () => {
  const times = { startedMs: 0, endedMs: 242_000 };
  const noted = [
    { on: 'app', fromMs: 0, toMs: 190_000 },
    { on: 'pulling', fromMs: 190_000, toMs: 233_000 },
    { on: 'data', fromMs: 233_000, toMs: 233_400 },
  ] as const;
  const lines = shown({ ...green, spentMs: timeSpent(noted, times) }, 200);
  expect(lines).toContain(
    '  time               waiting for the app 3m 10s, pulling 43s, our own overhead 8s',
  );
  expect(shown(green).filter((line) => line.includes('time'))).toEqual([]);
});

test('what passed not quite as it should says in what', () => {
  const note = 'only after its services were restarted; at once: exit status 1';
  const tiers = TIERS.map((tier) => ({
    tier,
    result: 'pass' as const,
    ...(tier === 'restore' ? { note } : {}),
  }));
  const text = renderResult({ ...green, tiers }, { folder: FOLDER, columns: null, cwd: '/' });
  expect(text).toContain(note);
});

describe('a result that a person reads', () => {
  test('of a red tier says what was expected, what was seen, and where the rest is', () => {
    expect(shown(red)).toEqual([
      'gitea 3.6.0+1.24.2: FAIL after 4m 02s',
      '  whose              the package: its maintainer mends it in a new release; the',
      '                     next sweep tries it again',
      '  install    1m 01s  pass',
      '  upgrade        9s  fail',
      '                     expected: the release over the base in place, converged and',
      '                     answering, with the data written before',
      '                     seen: app: exited with 1',
      '                     the rest:',
      `    ${LOG}`,
      '  backup             not reached',
      '  restore            not reached',
      '  custom             not reached',
      '  canonical          3.5.0+1.24.1',
      '  level              1 of 5; not 2: upgrade failed',
      '  files',
      `    ${FOLDER}/`,
    ]);
  });

  test('of a failed promote says the same of the promote', () => {
    const why = "upgrading the canonical's data: app exited";
    const evidence = `${FOLDER}/promote/app.log`;
    const lines = shown(
      {
        ...green,
        outcome: {
          kind: 'GREEN-BUT-PROMOTE-FAILED',
          version: '3.6.0+1.24.2',
          why,
          evidence,
          canonical: null,
        },
      },
      null,
    );
    expect(lines[0]).toBe('gitea 3.6.0+1.24.2: GREEN-BUT-PROMOTE-FAILED after 4m 02s');
    const promote = lines.findIndex((line) => line.startsWith('  promote'));
    expect(lines.slice(promote, promote + 5).map((line) => line.trim().replace(/ {2,}/, ' '))).toEqual([
      'promote fail',
      expect.stringMatching(/^expected: .*warm domain/),
      `seen: ${why}`,
      `the rest: ${evidence}`,
      'canonical none',
    ]);
  });

  test('of a skipped tier says why, and what that does to the level', () => {
    const tiers = green.tiers.map((tier) =>
      tier.tier === 'backup'
        ? { tier: tier.tier, result: 'skipped' as const, reason: 'no label backupbot.backup' }
        : tier,
    );
    const lines = shown({ ...green, tiers, level: 2 });
    expect(lines).toContain('  backup             skipped: no label backupbot.backup');
    expect(lines).toContain('  level              2 of 5; not 3: backup was skipped');
  });

  test('without a verdict says why, and whose that is, before anything else', () => {
    const outcome = { kind: 'ERROR', cause: 'infrastructure', why: 'at backup: no disk' } as const;
    expect(shown({ ...red, outcome, tiers: red.tiers.slice(0, 1) }).slice(1, 4)).toEqual([
      '  why                at backup: no disk',
      '  whose              this host: an operator looks at what it names; the next',
      '                     sweep tries it again',
    ]);
  });

  test('names each lint problem with its place', () => {
    const lint = [
      { rule: 'image-without-tag', file: 'compose.yml', line: 4, what: 'nginx has no tag' },
      { rule: 'no-notes', file: 'release', line: null, what: 'no release notes' },
    ];
    const lines = shown({ ...green, lint, level: 4 });
    expect(lines).toContain('  lint               compose.yml:4 image-without-tag: nginx has no tag');
    expect(lines).toContain('                     release no-notes: no release notes');
    expect(lines).toContain('  level              4 of 5; not 5: 2 lint problems');
  });

  test('of the highest level misses nothing', () => {
    const lines = shown(green);
    expect(lines).toContain('  level              5 of 5');
    expect(lines).toContain('  lint               no problems');
  });

  test('of schema 1 has no level', () => {
    expect(shown({ ...red, level: null }).join('\n')).not.toContain('level');
  });

  test('fits a terminal of 80 columns, but for paths', () => {
    const reason = 'word '.repeat(60);
    const tiers = red.tiers.map((tier) => (tier.result === 'fail' ? { ...tier, reason } : tier));
    const long = shown({ ...red, tiers }).filter((line) => line.length > 80);
    expect(long).toEqual([`    ${LOG}`]);
  });

  test('what an app said cannot steer the terminal', () => {
    const tiers = red.tiers.map((tier) =>
      tier.result === 'fail' ? { ...tier, reason: 'a\u001b[2Jb\nc\u202ed', evidence: '/x\u001b[2J' } : tier,
    );
    expect(shown({ ...red, tiers })).toContain('                     seen: ab c d');
    expect(shown({ ...red, tiers })).toContain('                     the rest: /x');
  });
});

test.each([
  ['a bb ccc', 4, ['a bb', 'ccc']],
  ['a bb ccc', null, ['a bb ccc']],
  ['see /a/long/path b', 4, ['see', '/a/long/path', 'b']],
  ['"https://a.b/c"', 4, ['"https://a.b/c"']],
  ['abcdefghij k', 4, ['abcd', 'efgh', 'ij k']],
  ['\u001b[31mabcdef\u001b[39m', 4, ['\u001b[31mabcd', 'ef\u001b[39m']],
  ['漢字漢字', 5, ['漢字', '漢字']],
  ['', 4, ['']],
])('%j in %s columns', (line, columns, lines) => {
  expect(wrapped(line, columns)).toEqual(lines);
});

test.each([
  [120, undefined, 120],
  [120, '60', 120],
  [null, undefined, 80],
  [null, '', 80],
  [null, 'wide', 80],
  [null, '200', 200],
  [null, '0', null],
])('a terminal of %s columns, and COLUMNS as %s, make lines of %s', (terminal, variable, columns) => {
  expect(columnsOf(terminal, variable)).toBe(columns);
});

test('a result says what was noted beside it, each on a line', () => {
  const lines = shown({ ...green, notes: ['tag "stable" moved', 'tag "la\u202etest" moved'] });
  const at = lines.findIndex((line) => line.startsWith('  notes '));
  expect(lines.slice(at, at + 2).map((line) => line.trim())).toEqual([
    expect.stringMatching(/^notes +tag "stable" moved$/),
    'tag "la test" moved',
  ]);
});

test('a result says what was left behind, beside its outcome', () => {
  const text = shown({ ...green, leftovers: 'the cold deployment was not removed: it did not stop' }).join(
    '\n',
  );
  expect(text).toContain('PASS (promoted 3.6.0+1.24.2)');
  expect(text.replace(/\s+/g, ' ')).toContain('left the cold deployment was not removed: it did not stop');
});

test('of a test its mode is shown, from which base it came to which head, and why it is no quick one', () => {
  const [base, head] = [
    { version: '3.5.0+1', commit: 'a'.repeat(40) },
    { version: '3.6.0+1', commit: 'b'.repeat(40) },
  ];
  const test = { mode: 'cold', wanted: 'quick', why: 'no canonical', pullRequest: 12, base, head } as const;
  const lines = shown({ ...green, outcome: { kind: 'PASS', promoted: null }, test }, null);
  expect(lines[0]).toContain('PASS after');
  expect(lines[1]?.trim()).toBe(
    'test               cold (no canonical): 3.5.0+1 (aaaaaaaaaaaa) → 3.6.0+1 (bbbbbbbbbbbb) of pull request 12',
  );
});
