import { diskText, estimateText } from '../domain/disk.ts';
import { outcomeTitle } from '../domain/outcome.ts';
import { NEWS, STANDING_IN_WORDS, STANDINGS, tellingRun } from '../domain/standing.ts';
import { compact, day, html, linkTo, moment, page, raw, said, saidLines, type Html } from './html.ts';
import type { FleetSweep } from '../host/fleet.ts';
import { runFolder, sweepFolder, SWEEPS_SHOWN, type SiteData, type SiteRecipe } from './read.ts';
import { counted, LEGEND, markOf, outcomeMark, reasonBeside, standingMark } from './words.ts';

/** The page that Monday begins with: what changed, who is to do what, and every recipe over the last sweeps. */

/** A file of a run that the page leads to: its link seen from the run's own page, and its name. */
export interface EvidenceLink {
  href: string;
  name: string;
}

export interface Links {
  /** By run, where there is one. */
  evidence: ReadonlyMap<string, EvidenceLink>;
  /** A workflow's page in the Temporal UI. */
  temporal(workflowId: string): string;
}

export function fleetPage(data: SiteData, links: Links): string {
  const { host, report, problems } = data;
  const body = html` ${summary(data)} ${changesSection(data, links)} ${nowSection(data, links)}
  ${alertsSection(data)} ${matrixSection(data)} ${report === null ? '' : sweepSection(data)}
  ${unsweptSection(data)}
  ${
    problems.length === 0
      ? ''
      : html`<section>
          <h2 id="unread">What could not be read</h2>
          <ul>
            ${problems.map((line) => html`<li>${said(line)}</li>`)}
          </ul>
        </section>`
  }`;
  return page({ title: 'The fleet', depth: 0, host, body });
}

/** The whole week in two sentences. */
function summary({ recipes, asOf, now }: SiteData): Html {
  const counts = STANDINGS.map((is) => ({
    is,
    count: recipes.filter(({ standing }) => standing.is === is).length,
  })).filter(({ count }) => count > 0);
  const told = counts.map(
    ({ is, count }, at) => html`${at === 0 ? '' : ', '}<strong>${count}</strong> ${is}`,
  );
  if (recipes.length === 0) return html`<p class="lead">No recipe is enrolled yet.</p>`;
  return html`<p class="lead">
    ${counted(recipes.length, 'recipe')}: ${told}${asOf === null ? '' : html`, as of ${moment(asOf)}`}. Next
    sweep: ${nextSweep(now.schedule)}.
  </p>`;
}

function nowSection({ now, report }: SiteData, links: Links): Html {
  const { holder, schedule } = now;
  return html`<section>
    <h2 id="now">Now</h2>
    <dl class="facts">
      <dt>Running</dt>
      <dd>
        ${
          typeof holder !== 'object' || holder === null
            ? holder === null
              ? 'nothing'
              : 'not known: the worker has ended, or the Temporal server did not say'
            : html`${said(holder.what)}: ${said(holder.step)}, since ${moment(holder.since)} (<a
                  href="${links.temporal(holder.workflowId)}"
                  >Temporal</a
                >)`
        }
      </dd>
      <dt>Next sweep</dt>
      <dd>${nextSweep(schedule)}</dd>
      ${
        report === null
          ? html`<dt>Last sweep</dt>
              <dd>none has ended yet</dd>`
          : html`<dt>Last sweep</dt>
              <dd>
                <a href="${linkTo('sweeps', sweepFolder(report.sweep))}/">${said(report.sweep)}</a>, ended
                ${moment(report.ended)}:
                ${
                  report.verdict === 'none' ? 'no verdict' : report.verdict
                }${report.note === null ? '' : ` (${said(report.note)})`}
              </dd>`
      }
    </dl>
  </section>`;
}

/** When the schedule starts one, as people read it. */
function nextSweep(schedule: SiteData['now']['schedule']): Html | string {
  if (schedule === null) return 'not known: the Temporal server did not say';
  if (schedule === 'none') return 'none: there is no schedule; recipe-sweep schedule ensure makes it';
  if (schedule.paused)
    return `none: the schedule is paused${schedule.note === null ? '' : ` (${said(schedule.note)})`}`;
  return schedule.next === null ? 'none that the schedule knows of' : moment(schedule.next);
}

