import { formatBytes } from '../domain/bytes.ts';
import { HIGHEST_LEVEL } from '../domain/level.ts';
import { TIERS } from '../domain/outcome.ts';
import { formatDuration } from '../domain/quantities.ts';
import type { RecipeResult } from '../domain/report.ts';
import { factsOf, levelText, type TierFact } from '../domain/run-facts.ts';
import type { IndexedRun } from '../domain/run-history.ts';
import { STANDING_IN_WORDS, tellingRun } from '../domain/standing.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { evidenceHref, shownText, type EvidenceFile } from './evidence.ts';
import { compact, day, html, linkTo, moment, page, said, type Html } from './html.ts';
import { plot, seconds, type Series } from './plots.ts';
import { runFolder, runParts, type SiteData, type SiteRecipe } from './read.ts';
import { hrefOfFile, tierTable } from './run-page.ts';
import { counted, lintList, outcomeMark, picture, reasonBeside, standingMark } from './words.ts';

/** One recipe: what is proven of it, how its last release fared, and how that went over time. */

/** A run whose files are shown. */
export interface SeenRun {
  run: IndexedRun;
  folder: string;
  files: readonly EvidenceFile[];
}

export interface RecipeView extends SiteRecipe {
  /** What canonicals there were, oldest first. */
  history: readonly CanonicalRecord[];
  /** The last run of a sweep that tested something, with all that it said; null where none did, or it cannot be read. */
  tested: (SeenRun & { result: RecipeResult }) | null;
  /** What stood beside the canonical's run; null where it is gone, or there is no canonical. */
  proven: SeenRun | null;
  /** What that release changed against the canonical of then, and what its notes say; null where that was not kept. */
  changes: { diff: string | null; notes: string | null };
  /** Which image each service of the last test ran, as it was kept; null where that was not. */
  images: Readonly<Record<string, { image: string; digests: string[] }>> | null;
}

/** Of the runs in the table, and the points of a plot. */
const MOST_RUNS = 104;

