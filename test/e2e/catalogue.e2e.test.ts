import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readCatalogue } from '../../fixtures/catalogue.ts';
import { differencesOf, evidenceOf, openStage, toldOf, type Stage } from '../catalogue/stage.ts';

/**
 * Two small recipes of `recipes/` as `npm run catalogue` takes all of them through the swarm, which takes an hour: one that
 * is backed up and restored, and one without a shell in its image.
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
    const results = await stage.sweep(entries, release);
    for (const entry of entries) {
      const result = results.get(entry.recipe);
      if (result === undefined) throw new Error(`the report says nothing of ${entry.recipe}`);
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
