import path from 'node:path';
import { bold, dim, green, red, yellow } from 'yoctocolors';
import { HIGHEST_LEVEL, missedAfter, type LintProblem } from '../../domain/level.ts';
import { EXPECTED, outcomeReason, outcomeTitle, type TierResult } from '../../domain/outcome.ts';
import type { Tested } from '../../domain/recipe-test.ts';
import type { Revision } from '../../domain/release.ts';
import { spentText } from '../../domain/time-spent.ts';
import { EXPECTED_OF_PROMOTE, type RecipeResult } from '../../domain/report.ts';
import { colourOutcome, nearPath } from './outcomes.ts';
import { formatDuration } from '../../domain/quantities.ts';
import { oneLine, wrapped } from './terminal.ts';

/** What it is about, how long that took, and a text that goes on below itself where it is long, but for a path. */
type Line = [about: string, took: string, text: string, path?: string];

const ABOUT_WIDTH = 'canonical'.length + 1;
const TOOK_WIDTH = '59m 59s'.length;
const INDENT = '  ';

/**
 * What became of one release, to be read from top to bottom: each tier with its time; of what failed, what was
 * expected, what was seen and the file with the rest; the level, and what keeps it from the next. `folder` is
 * where the run's files are; null where they are not known. Paths are never wrapped, since they are there to be copied.
 */
export function renderResult(
  result: RecipeResult,
  { folder, columns, cwd }: { folder: string | null; columns: number | null; cwd: string },
): string {
  const { recipe, release, test, outcome, leftovers, notes, tiers, level, lint, spentMs } = result;
  const { started, ended } = result;
  const what = bold(oneLine(release === null ? recipe : `${recipe} ${release.version}`));
  const took = formatDuration(Date.parse(ended) - Date.parse(started));
  const near = (file: string): string => oneLine(nearPath(file, cwd));

  const lines = [
    ...(test === null ? [] : [testedLine(test)]),
    ...tiers.flatMap((tier) => tierLines(tier, near)),
  ];
  if (outcome.kind === 'GREEN-BUT-PROMOTE-FAILED') {
    const { why, evidence } = outcome;
    lines.push(['promote', '', red('fail')], ...failureLines(EXPECTED_OF_PROMOTE, why, evidence, near));
  }
  if (outcome.kind === 'ERROR') lines.push(['stopped', '', oneLine(outcomeReason(outcome))]);
  if ('canonical' in outcome) lines.push(['canonical', '', oneLine(outcome.canonical ?? 'none')]);
  if (level !== null) lines.push(['level', '', levelText(level, result)]);
  if (lint !== null) lines.push(...lintLines(lint));
  if (spentMs !== null) lines.push(['time', '', spentText(spentMs)]);
  lines.push(...notes.map((note, at): Line => [at === 0 ? 'notes' : '', '', oneLine(note)]));
  if (leftovers !== null) lines.push(['left', '', yellow(oneLine(leftovers))]);
  if (folder !== null) lines.push(['files', '', '', `${near(folder)}${path.sep}`]);

  const head = `${what}: ${colourOutcome(oneLine(outcomeTitle(outcome)))} ${dim(`after ${took}`)}`;
  return [head, ...lines.flatMap((line) => laidOut(line, columns))].join('\n');
}

function testedLine(tested: Tested): Line {
  return ['test', '', oneLine(testedText(tested))];
}

/** How a test tested what, as in `cold: 3.0.1+v2.0.0 (1a2b3c4d5e6f) → 3.1.0+v2.0.0 (6f5e4d3c2b1a)`. */
export function testedText({ mode, why, pullRequest, base, head }: Tested): string {
  const of = ({ version, commit }: Revision): string =>
    version === null ? commit.slice(0, 12) : `${version} (${commit.slice(0, 12)})`;
  const how = why === null ? mode : `${mode} (${why})`;
  const from = base === null ? '' : `${of(base)} → `;
  return `${how}: ${from}${of(head)}${pullRequest === null ? '' : ` of pull request ${pullRequest}`}`;
}

function tierLines(tier: TierResult, near: (file: string) => string): Line[] {
  const took = 'ms' in tier && tier.ms !== undefined ? formatDuration(tier.ms) : '';
  switch (tier.result) {
    case 'pass':
      return [[tier.tier, took, passText(tier.note)]];
    case 'fail':
      return [
        [tier.tier, took, red('fail')],
        ...failureLines(EXPECTED[tier.tier], tier.reason, tier.evidence, near),
      ];
    case 'skipped':
      return [[tier.tier, '', `skipped: ${oneLine(tier.reason)}`]];
    case 'not reached':
      return [[tier.tier, '', dim('not reached')]];
  }
}

function passText(note: string | undefined): string {
  return note === undefined ? green('pass') : `${green('pass')}, ${yellow(oneLine(note))}`;
}

function failureLines(
  expected: string,
  seen: string,
  evidence: string | null,
  near: (file: string) => string,
): Line[] {
  return [
    ['', '', `expected: ${expected}`],
    ['', '', `seen: ${oneLine(seen)}`],
    ...(evidence === null ? [] : ([['', '', 'the rest: ', near(evidence)]] satisfies Line[])),
  ];
}

function levelText(level: number, { tiers, lint }: RecipeResult): string {
  const missed = missedAfter(level, tiers, lint);
  return `${level} of ${HIGHEST_LEVEL}${missed === null ? '' : `; not ${level + 1}: ${missed}`}`;
}

function lintLines(problems: readonly LintProblem[]): Line[] {
  if (problems.length === 0) return [['lint', '', 'no problems']];
  return problems.map(({ rule, file, line, what }, at) => [
    at === 0 ? 'lint' : '',
    '',
    oneLine(`${file}${line === null ? '' : `:${line}`} ${rule}: ${what}`),
  ]);
}

function laidOut([about, took, text, file = '']: Line, columns: number | null): string[] {
  const begin = `${INDENT}${about.padEnd(ABOUT_WIDTH)}${took.padStart(TOOK_WIDTH)}${INDENT}`;
  const [first = '', ...more] = wrapped(text, columns === null ? null : columns - begin.length);
  return [`${begin}${first}${file}`.trimEnd(), ...more.map((line) => `${' '.repeat(begin.length)}${line}`)];
}
