import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { EXIT } from '../../client/failure.ts';
import { renderTable } from '../../client/render/table.ts';
import { messageOf } from '../../domain/fault.ts';
import { ALL_IMAGES, MINIFLUX_IMAGES, SMALL_IMAGES } from '../../setup/images/catalogue.ts';
import { setUp } from '../../setup/main.ts';
import { rows, summarise, type Figure, type Form, type Summary } from './figure.ts';
import { interruption } from './interruption.ts';
import { largeSweep } from './large-sweep.ts';
import { pullingAhead } from './pulling-ahead.ts';
import { quickLane } from './quick-lane.ts';
import { recipeRun } from './recipe-run.ts';
import { singleSignOn } from './single-sign-on.ts';
import { skippedRecipe, skippedRecipeOnPostgres } from './skipped-recipe.ts';
import { siteBuild } from './site.ts';
import { snapshotThroughput } from './snapshots.ts';
import { workerStart } from './worker-start.ts';

/**
 * `npm run bench -- [--short] [--only PART] [--json FILE] [--profile FOLDER]`: measures how near to free the orchestration is,
 * each figure against the physical minimum in the same run. It prints, and asserts nothing: a missed aim is a
 * row of the table, not a failure. docs/bench.md says what the figures mean and how they came out.
 */

type Part = (temporalBinary: string, form: Form, profile: string | null) => Promise<Figure[]>;

const PARTS: Readonly<Record<string, Part>> = {
  'worker-start': workerStart,
  'skipped-recipe': skippedRecipe,
  'skipped-recipe-on-postgres': skippedRecipeOnPostgres,
  'recipe-run': recipeRun,
  'quick-lane': quickLane,
  'pulling-ahead': pullingAhead,
  'single-sign-on': singleSignOn,
  site: siteBuild,
  snapshots: snapshotThroughput,
  'large-sweep': largeSweep,
};

/** A Keycloak takes as long to start in the short form as in full, and so does a slow line. */
const IN_FULL_ALONE = ['single-sign-on', 'pulling-ahead'];

async function bench(form: Form, parts: readonly string[], profile: string | null): Promise<Summary[]> {
  const { temporal } = await setUp(console.log, {
    images: [
      ...SMALL_IMAGES,
      ...MINIFLUX_IMAGES,
      ...ALL_IMAGES.filter(({ name }) => name === 'keycloak' && parts.includes('single-sign-on')),
    ],
    tests: true,
  });
  const figures: Summary[] = [];
  for (const name of parts) {
    interruption.throwIfAborted();
    const part = PARTS[name];
    if (part === undefined) throw new Error(`no part ${name}; there are ${Object.keys(PARTS).join(', ')}`);
    console.log(`\n${name}: measuring`);
    const began = Date.now();
    const measured = (await part(temporal, form, profile)).map(summarise);
    console.log(`${name}: measured in ${Math.round((Date.now() - began) / 1000)} s`);
    for (const note of measured.flatMap(({ notes }) => notes)) console.log(`  ${note}`);
    figures.push(...measured);
  }
  return figures;
}

/** Numbers mean little without it; more than a load of 1 or so says that the bench was not alone. */
async function machine(): Promise<object> {
  const [cpu] = os.cpus();
  const load = (await readFile('/proc/loadavg', 'utf8')).split(' ', 1)[0];
  const { length: cpus } = os.cpus();
  return {
    cpu: cpu?.model ?? '',
    cpus,
    memory: os.totalmem(),
    kernel: os.release(),
    node: process.version,
    load,
  };
}

interruption.addEventListener('abort', () => console.error('taking away what was started'));
try {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const form = values.short ? 'short' : 'full';
  const before = await machine();
  const started = new Date().toISOString();
  const all = Object.keys(PARTS).filter((part) => form === 'full' || !IN_FULL_ALONE.includes(part));
  const figures = await bench(form, values.only ?? all, values.profile ?? null);
  const head = ['figure', 'aim', 'median', 'min–max', 'times', ''];
  console.log(`\n${renderTable(head, rows(figures))}`);
  if (values.json !== undefined) {
    const written = { schema: 1, form, started, machine: before, figures };
    await writeFile(values.json, `${JSON.stringify(written, null, 2)}\n`);
  }
} catch (error) {
  if (!interruption.aborted) console.error(messageOf(error));
  process.exitCode = interruption.aborted ? EXIT.interrupted : 1;
}
// No connection that lingers may keep it.
process.exit();