/** Each recipe that changed, or that somebody is to see to, in the order of telling. */
function changesSection(data: SiteData, links: Links): Html {
  const { recipes } = data;
  const told = recipes.filter(({ standing }) => NEWS.has(standing.is) || standing.is === 'red');
  const groups = STANDINGS.filter((is) => told.some(({ standing }) => standing.is === is));
  const isNew = told.some(({ standing }) => NEWS.has(standing.is));
  return html`<section>
    <h2 id="changed">What changed since last week</h2>
    ${isNew ? '' : html`<p>Nothing: no recipe turned red or green, and none is held or blocked.</p>`}
    ${groups.map((is) => {
      const these = told.filter(({ standing }) => standing.is === is);
      return html`<h3>
          ${standingMark({ is })} <span class="count">${these.length}</span>
          <small>${STANDING_IN_WORDS[is]}</small>
        </h3>
        <ul class="changes">
          ${these.slice(0, MOST_TOLD).map((one) => changeItem(one, data, links))}
        </ul>
        ${these.length > MOST_TOLD ? html`<p>and ${these.length - MOST_TOLD} more: they are in the table below.</p>` : ''}`;
    })}
  </section>`;
}

/** Of one standing; the table has them all. */
const MOST_TOLD = 50;

function changeItem(one: SiteRecipe, data: SiteData, links: Links): Html {
  const { recipe, standing } = one;
  const run = tellingRun(standing);
  const { blame, since, redRuns, redSince } = standing;
  const page = run && runFolder(run, one, data);
  const evidence = run && links.evidence.get(run.run);
  const of = html`<span class="unseen"> of ${recipe}</span>`;
  const facts = [
    since === null || since === redSince ? null : html`Since ${day(since)}.`,
    redSince === null ? null : html`Red since ${day(redSince)}, over ${counted(redRuns, 'sweep')}.`,
    blame.who === 'nobody' ? null : html`Whose: <strong>${blame.who}</strong>.`,
    blame.next === '' ? null : `Next: ${blame.next}.`,
    page === null ? null : html`<a href="${page}">The run${of}</a>`,
    page === null || !evidence
      ? null
      : html`Log: <a href="${page}${evidence.href}">${said(evidence.name)}${of}</a>`,
  ];
  const told = run === null ? '' : html`${outcomeMark(run.outcome)} ${reasonBeside(run.outcome)}`;
  return html`<li>
    <p><a class="recipe" href="recipe/${recipe}/">${recipe}</a> ${told}</p>
    <p class="meta">${facts.map((fact) => (fact === null ? '' : html`<span>${fact}</span> `))}</p>
  </li>`;
}

function alertsSection({ alerts, recipes }: SiteData): Html {
  if (alerts.length === 0)
    return html`<section>
      <h2 id="alerts">Alerts</h2>
      <p>None holds.</p>
    </section>`;
  const known = new Set(recipes.map(({ recipe }) => recipe));
  return html`<section>
    <h2 id="alerts">Alerts that hold</h2>
    <ul class="changes">
      ${alerts.slice(0, MOST_TOLD).map(
        ({ kind, subject, since, message, advice }) =>
          html`<li>
            <p>
              <strong>${kind}</strong> of
              ${
                subject.is === 'host'
                  ? 'the host'
                  : known.has(subject.name)
                    ? html`<a href="recipe/${subject.name}/">${subject.name}</a>`
                    : said(subject.name)
              },
              since ${day(since)}
            </p>
            <p class="said">${saidLines(message)}</p>
            <p class="meta">What to do: ${said(advice)}.</p>
          </li>`,
      )}
    </ul>
    ${alerts.length > MOST_TOLD ? html`<p>and ${alerts.length - MOST_TOLD} more: recipe-sweep doctor names them.</p>` : ''}
  </section>`;
}

function matrixSection(data: SiteData): Html {
  const { recipes, sweeps } = data;
  const columns = sweeps.slice(0, SWEEPS_SHOWN).reverse();
  return html`<section>
    <h2 id="matrix">Every recipe, sweep by sweep</h2>
    <p class="legend">
      ${LEGEND.map(
        ({ kind, letter, means }) =>
          html`<span><span class="cell ${kind}" aria-hidden="true">${letter}</span> ${means}</span> `,
      )}<span>empty: not in that sweep</span>
    </p>
    <div class="scroll" role="region" aria-labelledby="matrix" tabindex="0">
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">Recipe</th>
            <th scope="col">Stands</th>
            <th scope="col">Canonical</th>
            <th scope="col">Level</th>
            <th scope="col">Red since</th>
            ${columns.map(sweepHead)}
          </tr>
        </thead>
        <tbody>
          ${raw(recipes.map((one) => matrixRow(one, columns, data)).join('\n'))}
        </tbody>
      </table>
    </div>
  </section>`;
}

