import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { outcomeEvidence, outcomeTitle } from '../domain/outcome.ts';
import { nameOf, type Release, type Revision } from '../domain/release.ts';
import { createCanonicals } from '../host/store/canonicals.ts';
import type { Config } from '../host/config/config.ts';
import { createReports } from '../host/store/reports.ts';
import type { SiteIndex } from '../site/index-json.ts';

/** What a sweep of the demo must have left on disk, for one recipe. */
export interface Expected {
  /** outcomeTitle() in report.json. */
  outcome: string;
  /** What canonical.json says, or null when there must be none. */
  canonical: Release | null;
}

export interface Check {
  ok: boolean;
  /** What was expected and, where it is not so, what is there. */
  says: string;
}

/** Compares report.json and every canonical.json, read anew from disk, with what was expected. */
export async function checkDisk(
  config: Pick<Config, 'state' | 'zone'>,
  sweep: string,
  expected: Readonly<Record<string, Expected>>,
): Promise<Check[]> {
  const report = await createReports(config.state).read(sweep);
  const canonicals = createCanonicals(config);
  const checks = [
    check(
      'report.json     every enrolled recipe',
      names(Object.keys(expected)),
      names(report?.recipes.map(({ recipe }) => recipe) ?? []),
    ),
  ];
  for (const [recipe, { outcome, canonical }] of Object.entries(expected)) {
    const result = report?.recipes.find((each) => each.recipe === recipe);
    const title = result ? outcomeTitle(result.outcome) : 'nothing';
    checks.push(check(`report.json     ${recipe}`, outcome, title));
    const record = await canonicals.read(recipe);
    checks.push(check(`canonical.json  ${recipe}`, shownRelease(canonical), shownRelease(record)));
    const evidence = result ? outcomeEvidence(result.outcome) : null;
    if (evidence !== null) checks.push(await checkFile(recipe, evidence));
  }
  return checks;
}

/** Within which the worker has written what changed. */
const SITE_MS = 30_000;

/** Compares what the report site says of each recipe, once it is of this sweep, with what was expected. */
export async function checkSite(
  { state, serve }: Pick<Config, 'state' | 'serve'>,
  sweep: string,
  expected: Readonly<Record<string, Expected>>,
): Promise<Check> {
  const report = await createReports(state).read(sweep);
  const ended =
    report?.recipes
      .map((one) => one.ended)
      .sort()
      .at(-1) ?? null;
  const index = async (): Promise<SiteIndex | null> => {
    const answer = await fetch(`${serve.url}/index.json`);
    return answer.ok ? ((await answer.json()) as SiteIndex) : null;
  };
  const deadline = Date.now() + SITE_MS;
  let seen = await index();
  while (seen?.asOf !== ended && Date.now() < deadline) {
    await sleep(500);
    seen = await index();
  }
  const told = (version: string | null, isRed: boolean): string =>
    `${version ?? 'none'}${isRed ? ' (red)' : ''}`;
  const wanted = Object.entries(expected).map(([recipe, { outcome, canonical }]) => {
    const isRed = outcome === 'FAIL' || outcome === 'GREEN-BUT-PROMOTE-FAILED';
    return `${recipe} ${told(canonical?.version ?? null, isRed)}`;
  });
  const found = (seen?.recipes ?? []).map(
    ({ recipe, canonical, redSince }) => `${recipe} ${told(canonical?.version ?? null, redSince !== null)}`,
  );
  return check('report site     every canonical, and what is red', names(wanted), names(found));
}

/** That something is what was wanted, both in words. */
export function check(what: string, wanted: string, found: string): Check {
  return wanted === found
    ? { ok: true, says: `${what}: ${wanted}` }
    : { ok: false, says: `${what}: should be ${wanted}, is ${found}` };
}

async function checkFile(recipe: string, file: string): Promise<Check> {
  return access(file).then(
    () => ({ ok: true, says: `evidence        ${recipe}: ${file}` }),
    () => ({ ok: false, says: `evidence        ${recipe}: ${file} is not there` }),
  );
}

/** A release in few words. */
export function shownRelease(release: Revision | null): string {
  return release === null ? 'none' : `${nameOf(release)} at ${release.commit.slice(0, 12)}`;
}

function names(recipes: readonly string[]): string {
  return recipes.toSorted().join(', ');
}
