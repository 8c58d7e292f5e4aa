import { expect, test } from 'vitest';
import { recipeWorkflowId } from '../../workflows/protocol.ts';
import { parseRecipeSweepInput } from '../../workflows/input.ts';

const INPUT = {
  recipe: 'gitea',
  sweep: { id: 'by hand/again', runId: 'r' },
  settings: { attempts: 2, tierMs: 1, promoteMs: 1, sweepMs: 1 },
  deadlineMs: 1,
  left: null,
};

test("a recipe's run is taken under the ID that its sweep gives it", () => {
  const id = recipeWorkflowId(INPUT.sweep.id, INPUT.recipe);
  expect(parseRecipeSweepInput(INPUT, id)).toBe(INPUT);
});

test('it is told whose turn comes next, by names of recipes', () => {
  const id = recipeWorkflowId(INPUT.sweep.id, INPUT.recipe);
  expect(parseRecipeSweepInput({ ...INPUT, next: ['ghost'] }, id).next).toEqual(['ghost']);
  for (const next of ['ghost', ['../ghost'], [1], null]) {
    expect(() => parseRecipeSweepInput({ ...INPUT, next }, id)).toThrow(
      `next: ${JSON.stringify(next)} is not a list of recipe names`,
    );
  }
});

test.each(['gitea', 'another/gitea', 'by hand/again', ''])('it is refused under the ID %j', (id) => {
  expect(() => parseRecipeSweepInput(INPUT, id)).toThrow(
    `${JSON.stringify(id)} is not the workflow ID of this run, "by hand/again/gitea"`,
  );
});
