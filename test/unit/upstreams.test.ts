import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { writeRecipesFolder } from '../../fixtures/recipes-folder.ts';
import { createUpstreams } from '../../fixtures/upstreams.ts';

const { output } = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'upstreams-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function git(repository: string, ...args: string[]): Promise<string> {
  return (await output({ file: 'git', args: ['--git-dir', repository, ...args] })).trim();
}

test('a published release is an annotated tag on the tip of main with the whole tree of that release', async () => {
  const upstreams = createUpstreams(folder);
  await upstreams.publish('custom-html', '1.0.0+1.22');
  const { commit, url } = await upstreams.publish('custom-html', '1.1.0+1.26');
  expect(url).toBe(upstreams.url('custom-html'));
  expect(await git(url, 'rev-parse', 'main')).toBe(commit);
  expect(await git(url, 'cat-file', '-t', '1.1.0+1.26')).toBe('tag');
  expect(await git(url, 'rev-parse', '1.1.0+1.26^{commit}')).toBe(commit);
  expect((await git(url, 'ls-tree', '-r', '--name-only', commit)).split('\n')).toEqual([
    '.env.sample',
    'README.md',
    'abra.sh',
    'compose.yml',
    'nginx.default.conf.tmpl',
    'release/1.0.0+1.22',
    'release/1.1.0+1.26',
  ]);
  expect(await git(url, 'show', `${commit}:compose.yml`)).toContain('nginx:1.26');
  expect(await git(url, 'show', '1.0.0+1.22:compose.yml')).toContain('nginx:1.22');
});

test('what a release has otherwise than its base does not leak into the next one', async () => {
  const upstreams = createUpstreams(folder);
  await upstreams.publish('custom-html-tiny', '1.1.0+1.26');
  const { commit, url } = await upstreams.publish('custom-html-tiny', '1.1.1+1.26');
  expect(await git(url, 'show', '1.1.0+1.26:nginx.conf.tmpl')).toContain('listen 8080');
  expect(await git(url, 'show', `${commit}:nginx.conf.tmpl`)).toContain('listen 80;');
});

test('the same releases have the same commits anywhere', async () => {
  const [here, there] = [createUpstreams(path.join(folder, 'a')), createUpstreams(path.join(folder, 'b'))];
  expect((await here.publish('webdis', '1.0.0+0.1.9')).commit).toBe(
    (await there.publish('webdis', '1.0.0+0.1.9')).commit,
  );
});

test('with a registry a release names its images as they are called there', async () => {
  const registry = {
    publish: async (compose: string) => compose.replaceAll('localhost/', '127.0.0.1:5000/'),
  };
  const { commit, url } = await createUpstreams(folder, registry).publish('webdis', '1.0.0+0.1.9');
  const compose = await git(url, 'show', `${commit}:compose.yml`);
  expect([...compose.matchAll(/image: (.*)/g)].map(([, image]) => image)).toEqual([
    '127.0.0.1:5000/recipe-sweep/webdis:0.1.9',
    '127.0.0.1:5000/recipe-sweep/redis:7.0',
  ]);
});

test('a moved tag leads to another commit, which main has', async () => {
  const upstreams = createUpstreams(folder);
  const first = await upstreams.publish('custom-html', '1.0.0+1.22');
  const moved = await upstreams.moveTag('custom-html', '1.0.0+1.22');
  expect(moved.commit).not.toBe(first.commit);
  expect(await git(moved.url, 'rev-parse', '1.0.0+1.22^{commit}', 'main')).toBe(
    `${moved.commit}\n${moved.commit}`,
  );
  await expect(upstreams.moveTag('custom-html', '9.9.9+9')).rejects.toThrow('9.9.9+9');
});

test('an untagged commit moves main and no tag', async () => {
  const upstreams = createUpstreams(folder);
  const released = await upstreams.publish('unreleased', 'v1.0.0');
  const { commit, url } = await upstreams.commitUntagged('unreleased');
  expect(await git(url, 'rev-parse', 'main', 'v1.0.0^{commit}')).toBe(`${commit}\n${released.commit}`);
});

test('a removed upstream is gone, and can be published anew', async () => {
  const upstreams = createUpstreams(folder);
  const { url, commit } = await upstreams.publish('unreleased', 'v1.0.0');
  await upstreams.remove('unreleased');
  await expect(git(url, 'rev-parse', 'main')).rejects.toThrow();
  expect((await upstreams.publish('unreleased', 'v1.0.0')).commit).toBe(commit);
});

test('the recipes folder enrols the fixtures in a form that is read back', async () => {
  const upstreams = createUpstreams(folder);
  await writeRecipesFolder(path.join(folder, 'recipes'), upstreams, ['custom-html', 'pinboard', 'webdis']);
  const recipes = createRecipes(path.join(folder, 'recipes'));
  const read = await Promise.all((await recipes.all()).map(({ recipe }) => recipes.one(recipe)));
  expect(read.map(({ recipe, upstream, probe }) => [recipe, upstream, probe])).toEqual([
    ['custom-html', upstreams.url('custom-html'), expect.objectContaining({ contains: 'Welcome to nginx!' })],
    ['pinboard', upstreams.url('pinboard'), expect.objectContaining({ contains: 'Pinboard' })],
    ['webdis', upstreams.url('webdis'), expect.objectContaining({ path: '/PING', contains: 'PONG' })],
  ]);
  expect(
    read.map(({ hooks, checks }) => [Object.keys(hooks), checks.map((file) => path.basename(file))]),
  ).toEqual([
    [[], []],
    [
      ['check-data', 'ready', 'write-data'],
      ['readable', 'search'],
    ],
    [[], []],
  ]);
});
