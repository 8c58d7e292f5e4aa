import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readCatalogue } from '../../fixtures/catalogue.ts';
import { differencesOf, evidenceOf, openStage, toldOf, type Stage } from '../catalogue/stage.ts';

/**
 * Two small recipes of `recipes/` as `npm run catalogue` takes all of them through the swarm, which takes an hour: one that
 * is backed up and restored, and one whose files docker's client puts in place, as no shell is in its image upstream.
 */

const catalogue = readCatalogue();
const entries = catalogue.filter(({ recipe }) => ['custom-html-tiny', 'n8n'].includes(recipe));

let stage: Stage;

beforeAll(async () => {
  stage = await openStage(inject('temporal'), entries, catalogue);
});

afterAll(async () => {
  await stage?.close();
});

describe.each([0, 1] as const)('release %i', (release) => {
  test('says what it must', async () => {
    for (const { entry, result } of await stage.sweep(entries, release)) {
      const differences = differencesOf(entry, release, result);
      expect(
        [entry.recipe, differences],
        `${toldOf(result).join('\n')}\n${await evidenceOf(result)}`,
      ).toEqual([entry.recipe, []]);
    }
  });
});

test('leaves nothing behind but the data of canonicals', async () => {
  const { system } = stage;
  expect((await system.ours()).filter((thing) => !/^(volume|secret) warm-/.test(thing))).toEqual([]);
});
