import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TIERS } from '../../domain/outcome.ts';
import { readCatalogue } from '../../fixtures/catalogue.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const RECIPES = path.join(ROOT, 'recipes');

/** As the issue of all 21 names them. */
const THE_21 = [
  'bluesky-pds',
  'cryptpad',
  'custom-html',
  'custom-html-tiny',
  'discourse',
  'drone',
  'ghost',
  'gitea',
  'hedgedoc',
  'immich',
  'keycloak',
  'lasuite-docs',
  'lasuite-drive',
  'lasuite-meet',
  'mailu',
  'matrix-synapse',
  'mattermost-lts',
  'mumble',
  'n8n',
  'plausible',
  'uptime-kuma',
];

const catalogue = readCatalogue();
const shipped = await Promise.all(
  catalogue.map(async ({ recipe }) => ({ recipe, settings: await createRecipes(RECIPES).one(recipe) })),
);

describe.each(shipped)('recipes/$recipe', ({ recipe, settings }) => {
  it('says what is tested, where its facts are from, and what could not be tried', () => {
    const text = readFileSync(path.join(RECIPES, recipe, 'README.md'), 'utf8');
    for (const part of [
      '**What is tested.**',
      '**Where the facts are from.**',
      '**What could not be tried.**',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('has data to look for, and two checks beside the probe, unless it is a service', () => {
    if (settings.live) return;
    expect(Object.keys(settings.hooks)).toEqual(expect.arrayContaining(['write-data', 'check-data']));
    expect(settings.checks.length).toBeGreaterThanOrEqual(2);
  });
});

/** The row of the table that an entry must have. */
function rowOf({ recipe, app, runs, skipped, facts }: ReturnType<typeof readCatalogue>[number]): string[] {
  const proven =
    recipe === 'keycloak' ? 'as a service' : TIERS.filter((tier) => skipped[tier] === undefined).join(', ');
  return [recipe, app === 'real' ? 'the app' : 'a stand-in', runs, proven, facts];
}

describe('docs/catalogue.md', () => {
  it('has a row for each, as it is', () => {
    const rows = readFileSync(path.join(ROOT, 'docs/catalogue.md'), 'utf8')
      .split('\n')
      .filter((line) => /^\| [a-z][a-z0-9-]* /.test(line) && !line.startsWith('| recipe '))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(rows).toEqual(catalogue.map(rowOf));
  });

  it('is about the recipes that there are, but for traefik, which carries everybody’s TLS', () => {
    const folders = readdirSync(RECIPES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).filter((name) => name !== 'traefik')).toEqual(THE_21);
  });
});
