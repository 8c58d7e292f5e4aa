import path from 'node:path';
import stringWidth from 'string-width';
import { bold, cyan, dim, green, red, yellow } from 'yoctocolors';
import { blameText } from '../../domain/blame.ts';
import type { SweepEnvironment } from '../../domain/environment.ts';
import { outcomeEvidence, outcomeReason, outcomeTitle } from '../../domain/outcome.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { NEWS, newsAmong, NO_NEWS, type ToldStanding } from '../../domain/standing.ts';
import { formatTime } from '../../domain/quantities.ts';
import { hanging, labelled, oneLine, wrapped } from './terminal.ts';
import { renderTable } from './table.ts';

/** One line of a sweep's end: what became of a recipe, and the file to open next. */
export interface OutcomeRow {
  recipe: string;
  /** outcomeTitle(). */
  outcome: string;
  why: string;
  evidence: string | null;
  /** Null when nothing was tested. */
  level: number | null;
}

/** The line of a recipe whose result is on disk. */
export function outcomeRow({ recipe, outcome, level }: RecipeResult): OutcomeRow {
  return {
    recipe,
    outcome: outcomeTitle(outcome),
    why: outcomeReason(outcome),
    evidence: outcomeEvidence(outcome),
    level,
  };
}

/** Each outcome in its colour, told by its first word. */
export function colourOutcome(title: string): string {
  if (title.startsWith('PASS')) return green(title);
  if (title.startsWith('FAIL') || title.startsWith('GREEN-BUT')) return red(title);
  if (title.startsWith('ERROR')) return yellow(title);
  return dim(title);
}

const HEAD = ['recipe', 'outcome', 'level', 'why', 'open next'];
const LEVEL = 2;

/**
 * The table at a sweep's end. A path is never cut or wrapped, since it is there to be copied: where there is no room for
 * it, each stands below its recipe's row. The level is left out where nothing was tested.
 */
export function renderOutcomes(rows: readonly OutcomeRow[], columns: number | null, cwd: string): string {
  const shown = rows.map(({ recipe, outcome, level, why, evidence }) => [
    oneLine(recipe),
    colourOutcome(oneLine(outcome)),
    level === null ? '' : String(level),
    oneLine(why),
    evidence === null ? '' : oneLine(nearPath(evidence, cwd)),
  ]);
  const tested = rows.some(({ level }) => level !== null);
  const cells = (row: readonly string[]): string[] => row.filter((_, place) => tested || place !== LEVEL);
  const head = cells(HEAD);
  const fit = { flexible: head.indexOf('why'), whole: head.indexOf('open next'), columns };
  return renderTable(head, shown.map(cells), fit);
}

/** What changed since the sweep before, or waits for somebody, each with whose it is and what to open next. */
export function renderNews(standings: readonly ToldStanding[], columns: number | null, cwd: string): string {
  const news = newsAmong(standings);
  if (news.length === 0) return wrapped(NO_NEWS, columns).join('\n');
  return [
    bold('what changed'),
    ...news.flatMap(({ recipe, is, since, open, ...blame }) => {
      const at = since === null ? '' : `, since ${formatTime(new Date(since))}`;
      const label = `  ${is.padEnd(WIDEST_NEWS)}  `;
      const below = ' '.repeat(label.length);
      return [
        ...hanging(label, `${oneLine(recipe)}${at}`, '', columns, '  '),
        ...hanging(below, blameText(blame), '', columns, '  '),
        ...(open === null ? [] : hanging(below, 'open next: ', oneLine(near(open, cwd)), columns, '    ')),
      ];
    }),
  ].join('\n');
}

const WIDEST_NEWS = Math.max(...[...NEWS].map(({ length }) => length));

/** A page stays as it is. */
function near(place: string, cwd: string): string {
  return path.isAbsolute(place) ? nearPath(place, cwd) : place;
}

/** A file as the operator would type it from here. */
export function nearPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative === '' || relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}

/** What is no outcome, and an operator must know: what is left of recipes, and what went wrong beside them. */
export function troubleLines(
  { recipes, problems, notes }: Pick<SweepReport, 'recipes' | 'problems' | 'notes'>,
  columns: number | null,
): string[] {
  const left = recipes.flatMap(({ recipe, leftovers }) =>
    leftovers === null ? [] : [`${recipe}: left behind: ${leftovers}`],
  );
  return [
    ...[...left, ...problems].map((line) => labelled(yellow('problem'), oneLine(line), columns)),
    ...notes.map((line) => labelled('note', oneLine(line), columns)),
  ];
}

/** What of the host decided a sweep's verdicts, and whether that is as it was before; null where nobody looked. */
export function environmentLine(environment: SweepEnvironment | null, columns: number | null): string | null {
  if (environment === null) return null;
  const { fingerprint, changed } = environment;
  const shown = `environment ${fingerprint}`;
  if (changed === null) return shown;
  if (changed.length === 0) return `${shown}, as in the sweep before`;
  return [
    `${shown}, ${yellow('not as in the sweep before')}`,
    ...changed.flatMap((line) => hanging('  ', oneLine(line), '', columns, '  ')),
  ].join('\n');
}

/** A sweep's verdict as one sentence. Its ID is never wrapped. */
export function verdictLine(
  { sweep, verdict, note }: Pick<SweepReport, 'sweep' | 'verdict' | 'note'>,
  columns: number | null,
): string {
  const colour = { green, red, none: yellow, skipped: cyan }[verdict];
  const text = `${colour(verdict === 'none' ? 'no verdict' : verdict)}${note === null ? '' : ` (${oneLine(note)})`}`;
  const id = `${oneLine(sweep)}:`;
  if (columns === null) return `${id} ${text}`;
  if (stringWidth(id) + 1 + stringWidth(text) <= columns) return `${id} ${text}`;
  return [id, ...hanging('  ', text, '', columns, '  ')].join('\n');
}

/** Where the rest is, a line for each file or page that there is. */
export function whereLines(
  places: Readonly<Record<string, string | null>>,
  columns: number | null,
): string[] {
  return Object.entries(places).flatMap(([label, place]) =>
    place === null ? [] : [labelled(label, '', columns, oneLine(place))],
  );
}
