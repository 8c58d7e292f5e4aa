import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readCatalogue } from '../../fixtures/catalogue.ts';
import { cached } from '../../setup/images/cache.ts';
import { ALL_IMAGES, CATALOGUE_IMAGES, reference, SMALL_IMAGES } from '../../setup/images/catalogue.ts';
import { standIns } from '../../setup/images/stand-ins.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Named by releases that are to fail. */
const MISSING = ['localhost/recipe-sweep/nginx:1.99', 'localhost/recipe-sweep/keycloak:26.9.9'];

async function imagesOf(folder: string): Promise<string[]> {
  const recipes = path.join(ROOT, 'fixtures', folder);
  const files = (await readdir(recipes, { recursive: true })).filter((file) => /compose.*\.yml$/.test(file));
  const texts = await Promise.all(files.map((file) => readFile(path.join(recipes, file), 'utf8')));
  return texts.flatMap((text) => [...text.matchAll(/^ *image: (\S+)/gm)].map(([, image = '']) => image));
}

describe('the images of the fixture recipes', () => {
  it('are those that the recipes name', async () => {
    const named = new Set(await imagesOf('recipes'));
    for (const image of MISSING) named.delete(image);
    expect([...named].sort()).toEqual(ALL_IMAGES.map(reference).sort());
  });

  it('are those that the catalogue names, and the second releases of its apps', async () => {
    const composed = await imagesOf('catalogue');
    const changed = readCatalogue().flatMap(({ changes }) => Object.values(changes));
    const known = CATALOGUE_IMAGES.map(reference);
    expect(composed.filter((image) => !known.includes(image))).toEqual([]);
    const own = CATALOGUE_IMAGES.filter((image) => !ALL_IMAGES.includes(image)).map(reference);
    const isNamed = (image: string): boolean =>
      composed.includes(image) || changed.some((change) => image.endsWith(change));
    expect(own.filter((image) => !isNamed(image))).toEqual([]);
  });

  it('of the demo need nothing but Debian', () => {
    expect(SMALL_IMAGES.filter(({ part }) => part !== undefined)).toEqual([]);
  });
});

describe('the images of an installation', () => {
  const root = (file: string): Promise<string> => readFile(path.join(ROOT, file), 'utf8');

  it('are each stood in for, under the name that docker-compose.yml and the Dockerfile have', async () => {
    const composed = [...(await root('docker-compose.yml')).matchAll(/^ *image: (\S+)/gm)];
    const based = [...(await root('Dockerfile')).matchAll(/^ARG NODE=(\S+)/gm)];
    const named = new Set([...composed, ...based].map(([, image = '']) => image));
    const { version } = JSON.parse(await root('package.json')) as { version: string };
    expect(named).toContain(`recipe-sweep:${version}`);
    named.delete(`recipe-sweep:${version}`);
    expect([...named].sort()).toEqual(
      standIns()
        .map(({ standsFor }) => standsFor)
        .sort(),
    );
  });

  it('are pinned to a version', async () => {
    for (const { standsFor } of standIns()) expect(standsFor).toMatch(/:\d+\.\d+/);
  });
});

describe('what is kept in the cache', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'cache-'));
    vi.stubEnv('XDG_CACHE_HOME', home);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });

  it('is made once', async () => {
    const make = vi.fn<(scratch: string) => Promise<void>>((scratch) => writeFile(scratch, 'made'));
    const first = await cached('things/one', make);
    expect(await cached('things/one', make)).toBe(first);
    expect(make).toHaveBeenCalledOnce();
    expect(await readFile(first, 'utf8')).toBe('made');
  });

  it('is nothing that was made by half', async () => {
    const failing = cached('things/one', async (scratch) => {
      await writeFile(scratch, 'ma');
      throw new Error('no space left');
    });
    await expect(failing).rejects.toThrow('no space left');
    expect(await readdir(path.join(home, 'recipe-sweep/things'))).toEqual([]);
  });
});
