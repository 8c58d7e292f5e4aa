import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { outcomeEvidence, outcomeReason, outcomeTitle, TIERS } from '../../domain/outcome.ts';
import type { RecipeResult, SweepReport } from '../../domain/report.ts';
import type { CatalogueEntry } from '../../fixtures/catalogue.ts';
import { CATALOGUE_SOURCES } from '../../fixtures/upstreams.ts';
import { startSystem, type System } from '../e2e/system.ts';

/** The recipes of `recipes/` taken through sweeps, with the upstreams of fixtures/catalogue. */
export interface Stage {
  system: System;
  /** Publishes that release of each, and answers what a sweep of them said of each. Throws where it said nothing of one. */
  sweep(entries: readonly CatalogueEntry[], release: 0 | 1): Promise<Told[]>;
  close(): Promise<void>;
}

export interface Told {
  entry: CatalogueEntry;
  result: RecipeResult;
}

/** Those, and what they need beside them. */
export function withDependencies(
  entries: readonly CatalogueEntry[],
  catalogue: readonly CatalogueEntry[],
): CatalogueEntry[] {
  const needed = entries.flatMap(({ needs }) => needs);
  return catalogue.filter((entry) => entries.includes(entry) || needed.includes(entry.recipe));
}

export async function openStage(
  temporalBinary: string,
  entries: readonly CatalogueEntry[],
  catalogue: readonly CatalogueEntry[],
): Promise<Stage> {
  const all = withDependencies(entries, catalogue);
  const system = await startSystem(
    temporalBinary,
    all.map(({ recipe }) => recipe),
    { recipes: 'shipped', limits: { stable: '4s', attempts: 2 } },
  );
  const published = new Set<string>();

  async function publish({ recipe, releases, changes }: CatalogueEntry, release: 0 | 1): Promise<void> {
    const version = releases[release];
    if (published.has(`${recipe} ${version}`)) return;
    published.add(`${recipe} ${version}`);
    await system.upstreams.publish(recipe, version, releases[0], release === 1 ? changes : {});
  }

  try {
    for (const { recipe, overlay } of all) {
      if (overlay === undefined) continue;
      const source = path.join(CATALOGUE_SOURCES, recipe, overlay);
      await cp(source, path.join(system.folder, 'recipes', recipe, 'overlay.yml'));
    }
    for (const entry of all) await publish(entry, 0);
    await system.startWorker();
  } catch (error) {
    await system.stop();
    throw error;
  }
  return {
    system,
    async sweep(asked, release) {
      for (const entry of asked) await publish(entry, release);
      const names = asked.map(({ recipe }) => recipe);
      const { stdout, stderr } = await system.cli('sweep', '--json', ...names);
      if (stdout === '') throw new Error(`the sweep said nothing but ${stderr}`);
      const { sweep } = JSON.parse(stdout) as { sweep: string };
      const report = JSON.parse((await system.cli('results', sweep, '--json')).stdout) as SweepReport;
      return asked.map((entry) => {
        const result = report.recipes.find(({ recipe }) => recipe === entry.recipe);
        if (result === undefined) throw new Error(`the report says nothing of ${entry.recipe}`);
        return { entry, result };
      });
    },
    close: () => system.stop(),
  };
}

/** What must be said of a release of it, one line a tier, and the outcome. */
export function expectedOf({ releases, skipped, rules }: CatalogueEntry, release: 0 | 1): string[] {
  const tiers = TIERS.map((tier) => {
    if (release === 0 && tier === 'upgrade') return 'upgrade skipped';
    return `${tier} ${skipped[tier] === undefined ? 'pass' : `skipped: ${skipped[tier]}`}`;
  });
  return [...tiers, `PASS (promoted ${releases[release]})`, `rules: ${rules.join(', ') || 'none broken'}`];
}

/** What was said of it. */
export function toldOf(result: RecipeResult): string[] {
  const { tiers, outcome, lint } = result;
  const title = outcomeTitle(outcome);
  return [
    ...tiers.map(
      (tier) =>
        `${tier.tier} ${tier.result}${tier.result === 'fail' || tier.result === 'skipped' ? `: ${tier.reason}` : ''}`,
    ),
    outcome.kind === 'PASS' ? title : `${title}: ${outcomeReason(outcome)}`,
    `rules: ${[...new Set(lint?.map(({ rule }) => rule))].join(', ') || 'none broken'}`,
  ];
}

/** Where what was said is not what must be said; none where it is. */
export function differencesOf(entry: CatalogueEntry, release: 0 | 1, result: RecipeResult): string[] {
  const told = toldOf(result);
  const expected = expectedOf(entry, release);
  return told.flatMap((line, place) => {
    const must = expected[place] ?? '';
    return line.startsWith(must) ? [] : [`expected "${must}", and it says "${line}"`];
  });
}

/** The end of the file that is to be opened next; empty where there is none. */
export async function evidenceOf({ outcome }: RecipeResult): Promise<string> {
  const file = outcomeEvidence(outcome);
  if (file === null) return '';
  const text = await readFile(file, 'utf8').catch((error: Error) => error.message);
  return `${file}\n${text.split('\n').slice(-60).join('\n')}`;
}
