import path from 'node:path';
import { bold, dim, green, red, yellow } from 'yoctocolors';
import { blameText } from '../../domain/blame.ts';
import { placeOf, type LintProblem } from '../../domain/level.ts';
import type { Tested } from '../../domain/recipe-test.ts';
import type { Revision } from '../../domain/release.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { factsOf, type Fact, type TierFact, levelText } from '../../domain/run-facts.ts';
import { spentText } from '../../domain/time-spent.ts';
import { colourOutcome, nearPath } from './outcomes.ts';
import { formatDuration } from '../../domain/quantities.ts';
import { hanging, oneLine, wrapped } from './terminal.ts';

/** What it is about, how long that took, a text that goes on below itself where it is long, and a path at its end, which stays whole. */
type Line = [about: string, took: string, text: string, whole?: string];

const ABOUT_WIDTH = 'canonical'.length + 1;
const TOOK_WIDTH = '59m 59s'.length;
const INDENT = '  ';

/**
 * What became of one release, to be read from top to bottom, in the order of factsOf(): how it ended and whose that is; each
 * tier with its time; of what failed, what was expected, what was seen and the file with the rest; the level, and what keeps
 * it from the next. `folder` is where the run's files are, `page` its page; null where there is none, or it is not known.
 */
export function renderResult(
  result: RecipeResult,
  {
    folder,
    page = null,
    columns,
    cwd,
  }: { folder: string | null; page?: string | null; columns: number | null; cwd: string },
): string {
  const { recipe, release } = result;
  const what = bold(oneLine(release === null ? recipe : `${recipe} ${release.version}`));
  const near = (file: string): string => oneLine(nearPath(file, cwd));
  const [head, ...more] = factsOf(result).flatMap((fact) => linesOf(fact, what, near));
  const lines: Line[] = [
    ...joined(more),
    ...(folder === null ? [] : ([['files', '', '', `${near(folder)}${path.sep}`]] satisfies Line[])),
    ...(page === null ? [] : ([['page', '', '', page]] satisfies Line[])),
  ];
  const [title = '', ...rest] = wrapped(head?.[2] ?? what, columns === null ? null : columns - INDENT.length);
  return [
    title,
    ...rest.map((line) => `${INDENT}${line}`),
    ...lines.flatMap((line) => laidOut(line, columns)),
  ].join('\n');
}

/** What of it is told by a run's folder, or stands in the head, has no line. */
function linesOf(fact: Fact, what: string, near: (file: string) => string): Line[] {
  switch (fact.about) {
    case 'outcome': {
      const took = fact.tookMs === null ? '' : ` ${dim(`after ${formatDuration(fact.tookMs)}`)}`;
      return [['', '', `${what}: ${colourOutcome(oneLine(fact.title))}${took}`]];
    }
    case 'why':
      return fact.by === null ? [['why', '', oneLine(fact.text)]] : [];
    case 'blame':
      return [['whose', '', blameText(fact)]];
    case 'release':
      return [];
    case 'tested':
      return [['test', '', oneLine(testedText(fact.tested))]];
    case 'tier':
      return tierLines(fact, near);
    case 'promote':
      return [['promote', '', red('fail')], ...failureLines(fact.expected, fact.seen, fact.evidence, near)];
    case 'canonical':
      return [['canonical', '', oneLine(fact.version ?? 'none')]];
    case 'level':
      return [['level', '', levelText(fact)]];
    case 'lint':
      return lintLines(fact.problems);
    case 'time':
      return [['time', '', spentText(fact.spentMs)]];
    case 'note':
      return [['notes', '', oneLine(fact.text)]];
    case 'left':
      return [['left', '', yellow(oneLine(fact.text))]];
    case 'unrecorded':
      return [['unwritten', '', yellow(oneLine(fact.text))]];
    case 'evidence':
      return [];
  }
}

/** Several of one kind are named once. */
function joined(lines: readonly Line[]): Line[] {
  return lines.map(([about, ...rest], at) => [lines[at - 1]?.[0] === about ? '' : about, ...rest]);
}

/** How a test tested what, as in `cold: 3.0.1+v2.0.0 (1a2b3c4d5e6f) → 3.1.0+v2.0.0 (6f5e4d3c2b1a)`. */
export function testedText({ mode, why, pullRequest, base, head }: Tested): string {
  const of = ({ version, commit }: Revision): string =>
    version === null ? commit.slice(0, 12) : `${version} (${commit.slice(0, 12)})`;
  const how = why === null ? mode : `${mode} (${why})`;
  const from = base === null ? '' : `${of(base)} → `;
  return `${how}: ${from}${of(head)}${pullRequest === null ? '' : ` of pull request ${pullRequest}`}`;
}

function tierLines(fact: TierFact, near: (file: string) => string): Line[] {
  const { tier, note, ms } = fact;
  const took = ms === null ? '' : formatDuration(ms);
  switch (fact.result) {
    case 'pass':
      return [[tier, took, passText(note)]];
    case 'fail':
      return [
        [tier, took, red('fail')],
        ...failureLines(fact.expected, fact.seen ?? '', fact.evidence, near),
      ];
    case 'skipped':
      return [[tier, '', `skipped: ${oneLine(note ?? '')}`]];
    case 'not reached':
      return [[tier, '', dim('not reached')]];
  }
}

function passText(note: string | null): string {
  return note === null ? green('pass') : `${green('pass')}, ${yellow(oneLine(note))}`;
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

function lintLines(problems: readonly LintProblem[]): Line[] {
  if (problems.length === 0) return [['lint', '', 'no problems']];
  return problems.map((problem) => [
    'lint',
    '',
    oneLine(`${placeOf(problem)} ${problem.rule}: ${problem.what}`),
  ]);
}

function laidOut([about, took, text, whole = '']: Line, columns: number | null): string[] {
  const begin = `${INDENT}${about.padEnd(ABOUT_WIDTH)}${took.padStart(TOOK_WIDTH)}${INDENT}`;
  return hanging(begin, text, whole, columns, INDENT.repeat(2));
}
