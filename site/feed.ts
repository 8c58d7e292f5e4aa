import { outcomeReason, outcomeTitle } from '../domain/outcome.ts';
import { inOrder, standingOf, STANDING_IN_WORDS, type Standing } from '../domain/standing.ts';
import { html, linkTo, said, upFrom } from './html.ts';
import type { FleetSweep } from '../host/fleet.ts';
import { runFolder, runParts, SWEEPS_SHOWN, type SiteData, type SiteRecipe } from './read.ts';

/** What changed, as an Atom feed (RFC 4287): an entry for each recipe that turned red or green, was held or blocked. */

/** So many entries at most, the latest first. */
const MOST_ENTRIES = 100;

interface Entry {
  standing: Standing;
  updated: string;
}

/**
 * `recipes`: those that it tells of. `base` is the address of the site's own folder; null where nobody said it: links are then
 * seen from the feed. `folder`: where the feed stands, such as `recipe/ghost/`.
 */
export function feed(
  data: Pick<SiteData, 'host' | 'sweeps' | 'asOf' | 'pagesFrom'>,
  recipes: readonly SiteRecipe[],
  { base, title, folder }: { base: string | null; title: string; folder: string },
): string {
  const entries = data.sweeps
    .slice(0, SWEEPS_SHOWN)
    .flatMap((sweep) => entriesOf(sweep, recipes))
    .slice(0, MOST_ENTRIES);
  const self = `${base ?? ''}${folder}`;
  const toSite = base ?? upFrom(folder.split('/').length - 1);
  return `<?xml version="1.0" encoding="utf-8"?>
${html`<feed xmlns="http://www.w3.org/2005/Atom">
  <id>urn:recipe-sweep:${data.host}:${folder === '' ? 'fleet' : folder}</id>
  <title>${title}</title>
  <updated>${entries[0]?.updated ?? data.asOf ?? '1970-01-01T00:00:00.000Z'}</updated>
  <author><name>recipe-sweep on ${data.host}</name></author>
  ${base === null ? '' : html`<link rel="alternate" type="text/html" href="${self}" /><link rel="self" type="application/atom+xml" href="${self}feed.xml" />`}
  ${entries.map(({ standing, updated }) => {
    const { recipe, is, blame, latest } = standing;
    if (latest === null) return '';
    const run = linkTo(...runParts(latest));
    const of = recipes.find((one) => one.recipe === recipe);
    const page = (of && runFolder(latest, of, data)) ?? `recipe/${recipe}/`;
    return html`<entry>
      <id>urn:recipe-sweep:${data.host}:${run}</id>
      <title>${recipe}: ${is}: ${said(outcomeTitle(latest.outcome))}</title>
      <updated>${updated}</updated>
      <link rel="alternate" type="text/html" href="${toSite}${page}" />
      <summary type="text">
        ${said(outcomeReason(latest.outcome))}.
        ${STANDING_IN_WORDS[is]}.${
          blame.who === 'nobody' ? '' : ` Whose: ${blame.who}.`
        }${blame.next === '' ? '' : ` Next: ${blame.next}.`}
      </summary>
    </entry> `;
  })}
</feed>`}
`;
}

/** What changed by that sweep, in the order of telling. */
function entriesOf({ runs, ended }: FleetSweep, recipes: readonly SiteRecipe[]): Entry[] {
  const changed = recipes.flatMap((one): Standing[] => {
    const run = runs.get(one.recipe);
    if (run === undefined) return [];
    const standing = standingOf(one.recipe, one.runs, run.ended);
    // Of what lasts its beginning is the news.
    const isNews = standing.is !== 'unchanged' && standing.since === run.ended && standing.latest === run;
    return isNews ? [standing] : [];
  });
  return inOrder(changed).map((standing) => ({ standing, updated: standing.latest?.ended ?? ended }));
}
