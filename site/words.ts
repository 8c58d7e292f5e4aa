import { placeOf, type LintProblem } from '../domain/level.ts';
import { outcomeReason, outcomeTitle, type Outcome } from '../domain/outcome.ts';
import type { Standing } from '../domain/standing.ts';
import { html, said, saidLines, type Html } from './html.ts';

/** What outcomes, levels and standings look like: always a colour, a letter and words together. */

/** The class of the style sheet, and the letter in a matrix. */
export function markOf(outcome: Outcome): { kind: string; letter: string } {
  switch (outcome.kind) {
    case 'PASS':
      return { kind: 'pass', letter: 'P' };
    case 'FAIL':
      return { kind: 'fail', letter: 'F' };
    case 'GREEN-BUT-PROMOTE-FAILED':
      return { kind: 'promote', letter: 'G' };
    case 'ERROR':
      return { kind: 'error', letter: 'E' };
    case 'SKIP':
      return outcome.because === 'held' ? { kind: 'held', letter: 'H' } : { kind: 'skip', letter: '·' };
  }
}

/** What each letter means. */
export const LEGEND = [
  { kind: 'pass', letter: 'P', means: 'PASS' },
  { kind: 'fail', letter: 'F', means: 'FAIL' },
  { kind: 'promote', letter: 'G', means: 'GREEN-BUT-PROMOTE-FAILED' },
  { kind: 'error', letter: 'E', means: 'ERROR, no verdict' },
  { kind: 'held', letter: 'H', means: 'SKIP held' },
  { kind: 'skip', letter: '·', means: 'SKIP, nothing new' },
] as const;

/** An outcome in words, in its colour. */
export function outcomeMark(outcome: Outcome): Html {
  return html`<span class="mark ${markOf(outcome).kind}">${said(outcomeTitle(outcome))}</span>`;
}

/** The reason of an outcome, to stand beside its mark, which says why somebody holds a recipe. */
export function reasonBeside(outcome: Outcome): string {
  return outcome.kind === 'SKIP' && outcome.because === 'held' ? '' : saidLines(outcomeReason(outcome));
}

/** Where a recipe stands, in its colour. */
export function standingMark({ is }: Pick<Standing, 'is'>): Html {
  const kinds: Record<Standing['is'], string> = {
    'newly red': 'fail',
    'newly green': 'pass',
    held: 'held',
    blocked: 'error',
    red: 'fail',
    promoted: 'pass',
    unchanged: 'skip',
    'never swept': 'skip',
  };
  return html`<span class="mark ${kinds[is]}">${is}</span>`;
}

/** How often, as people say it: `1 run`, `3 runs`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** What lint found, a line each. */
export function lintList(problems: readonly LintProblem[]): Html | string {
  if (problems.length === 0) return 'no problems';
  return html`<ul>
    ${problems.map(
      (problem) =>
        html`<li>
          ${said(placeOf(problem))} <strong>${said(problem.rule)}</strong>: ${said(problem.what)}
        </li>`,
    )}
  </ul>`;
}

/** A picture of an app's page, which leads to it in its own size; the texts are fit to be shown. */
export function picture({ href, alt, caption }: { href: string; alt: string; caption: string }): Html {
  return html`<figure>
    <a href="${href}"><img loading="lazy" width="640" height="400" src="${href}" alt="${alt}" /></a>
    <figcaption>${caption}</figcaption>
  </figure>`;
}