export function recipePage(
  host: string,
  view: RecipeView,
  about: Pick<SiteData, 'pagesFrom'>,
  temporal: (workflowId: string) => string,
): string {
  const { recipe, standing, canonical, folder, problems } = view;
  const run = tellingRun(standing);
  const runPage = run && runFolder(run, view, about);
  const { blame, redSince, redRuns, since } = standing;
  const body = html` <dl class="facts">
      <dt>Stands</dt>
      <dd>
        ${standingMark(standing)}
        ${STANDING_IN_WORDS[standing.is]}${since === null ? '' : html`, since ${day(since)}`}
      </dd>
      ${
        run === null
          ? ''
          : html`<dt>Why</dt>
              <dd>
                ${outcomeMark(run.outcome)}
                <span class="said">${reasonBeside(run.outcome)}</span>
                ${runPage === null ? '' : html`<a href="../../${runPage}">The run</a>`}
              </dd>`
      }
      ${
        redSince === null
          ? ''
          : html`<dt>Red since</dt>
              <dd>${day(redSince)}, over ${counted(redRuns, 'sweep')}</dd>`
      }
      ${
        blame.who === 'nobody'
          ? ''
          : html`<dt>Whose</dt>
              <dd><strong>${blame.who}</strong></dd>`
      }
      ${
        blame.next === ''
          ? ''
          : html`<dt>Next</dt>
              <dd>${blame.next}</dd>`
      }
      ${
        folder?.hold == null
          ? ''
          : html`<dt>Held</dt>
              <dd>${said(folder.hold)}</dd>`
      }
      ${
        folder === null
          ? html`<dt>Enrolled</dt>
              <dd>no: its folder is gone</dd>`
          : ''
      }
      ${
        folder?.upstream == null
          ? ''
          : html`<dt>Upstream</dt>
              <dd>${said(folder.upstream)}</dd>`
      }
      <dt>Run it again</dt>
      <dd>
        <code>recipe-sweep sweep ${recipe}</code> on ${host}; a pull request: a comment <code>!testme</code>
      </dd>
      <dt>Badge</dt>
      <dd>
        <img src="../../badge/${recipe}.svg" alt="the badge of ${recipe}" /> <code>badge/${recipe}.svg</code>
      </dd>
    </dl>
    ${problems.length === 0 ? '' : html`<p>Could not be read: ${problems.map((line) => html`<span class="said">${said(line)}</span> `)}</p>`}
    ${canonicalSection(view)} ${lastTestSection(view)} ${changesSection(view)} ${imagesSection(view)}
    ${picturesSection(view)} ${timeSection(view.runs)} ${runsSection(view, about, temporal)}`;
  return page({ title: recipe, depth: 2, host, body });

  function canonicalSection({ history }: RecipeView): Html {
    return html`<section>
      <h2 id="canonical">Canonical</h2>
      ${
        canonical === null
          ? html`<p>None: no release of it was proven yet.</p>`
          : html`<dl class="facts">
              <dt>Version</dt>
              <dd>
                <strong>${said(canonical.version)}</strong>, commit <code>${said(canonical.commit)}</code>
              </dd>
              <dt>Promoted</dt>
              <dd>${moment(canonical.ts)} by ${said(canonical.run)}</dd>
              <dt>Data</dt>
              <dd>
                ${
                  canonical.snapshot === null
                    ? `dropped${canonical.dropped === null ? '' : ` on ${canonical.dropped.slice(0, 10)}`}${canonical.droppedBy === null ? '' : `: ${said(canonical.droppedBy.why)}`}`
                    : `a snapshot of ${formatBytes(canonical.snapshot.bytes)}`
                }
              </dd>
            </dl>`
      }
      ${
        history.length === 0
          ? ''
          : html`<div class="scroll" role="region" aria-label="every promotion" tabindex="0">
              <table>
                <caption>
                  Every promotion, the latest first
                </caption>
                <thead>
                  <tr>
                    <th scope="col">Promoted</th>
                    <th scope="col">Version</th>
                    <th scope="col">Commit</th>
                    <th scope="col">Run</th>
                    <th scope="col">Data</th>
                  </tr>
                </thead>
                <tbody>
                  ${[...history].reverse().map(
                    ({ ts, version, commit, run: by, dropped }) =>
                      html`<tr>
                        <td>${day(ts)}</td>
                        <td>${said(version)}</td>
                        <td><code>${said(commit.slice(0, 12))}</code></td>
                        <td>${said(by)}</td>
                        <td>${dropped === null ? '' : `dropped ${dropped.slice(0, 10)}`}</td>
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`
      }
    </section>`;
  }
}

/** The last test, tier by tier. */
function lastTestSection({ tested }: RecipeView): Html {
  if (tested === null) {
    return html`<section>
      <h2 id="last">Last test</h2>
      <p>None that is still on disk.</p>
    </section>`;
  }
  const { result, run } = tested;
  const toRun = `../../${linkTo('runs', ...runParts(run))}/`;
  const facts = factsOf(result);
  const tiers = facts.filter((fact): fact is TierFact => fact.about === 'tier');
  const level = facts.find((fact) => fact.about === 'level');
  const lint = facts.find((fact) => fact.about === 'lint');
  const evidence = facts.find((fact) => fact.about === 'evidence');
  const href = evidence === undefined ? null : hrefOfFile(evidence.file, tested);
  return html`<section>
    <h2 id="last">Last test</h2>
    <p>
      ${outcomeMark(result.outcome)} ${result.release === null ? '' : said(result.release.version)},
      ${moment(result.ended)}: <a href="${toRun}">everything of it</a>${
        href === null ? '' : html` · <a href="${toRun}${href}">open next</a>`
      }
    </p>
    ${tierTable(tiers, tested, toRun)}
    <dl class="facts">
      ${
        level === undefined
          ? ''
          : html`<dt>Level</dt>
              <dd>${levelText(level)}</dd>`
      }
      <dt>Lint</dt>
      <dd>${lint === undefined ? 'not looked at: it is when every tier passed' : lintList(lint.problems)}</dd>
    </dl>
  </section>`;
}

function changesSection({ changes: { diff, notes }, tested }: RecipeView): Html | '' {
  if (diff === null && notes === null) return '';
  const version = tested?.result.release?.version;
  return html`<section>
    <h2 id="changes">What ${version === undefined ? 'the release' : said(version)} changes</h2>
    ${
      notes === null
        ? ''
        : html`<h3>Its release notes</h3>
            <pre class="file" tabindex="0" role="region" aria-label="release notes">${shownText(notes)}</pre>`
    }
    ${
      diff === null
        ? ''
        : html`<h3>Its files, against the canonical of then</h3>
            <pre class="file diff" tabindex="0" role="region" aria-label="difference">
${diffLines(diff)}</pre>`
    }
  </section>`;
}

/** Each line in the colour of what it is; its sign stays before it. */
function diffLines(diff: string): Html[] {
  return shownText(diff)
    .split('\n')
    .map((line) => {
      const kind = /^(\+\+\+|---|diff |index |new file|deleted file|old mode|new mode|Binary )/.test(line)
        ? 'head'
        : line.startsWith('+')
          ? 'added'
          : line.startsWith('-')
            ? 'removed'
            : line.startsWith('@@')
              ? 'place'
              : '';
      return kind === '' ? compact`${line}${'\n'}` : compact`<span class="${kind}">${line}</span>${'\n'}`;
    });
}

function imagesSection({ canonical, images, tested }: RecipeView): Html | '' {
  if (canonical === null && images === null) return '';
  const before = canonical?.images ?? {};
  const now = images ?? {};
  const services = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  if (services.length === 0) return '';
  const version = tested?.result.release?.version ?? null;
  return html`<section>
    <h2 id="images">Images</h2>
    <div class="scroll" role="region" aria-labelledby="images" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col">Canonical</th>
            <th scope="col">Last test${version === null ? '' : `, ${said(version)}`}</th>
          </tr>
        </thead>
        <tbody>
          ${services.map((service) => {
            const was = before[service];
            const is = now[service];
            return html`<tr>
              <th scope="row">${said(service)}</th>
              <td>
                ${was === undefined ? '' : html`${said(was.image)}<br /><code class="digest">${said(was.digest)}</code>`}
              </td>
              <td>
                ${
                  is === undefined
                    ? ''
                    : html`${said(is.image.replace(/@.*/s, ''))}${is.digests.map((digest) => html`<br /><code class="digest">${said(digest.replace(/^.*@/, ''))}</code>`)}`
                }
              </td>
            </tr>`;
          })}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** The page as the canonical showed it, beside that of the last test. */
function picturesSection({ proven, tested, canonical }: RecipeView): Html | '' {
  const shown = [
    { of: 'the canonical', version: canonical?.version ?? null, seen: proven },
    { of: 'the last test', version: tested?.result.release?.version ?? null, seen: tested },
  ].flatMap(({ of, version, seen }) => {
    const picture = seen?.files.findLast(({ isPicture }) => isPicture);
    if (seen === null || picture === undefined) return [];
    const href = `../../${linkTo('runs', ...runParts(seen.run))}/${evidenceHref(picture)}`;
    return [{ of, version, href, step: picture.parts[0] ?? '' }];
  });
  const [one, other] = shown;
  const pictures = one !== undefined && other?.href === one.href ? [one] : shown;
  if (pictures.length === 0) return '';
  return html`<section>
    <h2 id="pictures">What it looks like</h2>
    <div class="pictures">
      ${pictures.map(({ of, version, href, step }) => {
        const as = (sign: string): string => `${of}${version === null ? '' : `${sign} ${said(version)}`}`;
        return picture({ href, alt: `the app's page, ${as('')}`, caption: `${as(',')} (${said(step)})` });
      })}
    </div>
  </section>`;
}

/** Levels and durations over time, as plots, and their numbers. */
function timeSection(runs: readonly IndexedRun[]): Html | '' {
  const tested = runs
    .filter(({ asked, tiers }) => asked.by === 'sweep' && tiers !== null && tiers.length > 0)
    .slice(0, MOST_RUNS)
    .reverse();
  if (tested.length === 0) return '';
  const levels: Series = {
    name: 'level',
    kind: 's0',
    points: tested.flatMap(({ ended, level }) => (level === null ? [] : [{ at: ended, value: level }])),
  };
  const durations = TIERS.map((tier, at): Series => ({
    name: tier,
    kind: `s${at}`,
    points: tested.flatMap(({ ended, tiers }) => {
      const ms = tiers?.find((one) => one.tier === tier)?.ms ?? null;
      return ms === null ? [] : [{ at: ended, value: ms / 1000 }];
    }),
  }));
  const levelPlot = plot({
    title: 'Level over time',
    series: [levels],
    label: String,
    most: HIGHEST_LEVEL,
    steps: true,
  });
  const timePlot = plot({ title: 'Time of each tier over time', series: durations, label: seconds });
  return html`<section>
    <h2 id="time">Over time</h2>
    ${levelPlot === null && timePlot === null ? html`<p>One test so far: there is nothing to draw yet.</p>` : ''}
    <div class="plots">
      ${
        levelPlot === null
          ? ''
          : html`<figure>
              <figcaption>Level, of ${HIGHEST_LEVEL}</figcaption>
              ${levelPlot}
            </figure>`
      }
      ${
        timePlot === null
          ? ''
          : html`<figure>
              <figcaption>How long each tier took</figcaption>
              ${timePlot}
            </figure>`
      }
    </div>
    <details>
      <summary>The numbers</summary>
      <div class="scroll" role="region" aria-label="levels and times" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Ended</th>
              <th scope="col">Version</th>
              <th scope="col">Level${TIERS.map((tier) => html`<th scope="col">${tier}</th>`)}</th>
            </tr>
          </thead>
          <tbody>
            ${[...tested].reverse().map(
              ({ ended, version, level, tiers }) =>
                html`<tr>
                  <td>${day(ended)}</td>
                  <td>${said(version ?? '')}</td>
                  <td>
                    ${level ?? ''}${TIERS.map((tier) => {
                      const one = tiers?.find((each) => each.tier === tier);
                      return html`<td>
                        ${one === undefined ? '' : one.ms === null ? one.result : formatDuration(one.ms)}
                      </td>`;
                    })}
                  </td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  </section>`;
}

function runsSection(
  view: RecipeView,
  about: Pick<SiteData, 'pagesFrom'>,
  temporal: (workflowId: string) => string,
): Html {
  const { recipe, runs } = view;
  const shown = runs.slice(0, MOST_RUNS);
  return html`<section>
    <h2 id="runs">Every run</h2>
    ${
      shown.length === 0
        ? html`<p>It has had none yet.</p>`
        : html`<div class="scroll" role="region" aria-labelledby="runs" tabindex="0">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Ended</th>
                    <th scope="col">Outcome</th>
                    <th scope="col">Why</th>
                    <th scope="col">Version</th>
                    <th scope="col">Level</th>
                    <th scope="col">Asked for by</th>
                  </tr>
                </thead>
                <tbody>
                  ${shown.map((run) => {
                    const page = runFolder(run, view, about);
                    const asker = said(run.asked.id);
                    return html`<tr>
                      <td>${day(run.ended)}</td>
                      <td>${outcomeMark(run.outcome)}</td>
                      <td class="said">${reasonBeside(run.outcome)}</td>
                      <td>${said(run.version ?? '')}</td>
                      <td>${run.level ?? ''}</td>
                      <td>
                        ${page === null ? asker : html`<a href="../../${page}">${asker}</a>`}
                        <small
                          ><a href="${temporal(run.run)}"
                            >Temporal<span class="unseen"> of ${asker}</span></a
                          ></small
                        >
                      </td>
                    </tr>`;
                  })}
                </tbody>
              </table>
            </div>
            ${runs.length > shown.length ? html`<p>and ${runs.length - shown.length} older ones: <code>recipe-sweep results --recipe ${recipe} --list</code></p>` : ''}`
    }
  </section>`;
}
