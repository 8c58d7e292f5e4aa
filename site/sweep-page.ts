import { countOutcomes, type SweepReport } from '../domain/report.ts';
import { inOrder, standingOf } from '../domain/standing.ts';
import { besideOutcomes } from './fleet-page.ts';
import { html, moment, page, said } from './html.ts';
import type { FleetSweep } from '../host/fleet.ts';
import { runFolder, type SiteData, type SiteRecipe } from './read.ts';
import { outcomeMark, reasonBeside, standingMark } from './words.ts';

/** One sweep: each of its recipes as it stood then, in the order of telling, and what was told beside them. */

export function sweepPage(
  host: string,
  { id, started, ended, runs }: FleetSweep,
  recipes: ReadonlyMap<string, SiteRecipe>,
  /** Null where it is not there, cannot be read, or is older than those that are told of. */
  report: SweepReport | null,
  about: Pick<SiteData, 'pagesFrom'>,
  temporal: (workflowId: string) => string,
): string {
  const standings = inOrder(
    [...runs.keys()].map((recipe) => standingOf(recipe, recipes.get(recipe)?.runs ?? [], ended)),
  );
  const counts = countOutcomes([...runs.values()].map(({ outcome }) => outcome));
  const body = html` <dl class="facts">
      <dt>Sweep</dt>
      <dd>${said(id)} (<a href="${temporal(id)}">Temporal</a>)</dd>
      <dt>When</dt>
      <dd>from ${moment(report?.started ?? started)} to ${moment(report?.ended ?? ended)}</dd>
      <dt>Outcomes</dt>
      <dd>${counts.map(([name, count]) => `${count} ${name}`).join(', ')}</dd>
      ${
        report === null
          ? ''
          : html`<dt>Verdict</dt>
              <dd>
                ${report.verdict === 'none' ? 'no verdict' : report.verdict}${report.note === null ? '' : ` (${said(report.note)})`}
              </dd>`
      }
    </dl>
    ${report === null ? html`<p class="meta">The rest: <code>recipe-sweep results</code> and the sweep's name, on ${host}.</p>` : besideOutcomes(report)}
    <div class="scroll" role="region" aria-label="each recipe" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Recipe</th>
            <th scope="col">Stood</th>
            <th scope="col">Outcome</th>
            <th scope="col">Level</th>
            <th scope="col">Why</th>
            <th scope="col">Whose</th>
          </tr>
        </thead>
        <tbody>
          ${standings.map((standing) => {
            const { recipe, blame } = standing;
            const run = runs.get(recipe);
            const of = recipes.get(recipe);
            if (run === undefined) return '';
            const page = of ? runFolder(run, of, about) : null;
            const outcome = outcomeMark(run.outcome);
            return html`<tr>
              <th scope="row"><a href="../../recipe/${recipe}/">${recipe}</a></th>
              <td>${standingMark(standing)}</td>
              <td>${page === null ? outcome : html`<a href="../../${page}">${outcome}</a>`}</td>
              <td>${run.level ?? ''}</td>
              <td class="said">${reasonBeside(run.outcome)}</td>
              <td>${blame.who === 'nobody' ? '' : blame.who}</td>
            </tr>`;
          })}
        </tbody>
      </table>
    </div>`;
  return page({ title: `Sweep of ${ended.slice(0, 10)}`, depth: 2, host, body });
}
