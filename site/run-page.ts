import path from 'node:path';
import { formatBytes } from '../domain/bytes.ts';
import { nameOf } from '../domain/release.ts';
import type { RecipeResult } from '../domain/report.ts';
import { factsOf, levelText, type Fact, type TierFact } from '../domain/run-facts.ts';
import { spentText } from '../domain/time-spent.ts';
import { formatDuration } from '../domain/quantities.ts';
import { evidenceHref, shownText, type EvidenceFile } from './evidence.ts';
import { compact, html, linkTo, moment, page, said, saidLines, type Html } from './html.ts';
import { sweepFolder } from './read.ts';
import { lintList, outcomeMark, picture } from './words.ts';

/** One run of a recipe: everything that result.json says, in words, and what it left. */

export interface RunView {
  result: RecipeResult;
  /** Where its files are, on the host. */
  folder: string;
  files: readonly EvidenceFile[];
  /** So many more are not shown. */
  leftOut: number;
  /** The end of the file to open first; null where there is none. */
  excerpt: string | null;
  temporal(workflowId: string): string;
}

export function runPage(host: string, view: RunView): string {
  const { result, files, leftOut, folder, temporal } = view;
  const { recipe, asked, started, ended, workflow } = result;
  const facts = factsOf(result);
  const tiers = facts.filter((fact): fact is TierFact => fact.about === 'tier');
  const firstTier = facts.findIndex(({ about }) => about === 'tier');
  const isOther = (fact: Fact): fact is Exclude<Fact, TierFact> => fact.about !== 'tier';
  const before = (firstTier < 0 ? facts : facts.slice(0, firstTier)).filter(isOther);
  const after = (firstTier < 0 ? [] : facts.slice(firstTier)).filter(isOther);
  const pictures = files.filter(({ isPicture }) => isPicture);
  const body = html` <dl class="facts">
      ${before.map((fact) => factLine(fact, view))}
      <dt>Asked for by</dt>
      <dd>
        ${
          asked.by === 'sweep'
            ? html`the sweep
                <a href="../../../${linkTo('sweeps', sweepFolder(asked.id))}/">${said(asked.id)}</a>`
            : html`the test ${said(asked.id)}`
        }
      </dd>
      <dt>When</dt>
      <dd>
        from ${moment(started)} to ${moment(ended)},
        ${formatDuration(Date.parse(ended) - Date.parse(started))}
      </dd>
    </dl>
    ${tiers.length === 0 ? '' : tierTable(tiers, view)}
    ${after.length === 0 ? '' : html`<dl class="facts">${after.map((fact) => factLine(fact, view))}</dl>`}
    ${excerptSection(view)}
    ${
      pictures.length === 0
        ? ''
        : html`<section>
            <h2 id="pictures">What it looked like</h2>
            <div class="pictures">
              ${pictures.map((file) =>
                picture({
                  href: evidenceHref(file),
                  alt: `the app's page at the end of ${said(file.parts[0] ?? '')}`,
                  caption: said(file.parts.join('/')),
                }),
              )}
            </div>
          </section>`
    }
    <section>
      <h2 id="files">Evidence</h2>
      ${
        files.length === 0
          ? html`<p>There is none beside the result.</p>`
          : html`<ul class="files">
              ${files.map(
                (file) =>
                  html`<li>
                    <a href="${evidenceHref(file)}">${said(file.parts.join('/'))}</a>
                    <small>${formatBytes(file.bytes)}</small>
                  </li>`,
              )}
            </ul>`
      }${leftOut > 0 ? html`<p>and ${leftOut} more.</p>` : ''}
      <p class="meta">
        On the host: <code>${shownText(folder)}</code> · its history:
        <a href="${temporal(workflow.id)}">Temporal</a>
      </p>
    </section>`;
  const steps = [{ title: recipe, href: `../../../recipe/${recipe}/` }];
  return page({ title: titleOf(result), depth: 3, host, path: steps, body });
}

function titleOf({ recipe, release, test, started }: RecipeResult): string {
  const what = test === null ? release?.version : nameOf(test.head);
  return `${recipe}${what === undefined ? '' : ` ${said(what)}`}, ${started.slice(0, 10)}`;
}

/** Where a file that a result names is shown, seen from the run's page; null where it is not. */
export function hrefOfFile(
  file: string,
  { folder, files }: Pick<RunView, 'folder' | 'files'>,
): string | null {
  const inside = path.relative(folder, file);
  if (inside === '' || inside.startsWith('..') || path.isAbsolute(inside)) return null;
  const found = files.find(({ parts }) => parts.join(path.sep) === inside);
  return found === undefined ? null : evidenceHref(found);
}

function fileLink(file: string, view: Pick<RunView, 'folder' | 'files'>): Html {
  const href = hrefOfFile(file, view);
  const inside = path.relative(view.folder, file);
  return href === null
    ? html`<code>${shownText(file)}</code>`
    : html`<a href="${href}">${shownText(inside)}</a>`;
}

