import type { App } from '../../domain/app.ts';
import { openCheckout, type Checkout } from './checkout.ts';
import { parseCompose, type ComposeSource } from './compose.ts';
import { interpolateCompose } from './variables.ts';
import { parseAbraExports, parseEnvSample, type EnvSample } from './env.ts';
import { RecipeProblem, type Place } from './problem.ts';

/** A recipe's files as abra would take them for one app. */
export interface RecipeFiles {
  checkout: Checkout;
  /** Its values are those of .env.sample, abra.sh and the app together. */
  sample: EnvSample;
  /** abra.sh; null where the recipe has none. */
  abraSh: string | null;
  /** Names that abra.sh exports. */
  exported: ReadonlySet<string>;
  /** The compose files that COMPOSE_FILE names, as they are written. */
  written: ComposeSource[];
  /** The same with the app's variables in them. */
  files: ComposeSource[];
}

/** More than any recipe offers; each is read whole. */
const MOST_FILES = 20;

/** Reads what `.env.sample` leads to. Throws RecipeProblem. */
export async function readRecipe(
  app: Pick<App, 'recipe' | 'checkout' | 'domain' | 'stack' | 'env' | 'lifetime'>,
): Promise<RecipeFiles> {
  const checkout = await openCheckout(app.checkout);
  const own = { DOMAIN: app.domain, STACK_NAME: app.stack };
  // A certificate of a public authority is what people visit a live service with, and no throw-away domain's to ask for.
  const certificate = app.lifetime === 'live' ? {} : { LETS_ENCRYPT_ENV: '' };
  const given = new Map(
    Object.entries({ ...certificate, ...app.env, ...own }).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{(DOMAIN|STACK_NAME)\}/g, (_, variable: keyof typeof own) => own[variable]),
    ]),
  );
  const sampleFile = '.env.sample';
  const text = await checkout.read(sampleFile, wholeFile(sampleFile));
  if (text === null) throw new RecipeProblem(sampleFile, 'the recipe has none');
  // As abra makes an app's env file of it: whatever else is below that domain, too, is below the app's.
  const sample = parseEnvSample(
    text.replaceAll(`${app.recipe}.example.com`, () => app.domain),
    sampleFile,
    given,
  );
  const abraSh = await checkout.read('abra.sh', wholeFile('abra.sh'));
  const exports = parseAbraExports(abraSh ?? '');
  for (const [name, value] of exports) {
    if (!given.has(name)) sample.values.set(name, value);
  }
  const written: ComposeSource[] = [];
  const chosen = sample.at('COMPOSE_FILE');
  for (const name of composeFiles(sample.values.get('COMPOSE_FILE') || 'compose.yml', chosen)) {
    const found = await checkout.read(name, chosen);
    if (found === null) throw new RecipeProblem(chosen, `${name} does not exist in the recipe`);
    written.push(parseCompose(found, name));
  }
  const lookup = (name: string): string | undefined => sample.values.get(name);
  const files = written.map((source) => interpolateCompose(source, lookup));
  return { checkout, sample, abraSh, exported: new Set(exports.keys()), written, files };
}

/** A file of the recipe, when it is not known yet what stands in it. */
export function wholeFile(file: string): Place {
  return { file, line: null, path: [] };
}

function composeFiles(written: string, place: Place): string[] {
  const names = written.split(':').filter((file) => file !== '');
  if (names.length <= MOST_FILES) return names;
  throw new RecipeProblem(place, `names ${names.length} files, more than ${MOST_FILES}`);
}
