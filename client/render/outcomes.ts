import path from 'node:path';
import { cyan, dim, green, red, yellow } from 'yoctocolors';
import type { SweepEnvironment } from '../../domain/environment.ts';
import { outcomeEvidence, outcomeReason, outcomeTitle } from '../../domain/outcome.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import { oneLine } from './terminal.ts';
import { columnWidths, renderTable } from './table.ts';

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
const [LEVEL, WHY, FILE] = [2, 3, 4];
/** Of the reasons, beside files and without them. */
const NARROWEST_WHY = { beside: 30, without: 20 };

/**
 * The table at a sweep's end. A path is never cut or wrapped, since it is there to be copied: where the
 * terminal is too narrow for it, the files are listed below the table. The level is left out where it does not
 * fit, or nothing was tested.
 */
export function renderOutcomes(rows: readonly OutcomeRow[], columns: number | null, cwd: string): string {
  const shown = rows.map(({ recipe, outcome, level, why, evidence }) => [
    oneLine(recipe),
    colourOutcome(oneLine(outcome)),
    level === null ? '' : String(level),
    oneLine(why),
    evidence === null ? '' : oneLine(nearPath(evidence, cwd)),
  ]);
  const widths = columnWidths(HEAD, shown);
  const fits = (places: readonly number[]): boolean => {
    const fixed = places.reduce((sum, place) => (place === WHY ? sum : sum + (widths[place] ?? 0)), 0);
    const why = places.includes(FILE) ? NARROWEST_WHY.beside : NARROWEST_WHY.without;
    return columns === null || fixed + why <= columns;
  };
  const tested = rows.some(({ level }) => level !== null);
  const all = HEAD.map((_title, place) => place).filter((place) => tested || place !== LEVEL);
  const withoutFiles = all.filter((place) => place !== FILE);
  const places = [all, withoutFiles].find(fits) ?? withoutFiles.filter((place) => place !== LEVEL);
  const cells = (row: readonly string[]): string[] => places.map((place) => row[place] ?? '');
  const table = renderTable(cells(HEAD), shown.map(cells), { flexible: places.indexOf(WHY), columns });
  const files = shown.filter((row) => row[FILE]).map((row) => [`  ${row[0] ?? ''}`, row[FILE] ?? '']);
  return places.includes(FILE) || files.length === 0
    ? table
    : `${table}\n\n${renderTable(['open next', ''], files)}`;
}

/** A file as the operator would type it from here. */
export function nearPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative === '' || relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}

/** What is no outcome, and an operator must know: what is left of recipes, and what went wrong beside them. */
export function troubleLines({
  recipes,
  problems,
  notes,
}: Pick<SweepReport, 'recipes' | 'problems' | 'notes'>): string[] {
  const left = recipes.flatMap(({ recipe, leftovers }) =>
    leftovers === null ? [] : [`${recipe}: left behind: ${leftovers}`],
  );
  return [
    ...[...left, ...problems].map((line) => `${yellow('problem')}   ${oneLine(line)}`),
    ...notes.map((line) => `note      ${oneLine(line)}`),
  ];
}

/** What of the host decided a sweep's verdicts, and whether that is as it was before; null where nobody looked. */
export function environmentLine(environment: SweepEnvironment | null): string | null {
  if (environment === null) return null;
  const { fingerprint, changed } = environment;
  const shown = `environment ${fingerprint}`;
  if (changed === null) return shown;
  if (changed.length === 0) return `${shown}, as in the sweep before`;
  return [
    `${shown}, ${yellow('not as in the sweep before')}`,
    ...changed.map((line) => `  ${oneLine(line)}`),
  ].join('\n');
}

/** A sweep's verdict as one sentence. */
export function verdictLine(sweep: string, verdict: string, note: string | null): string {
  const colour = { green, red, none: yellow, skipped: cyan }[verdict] ?? String;
  return `${sweep}: ${colour(verdict === 'none' ? 'no verdict' : verdict)}${note === null ? '' : ` (${oneLine(note)})`}`;
}
