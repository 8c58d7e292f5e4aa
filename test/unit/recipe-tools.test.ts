import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { refuseWithoutTools } from '../../activities/preflight.ts';
import type { Config } from '../../host/config/config.ts';
import { lackFor, recipeTools } from '../../host/recipe-tools.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(path.join(os.tmpdir(), 'recipe-tools-'));
  await program('node');
});
afterEach(async () => {
  await rm(bin, { recursive: true, force: true });
});

async function program(name: string): Promise<void> {
  await writeFile(path.join(bin, name), '#!/bin/sh\n');
  await chmod(path.join(bin, name), 0o755);
}

const FOLDERS: Record<string, { tools?: string[]; deps?: string[] }> = {
  ghost: {},
  mumble: { tools: ['node'] },
  gitea: { tools: ['git-lfs'], deps: ['database'] },
  drone: { tools: ['node'], deps: ['gitea', 'database'] },
  database: { tools: ['psql', 'node'] },
};
const folders = { one: async (recipe: string) => ({ ...plainSettings(recipe), ...FOLDERS[recipe] }) };

test('the tools of a recipe are its own and those of whatever it needs, each with who names it', async () => {
  expect(await recipeTools(folders, ['ghost'], bin)).toEqual([]);
  expect(await recipeTools(folders, ['drone'], bin)).toEqual([
    { name: 'node', by: ['drone', 'database'], file: path.join(bin, 'node') },
    { name: 'git-lfs', by: ['gitea'], file: null },
    { name: 'psql', by: ['database'], file: null },
  ]);
});

test('what this host lacks says who names it and what to do', async () => {
  const lack = async (recipe: string) => lackFor(folders, recipe, bin);
  expect(await lack('mumble')).toBe(null);
  expect(await lack('drone')).toBe(
    `git-lfs, which gitea names in "tools", is not on ${bin}: install it (apt-get install git-lfs), or set "path" in the configuration; ` +
      `psql, which database names in "tools", is not on ${bin}: install it (apt-get install psql), or set "path" in the configuration`,
  );
});

test('a program that is there and cannot be run, or is a folder, is not one', async () => {
  await chmod(path.join(bin, 'node'), 0o644);
  expect((await recipeTools(folders, ['mumble'], bin))[0]?.file).toBe(null);
  await mkdir(path.join(bin, 'git-lfs'));
  expect((await recipeTools(folders, ['gitea'], bin))[0]?.file).toBe(null);
});

test('a live service is not taken to another release without its tools', async () => {
  const world = {
    config: { path: bin } as Config,
    recipes: { ...folders, all: async () => [], strays: async () => [] },
  };
  await expect(refuseWithoutTools(world, 'mumble')).resolves.toBeUndefined();
  await expect(refuseWithoutTools(world, 'gitea')).rejects.toMatchObject({
    type: 'Preflight',
    message: expect.stringContaining('git-lfs, which gitea names'),
  });
});
