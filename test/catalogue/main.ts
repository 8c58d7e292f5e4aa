import { Command, InvalidArgumentError } from 'commander';
import { stopSignal } from '../../client/signals.ts';
import { readCatalogue, type CatalogueEntry } from '../../fixtures/catalogue.ts';
import { setUp } from '../../setup/main.ts';
import { CATALOGUE_IMAGES } from '../../setup/images/catalogue.ts';
import { differencesOf, evidenceOf, openStage, toldOf, withDependencies } from './stage.ts';

/**
 * `npm run catalogue [-- recipe…]`: sweeps the recipes of `recipes/` twice, with a release each and then a second one.
 * See docs/catalogue.md. Exits 0 only if each says what it must.
 */

const catalogue = readCatalogue();
/** Keycloak is a service, which no sweep takes through a cold test. */
const swept = catalogue.filter(({ recipe }) => recipe !== 'keycloak');

function entryNamed(name: string, before: readonly CatalogueEntry[] = []): CatalogueEntry[] {
  const entry = swept.find(({ recipe }) => recipe === name);
  if (!entry) throw new InvalidArgumentError(`one of ${swept.map(({ recipe }) => recipe).join(', ')}`);
  return [...before, entry];
}

const program = new Command('npm run catalogue --')
  .description('sweeps the recipes of recipes/ twice, around the apps themselves or what stands in for them')
  .argument('[recipes...]', 'only these', entryNamed, [])
  .parse();
const [named] = program.processedArgs as [CatalogueEntry[]];
const entries = named.length > 0 ? named : swept;

const { temporal } = await setUp(console.log, { images: CATALOGUE_IMAGES, tests: true });
const { signal: stop } = stopSignal();
stop.addEventListener('abort', () => console.log('ending after this sweep'));
const wrong: string[] = [];
const stage = await openStage(temporal, entries, catalogue);
try {
  const enrolled = withDependencies(entries, catalogue);
  console.log(`\n== plan: ${enrolled.length} recipes`);
  const { stdout: plan } = await stage.system.cli('plan');
  console.log(plan.trimEnd());
  for (const { recipe } of enrolled) {
    if (new RegExp(`^\\s*${recipe}\\s`, 'm').test(plan)) continue;
    wrong.push(recipe);
    console.log(`  WRONG: the plan says nothing of ${recipe}`);
  }
  for (const release of [0, 1] as const) {
    if (stop.aborted) break;
    console.log(`\n== sweep ${release + 1}: ${entries.length} recipes`);
    for (const { entry, result } of await stage.sweep(entries, release)) {
      const took = Math.round((Date.parse(result.ended) - Date.parse(result.started)) / 1000);
      console.log(`\n${entry.recipe} ${entry.releases[release]}, ${entry.app}, ${took} s`);
      for (const line of toldOf(result)) console.log(`  ${line}`);
      const differences = differencesOf(entry, release, result);
      if (differences.length === 0) continue;
      wrong.push(entry.recipe);
      for (const line of differences) console.log(`  WRONG: ${line}`);
      console.log(await evidenceOf(result));
    }
  }
} finally {
  await stage.close();
}
console.log(wrong.length === 0 ? `\nall say what they must` : `\nwrong: ${[...new Set(wrong)].join(', ')}`);
process.exit(wrong.length === 0 && !stop.aborted ? 0 : 1);