function factLine(fact: Exclude<Fact, TierFact>, view: RunView): Html | '' {
  switch (fact.about) {
    case 'outcome':
      return html`<dt>Outcome</dt>
        <dd>${outcomeMark(fact.outcome)}</dd>`;
    case 'why':
      return html`<dt>Why</dt>
        <dd class="said">${saidLines(fact.text)}</dd>`;
    case 'blame':
      return html`<dt>Whose</dt>
        <dd><strong>${fact.who}</strong></dd>
        ${
          fact.next === ''
            ? ''
            : html`<dt>Next</dt>
                <dd>${fact.next}</dd>`
        }`;
    case 'release':
      return html`<dt>Release</dt>
        <dd>${said(fact.release.version)}, commit <code>${said(fact.release.commit)}</code></dd>`;
    case 'tested': {
      const { mode, why, base, head, pullRequest } = fact.tested;
      const of = (one: typeof head): Html =>
        html`${said(nameOf(one))} (<code>${said(one.commit.slice(0, 12))}</code>)`;
      return html`<dt>Tested</dt>
        <dd>
          ${mode}${why === null ? '' : `, since ${said(why)}`}:
          ${base === null ? '' : html`${of(base)} → `}${of(head)}${pullRequest === null ? '' : ` of pull request ${pullRequest}`}
        </dd>`;
    }
    case 'promote':
      return html`<dt>Promote</dt>
        <dd>
          <span class="mark fail">fail</span><br />Expected: ${fact.expected}.<br />Seen:
          <span class="said">${saidLines(fact.seen)}</span>${
            fact.evidence === null ? '' : html`<br />The rest: ${fileLink(fact.evidence, view)}`
          }
        </dd>`;
    case 'canonical':
      return html`<dt>Canonical then</dt>
        <dd>${fact.version === null ? 'none' : said(fact.version)}</dd>`;
    case 'level':
      return html`<dt>Level</dt>
        <dd>${levelText(fact)}</dd>`;
    case 'lint':
      return html`<dt>Lint</dt>
        <dd>${lintList(fact.problems)}</dd>`;
    case 'time':
      return html`<dt>Time</dt>
        <dd>${spentText(fact.spentMs)}</dd>`;
    case 'note':
      return html`<dt>Note</dt>
        <dd class="said">${saidLines(fact.text)}</dd>`;
    case 'left':
      return html`<dt>Left behind</dt>
        <dd class="said">${saidLines(fact.text)}</dd>`;
    case 'unrecorded':
      return html`<dt>Not on disk</dt>
        <dd class="said">${saidLines(fact.text)}</dd>`;
    case 'evidence':
      return html`<dt>Open next</dt>
        <dd>${fileLink(fact.file, view)}</dd>`;
  }
}

const TIER_KINDS = { pass: 'pass', fail: 'fail', skipped: 'held', 'not reached': 'skip' } as const;

/** Without a line end of the template's, which would be shown. */
function seenCell({ seen, note, result }: Pick<TierFact, 'seen' | 'note' | 'result'>): Html {
  const text = seen ?? note;
  return compact`<td class="said">${text !== null ? saidLines(text) : result === 'pass' ? 'as expected' : ''}</td>`;
}

/** Tier by tier: what was expected, what was seen, and the file with the rest. */
export function tierTable(
  tiers: readonly TierFact[],
  view: Pick<RunView, 'folder' | 'files'>,
  toRun = '',
): Html {
  return html`<div class="scroll" role="region" aria-label="tier by tier" tabindex="0">
    <table class="tiers">
      <thead>
        <tr>
          <th scope="col">Tier</th>
          <th scope="col">Result</th>
          <th scope="col">Took</th>
          <th scope="col">Expected</th>
          <th scope="col">Seen</th>
          <th scope="col">Evidence</th>
        </tr>
      </thead>
      <tbody>
        ${tiers.map(({ tier, result, ms, expected, seen, note, evidence }) => {
          const href = evidence === null ? null : hrefOfFile(evidence, view);
          return html`<tr>
            <th scope="row">${tier}</th>
            <td><span class="mark ${TIER_KINDS[result]}">${result}</span></td>
            <td>${ms === null ? '' : formatDuration(ms)}</td>
            <td>${result === 'not reached' ? '' : expected}</td>
            ${seenCell({ seen, note, result })}
            <td>
              ${
                evidence === null
                  ? ''
                  : href === null
                    ? html`<code>${shownText(evidence)}</code>`
                    : html`<a href="${toRun}${href}">${shownText(path.relative(view.folder, evidence))}</a>`
              }
            </td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function excerptSection({ excerpt }: RunView): Html | '' {
  if (excerpt === null) return '';
  return html`<section>
    <h2 id="excerpt">The end of what it printed</h2>
    <pre class="file" tabindex="0" role="region" aria-labelledby="excerpt">${shownText(excerpt)}</pre>
  </section>`;
}
