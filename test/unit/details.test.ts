import { expect, test } from 'vitest';
import { factsOf, type ToldRun } from '../../domain/run-facts.ts';
import { detailsOf } from '../../workflows/details.ts';

/** What stands on a run's page in the Temporal UI. */

const head = { version: '1.1.0+1', commit: 'b'.repeat(40) };
const red: ToldRun = {
  asked: { by: 'sweep' },
  outcome: {
    kind: 'FAIL',
    version: head.version,
    tier: 'upgrade',
    why: 'app: <b>exited</b>',
    evidence: '/app.log',
    canonical: null,
  },
  release: head,
  test: null,
  tiers: [
    { tier: 'install', result: 'pass', ms: 1, note: 'nobody was asked' },
    { tier: 'upgrade', result: 'fail', reason: 'app: <b>exited</b>', evidence: '/app.log' },
    { tier: 'backup', result: 'not reached' },
  ],
  level: 1,
  lint: [{ rule: 'no-notes', file: 'release', line: null, what: 'no release notes' }],
  spentMs: null,
  notes: ['a tag moved'],
  leftovers: 'a volume',
  unrecorded: 'no disk',
};

test('a run that ended says how, why once and whose it is, then the rest', () => {
  expect(detailsOf(factsOf(red))).toEqual([
    '## FAIL',
    'upgrade: app: \\<b\\>exited\\</b\\>',
    'Whose it is: the package: its maintainer mends it in a new release; the next sweep tries it again.',
    `Release \`1.1.0+1\`, commit \`${'b'.repeat(40)}\`.`,
    '- install: pass (nobody was asked)\n- upgrade: fail\n- backup: not reached',
    'Canonical: none',
    'Level 1 of 5; not 2: upgrade failed',
    'Lint problems: 1',
    'Note: a tag moved',
    '**Left behind**: a volume',
    '**Not on disk**: no disk',
    'Evidence: `/app.log`',
  ]);
});

test('one that goes on says what its tiers saw, since nothing above does', () => {
  const test = { mode: 'quick', wanted: 'quick', why: null, pullRequest: 1, head, base: null } as const;
  const going: ToldRun = { ...red, test, outcome: null, level: null, lint: null, notes: [], leftovers: null };
  expect(detailsOf(factsOf({ ...going, unrecorded: null }))).toEqual([
    `quick: 1.1.0+1 (\`${'b'.repeat(40)}\`)`,
    '- install: pass (nobody was asked)\n- upgrade: fail (app: \\<b\\>exited\\</b\\>)\n- backup: not reached',
  ]);
});
