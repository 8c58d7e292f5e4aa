import { describe, expect, test } from 'vitest';
import {
  environmentLine,
  renderOutcomes,
  troubleLines,
  type OutcomeRow,
} from '../../client/render/outcomes.ts';
import { renderPlan } from '../../client/render/plan.ts';
import { liveView, stepLog, type SweepView } from '../../client/render/progress.ts';
import { formatDuration } from '../../domain/quantities.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { renderStatus, type Status } from '../../client/render/status.ts';
import { oneLine, safeLines } from '../../client/render/terminal.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { RecipeProgress, SweepProgress } from '../../workflows/protocol.ts';

const plain = (text: string): string => text.replace(/\u001b\[\d+m/g, '');

const waiting = (recipe: string): RecipeProgress => ({
  recipe,
  state: 'waiting',
  workflowId: null,
  startedMs: null,
  endedMs: null,
  outcome: null,
});
const running = (recipe: string, startedMs: number): RecipeProgress => ({
  ...waiting(recipe),
  state: 'running',
  workflowId: `s/${recipe}`,
  startedMs,
});
const done = (recipe: string, outcome: RecipeProgress['outcome']): RecipeProgress => ({
  ...running(recipe, 0),
  state: 'done',
  endedMs: 65_000,
  outcome,
});

function view(
  state: SweepProgress['state'],
  recipes: RecipeProgress[],
  rest: Partial<SweepView> = {},
): SweepView {
  return {
    sweep: 'sweep-1',
    progress: { sweep: 'sweep-1', state, recipes },
    steps: new Map(),
    note: null,
    ...rest,
  };
}

const rows: OutcomeRow[] = [
  {
    recipe: 'ghost',
    outcome: 'PASS (promoted 2.0.0+1)',
    why: 'the canonical record says 2.0.0+1',
    evidence: null,
    level: 5,
  },
  {
    recipe: 'gitea',
    outcome: 'FAIL',
    why: 'install: app exited',
    evidence: '/state/runs/s/gitea/app.log',
    level: 0,
  },
];

describe('the table at the end', () => {
  test('without a terminal each recipe is one line, with the file to open next', () => {
    expect(plain(renderOutcomes(rows, null, '/elsewhere'))).toBe(
      [
        'recipe  outcome                  level  why                                open next',
        'ghost   PASS (promoted 2.0.0+1)  5      the canonical record says 2.0.0+1',
        'gitea   FAIL                     0      install: app exited                /state/runs/s/gitea/app.log',
      ].join('\n'),
    );
  });

  test('on a narrow terminal reasons wrap and each file stands whole below its recipe', () => {
    const shown = plain(renderOutcomes(rows, 70, '/elsewhere'));
    expect(Math.max(...shown.split('\n').map((line) => line.length))).toBeLessThanOrEqual(70);
    expect(shown.split('\n')).toContain('  /state/runs/s/gitea/app.log');
    expect(shown.split('\n')[0]).not.toContain('open next');
  });

  test('the level is there where something was tested', () => {
    expect(plain(renderOutcomes(rows, 80, '/elsewhere')).split('\n')[0]).toMatch(
      /^recipe +outcome +level +why$/,
    );
    const skipped = rows.map((row) => ({ ...row, level: null }));
    expect(plain(renderOutcomes(skipped, null, '/elsewhere')).split('\n')[0]).not.toContain('level');
  });

  test('a file below the working directory is named from there', () => {
    expect(plain(renderOutcomes(rows, null, '/state'))).toContain(' runs/s/gitea/app.log');
  });

  test('what an app logged cannot steer the terminal', () => {
    const evil = [{ ...(rows[1] as OutcomeRow), why: 'a\u001b[2Jb\nc\u0007\u202ed' }];
    expect(plain(renderOutcomes(evil, null, '/'))).toContain('ab c d');
  });
});

describe('live progress', () => {
  test('says what each recipe does and for how long', () => {
    const steps = new Map([['gitea', { step: 'cold-test: install' as const, sinceMs: 90_000 }]]);
    const recipes = [
      done('ghost', { kind: 'PASS', promoted: '2.0.0+1' }),
      running('gitea', 60_000),
      waiting('n8n'),
    ];
    const lines = plain(liveView(view('sweeping', recipes, { steps }), 125_000)).split('\n');
    expect(lines[0]).toBe('sweep-1  sweeping  1 of 3 done');
    expect(lines[1]).toMatch(/^ {2}ghost +PASS \(promoted 2\.0\.0\+1\) +1m 05s$/);
    expect(lines[2]).toMatch(/^ {2}gitea +cold-test: install +1m 05s this step 35s$/);
    expect(lines[3]).toMatch(/^ {2}n8n +waiting$/);
  });

  test('says why nothing happens', () => {
    const nobody: SweepView = {
      sweep: 'sweep-1',
      progress: null,
      steps: new Map(),
      note: 'waiting for a worker',
    };
    expect(plain(liveView(nobody, 0))).toBe('sweep-1  started\nwaiting for a worker');
  });
});

describe('append-only progress', () => {
  const at = (step: 'mirror-sync' | 'promote') => new Map([['gitea', { step, sinceMs: 0 }]]);

  test('has one line per step begun, and none when nothing is new', () => {
    const log = stepLog();
    const first = view('sweeping', [running('gitea', 0), waiting('n8n')], { steps: at('mirror-sync') });
    expect(log(first, 0)).toEqual(['00:00:00Z sweep-1: sweeping', '00:00:00Z gitea: mirror-sync']);
    expect(log(first, 500)).toEqual([]);
    const second = view('sweeping', [running('gitea', 0), waiting('n8n')], { steps: at('promote') });
    expect(log(second, 1000)).toEqual(['00:00:01Z gitea: promote']);
  });

  test('has one line per outcome, with its reason, before the end of the sweep', () => {
    const log = stepLog();
    log(view('sweeping', [running('gitea', 0)]), 0);
    const skip = done('gitea', { kind: 'SKIP', because: 'no-new-version', why: 'canonical is at 1.0.0+1' });
    expect(log(view('done', [skip]), 65_000)).toEqual([
      '00:01:05Z gitea: SKIP no-new-version after 1m 05s: canonical is at 1.0.0+1',
      '00:01:05Z sweep-1: done',
    ]);
  });

  test('says once why nothing happens, and again when it happens again', () => {
    const log = stepLog();
    const stuck = { ...view('sweeping', []), note: 'waiting for a worker' };
    expect(log(stuck, 0)).toContain('00:00:00Z waiting for a worker');
    expect(log(stuck, 500)).toEqual([]);
    expect(log(view('sweeping', []), 1000)).toEqual([]);
    expect(log(stuck, 2000)).toEqual(['00:00:02Z waiting for a worker']);
  });
});

test('a plan has a line per recipe, with a dash for what there is not', () => {
  const entries = [
    {
      recipe: 'ghost',
      latest: { version: '2.0.0+1', commit: 'c' },
      canonical: null,
      decision: 'run' as const,
      reason: 'no canonical yet',
      disk: null,
    },
    {
      recipe: 'n8n',
      latest: null,
      canonical: null,
      decision: 'error' as const,
      reason: 'mirror-sync: down',
      disk: null,
    },
  ];
  expect(plain(renderPlan(entries, null))).toBe(
    [
      'recipe  latest   canonical  decision  why',
      'ghost   2.0.0+1  -          run       no canonical yet',
      'n8n     -        -          error     mirror-sync: down',
      '',
      'disk: nothing is known of ghost',
    ].join('\n'),
  );
});

test('a plan says what those which would run take of the room, and nothing of the others', () => {
  const entry = (recipe: string, decision: 'run' | 'skip', together: number) => {
    const disk = { engine: together - 1_000_000, state: 1_000_000, together };
    return { recipe, latest: null, canonical: null, decision, reason: '', disk };
  };
  const skipped = entry('immich', 'skip', 90_000_000);
  const text = plain(
    renderPlan([entry('ghost', 'run', 3_000_000), entry('n8n', 'run', 5_000_000), skipped], null),
  );
  expect(text.split('\n').at(-1)).toBe(
    'disk: n8n takes most at once, about 5.0 MB by what its canonical took: images and the data of a cold test 4.0 MB, its archive or a snapshot 1.0 MB',
  );
  expect(plain(renderPlan([skipped], null))).not.toContain('disk');
});

describe('status', () => {
  const quiet: Status = {
    host: 'ci-1',
    holder: null,
    waiting: [],
    workers: [],
    sweeps: [],
    tests: [],
    schedule: null,
    overdue: [],
  };

  test('names an alert that somebody should have been told of', () => {
    const overdue = [
      {
        alert: '/state/alerts/tag-moved-recipe-gitea.json',
        target: 'mail to ops@example.org',
        since: '1970-01-01T00:00:00.000Z',
        error: 'refused\u001b[2J',
      },
    ];
    expect(plain(renderStatus({ ...quiet, overdue }, 0))).toContain(
      'alert     /state/alerts/tag-moved-recipe-gitea.json is owed to mail to ops@example.org since 1970-01-01 00:00:00Z: refused',
    );
  });

  test('of a host where nothing is set up says what to do', () => {
    const lines = plain(renderStatus(quiet, 0)).split('\n');
    expect(lines).toEqual([
      'host      ci-1: free',
      'worker    none waits on task queue recipe-sweep-ci-1; start one: recipe-sweep worker',
      'schedule  none; create it: recipe-sweep schedule ensure',
      'sweeps    none running',
    ]);
  });

  test('names the tests that run or wait, and their steps', () => {
    const step = { step: 'turn', sinceMs: 0 } as const;
    const url = 'http://127.0.0.1:8233/x';
    const one = { test: 'test-1', recipe: 'gitea', started: '', url, step, note: null };
    expect(plain(renderStatus({ ...quiet, tests: [one] }, 65_000))).toContain(
      `\n\ntest-1  waiting for its turn 1m 05s\n  ${url}`,
    );
  });

  test('never says free where nobody answers who has it', () => {
    const [line] = plain(renderStatus({ ...quiet, waiting: null }, 0)).split('\n');
    expect(line).toBe('host      ci-1: not known; no worker answers who has it');
  });

  test('names who holds the host, the worker, and the next time', () => {
    const busy: Status = {
      ...quiet,
      holder: {
        workflowId: 'pr-7',
        runId: 'r',
        what: 'PR test',
        since: '2025-03-02T03:00:00Z',
        step: 'install',
      },
      workers: [{ identity: '7@ci-1', lastSeen: '1970-01-01T00:00:10.000Z' }],
      schedule: {
        id: 'recipe-sweep-weekly-ci-1',
        paused: false,
        note: null,
        next: '2025-03-09T03:00:00.000Z',
      },
    };
    const waits = { workflowId: 'canonical-ci-1-x', runId: 'r', what: 'canonical forget of gitea' };
    const queue = { ...busy, waiting: [{ ...waits, since: '2025-03-02T03:01:00Z' }] };
    expect(plain(renderStatus(queue, 15_000)).split('\n')[1]).toBe(
      'waits     canonical forget of gitea canonical-ci-1-x since 2025-03-02T03:01:00Z',
    );
    expect(plain(renderStatus({ ...busy, waiting: null }, 0)).split('\n')[0]).toMatch(
      /^host {6}ci-1: held by PR test .* \(install\); no worker answers who waits$/,
    );
    const lines = plain(renderStatus(busy, 15_000)).split('\n');
    expect(lines[0]).toBe('host      ci-1: held by PR test pr-7 since 2025-03-02T03:00:00Z (install)');
    expect(lines[1]).toBe('worker    7@ci-1, seen 5s ago');
    expect(lines[2]).toBe('schedule  next 2025-03-09 03:00:00Z');
  });
});

test.each([
  [0, '0s'],
  [59_999, '59s'],
  [65_000, '1m 05s'],
  [7_620_000, '2h 07m'],
  [273_600_000, '3d 04h'],
  [-5, '0s'],
])('%d ms reads %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_500_000, '1.5 MB'],
])('%d bytes read %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('lines from outside stay lines, and lose what steers a terminal', () => {
  expect(safeLines('a\n  b\u001b[31m!\r\n')).toBe('a\n  b!');
  expect(oneLine('a\n  b')).toBe('a   b');
});

test('what is left behind and what went wrong beside the outcomes is a line each', () => {
  const recipes = [
    { recipe: 'gitea', leftovers: 'the cold deployment' },
    { recipe: 'ghost', leftovers: null },
  ] as RecipeResult[];
  expect(
    troubleLines({ recipes, problems: ['/recipes/.git: \u001b[2J'], notes: ['one\ntwo'] }, null).map(plain),
  ).toEqual([
    'problem   gitea: left behind: the cold deployment',
    'problem   /recipes/.git:',
    'note      one two',
  ]);
});

test.each([
  [null, 'environment 0a1b2c3d4e5f'],
  [[], 'environment 0a1b2c3d4e5f, as in the sweep before'],
  [
    ['node: v20 → v22', 'tool jq: \u001b[2Jgone'],
    'environment 0a1b2c3d4e5f, not as in the sweep before\n  node: v20 → v22\n  tool jq: gone',
  ],
])('an environment of which is known what changed: %j', (changed, line) => {
  expect(plain(environmentLine({ fingerprint: '0a1b2c3d4e5f', parts: {}, changed }, null) ?? '')).toBe(line);
  expect(environmentLine(null, null)).toBe(null);
});
