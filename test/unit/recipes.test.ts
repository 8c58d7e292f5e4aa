import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRecipes } from '../../host/recipes.ts';

const OURS = path.resolve(import.meta.dirname, '../../recipes');

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'recipes-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function write(recipe: string, text: string): Promise<void> {
  await mkdir(path.join(folder, recipe));
  await writeFile(path.join(folder, recipe, 'recipe.yml'), text);
}

test('the 21 recipes are there, all enrolled but keycloak', async () => {
  const all = await createRecipes(OURS).all();
  expect(all).toHaveLength(21);
  expect(all.filter(({ exception }) => exception !== null).map(({ recipe }) => recipe)).toEqual(['keycloak']);
});

test('the example is a recipe.yml', async () => {
  await mkdir(path.join(folder, 'hedgedoc'));
  await copyFile(path.join(OURS, 'recipe.example.yml'), path.join(folder, 'hedgedoc', 'recipe.yml'));
  expect(await createRecipes(folder).one('hedgedoc')).toMatchObject({
    recipe: 'hedgedoc',
    upstream: 'https://git.coopcloud.tech/coop-cloud/hedgedoc.git',
    exception: null,
    hold: null,
    env: { CMD_ALLOW_ANONYMOUS: 'true' },
    probe: { path: '/status', status: [200], contains: 'onlineUsers' },
  });
});

test('all that is wrong in a recipe.yml is said at once, and the other recipes stay enrolled', async () => {
  await write('one', 'upstream: ext::sh -c id\nupgrade_base: 1.0.0+1\nprobe: { stauts: [200] }\n');
  await write('two', 'upstream: /srv/two.git\n');
  await write('Four', 'upstream: /x\n');
  const all = await createRecipes(folder).all();
  expect(all.map(({ recipe, problem }) => [recipe, problem === null])).toEqual([
    ['Four', false],
    ['one', false],
    ['two', true],
  ]);
  expect(all[0]?.problem).toContain('Four: not a recipe name');
  for (const part of [
    'one/recipe.yml',
    'upstream: ',
    'upgrade_base: unknown key',
    'probe.stauts: unknown key',
  ]) {
    expect(all[1]?.problem).toContain(part);
  }
});

test.each([
  ['no such folder', null],
  ['broken YAML', 'upstream: [\n'],
  ['an empty file', ''],
])('%s is a clear error', async (_situation, text) => {
  if (text !== null) await write('one', text);
  await expect(createRecipes(folder).one('one')).rejects.toMatchObject({
    type: 'BadConfig',
    message: expect.stringContaining('recipe.yml'),
  });
});