function sweepHead({ id, ended }: FleetSweep): Html {
  const page = `${linkTo('sweeps', sweepFolder(id))}/`;
  return compact`<th scope="col" class="sweep"><a href="${page}" title="${said(id)}">${ended.slice(5, 10)}</a></th>`;
}

/** Written as short as HTML allows: there may be a thousand of them. */
function matrixRow(one: SiteRecipe, columns: readonly FleetSweep[], data: SiteData): string {
  const { recipe, standing, canonical } = one;
  const cells = columns.map(({ runs }) => {
    const run = runs.get(recipe);
    if (run === undefined) return compact`<td>`;
    const { kind, letter } = markOf(run.outcome);
    const version = run.version === null || run.outcome.kind === 'PASS' ? '' : ` ${said(run.version)}`;
    const title = `${said(outcomeTitle(run.outcome))}${version}`;
    // What went well is told in full on the recipe's page.
    const page = run.outcome.kind === 'PASS' ? null : runFolder(run, one, data);
    return page === null
      ? compact`<td class=${kind} title="${title}">${letter}`
      : compact`<td class=${kind} title="${title}"><a href="${page}">${letter}</a>`;
  });
  const level = standing.verdict?.level ?? '';
  const version = canonical === null ? 'none' : said(canonical.version);
  const since = standing.redSince?.slice(0, 10) ?? '';
  return String(
    compact`<tr><th scope=row><a href=recipe/${recipe}/>${recipe}</a><td>${standing.is}<td>${version}<td>${level}<td>${since}${cells}`,
  );
}

/** What is told of the last sweep beside its outcomes. */
function sweepSection({ report }: SiteData): Html {
  if (report === null) return html``;
  return html`<section>
    <h2 id="sweep">The last sweep</h2>
    ${besideOutcomes(report)}
  </section>`;
}

/** A sweep's problems, notes, environment and room. */
export function besideOutcomes({
  problems,
  notes,
  environment,
  disk,
}: Pick<NonNullable<SiteData['report']>, 'problems' | 'notes' | 'environment' | 'disk'>): Html {
  const changed = environment?.changed ?? null;
  return html`<dl class="facts">
    <dt>Problems</dt>
    <dd>
      ${
        problems.length === 0
          ? 'none'
          : html`<ul>
              ${problems.map((line) => html`<li class="said">${saidLines(line)}</li>`)}
            </ul>`
      }
    </dd>
    ${
      notes.length === 0
        ? ''
        : html`<dt>Notes</dt>
            <dd>
              <ul>
                ${notes.map((line) => html`<li>${said(line)}</li>`)}
              </ul>
            </dd>`
    }
    ${
      environment === null
        ? ''
        : html`<dt>Environment</dt>
            <dd>
              ${environment.fingerprint}${
                changed === null
                  ? ''
                  : changed.length === 0
                    ? ', as in the sweep before'
                    : html`, not as in the sweep before:
                        <ul>
                          ${changed.map((line) => html`<li>${said(line)}</li>`)}
                        </ul>`
              }
            </dd>`
    }
    ${
      disk === null
        ? ''
        : html`<dt>Disk</dt>
            <dd>
              <ul>
                ${[
                  ...disk.disks.map((one) => diskText(one, disk.headroom, disk.next)),
                  estimateText(disk.next),
                ]
                  .filter((line) => line !== '')
                  .map((line) => html`<li>${said(line)}</li>`)}${disk.dropped.map(
                  ({ recipe, version, why }) =>
                    html`<li>dropped the data of ${said(recipe)} ${said(version)}: ${said(why)}</li>`,
                )}
              </ul>
            </dd>`
    }
  </dl>`;
}

function unsweptSection({ unswept }: SiteData): Html {
  if (unswept.length === 0) return html``;
  return html`<section>
    <h2 id="unswept">Not swept</h2>
    <ul>
      ${unswept.map(
        ({ recipe, folder }) =>
          html`<li>
            <strong>${recipe}</strong>:
            ${folder === null ? 'only pull requests of it were tested' : said(folder.exception ?? '')}
          </li>`,
      )}
    </ul>
  </section>`;
}
