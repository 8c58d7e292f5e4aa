import fc from 'fast-check';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  coldDomain,
  isRecipeName,
  parseRecipeRunId,
  recipeRunId,
  stackName,
  warmDomain,
} from '../../domain/names.ts';
import { folderName, runFolderName } from '../../host/store/places.ts';

test('the domains are the spec’s', () => {
  expect(warmDomain('custom-html', 'ci.example.org')).toBe('warm-custom-html.ci.example.org');
  expect(coldDomain('custom-html', 'ci.example.org', '01a1fda3-61ca-7939-915b-47f1b4e24018')).toBe(
    'cust-e24018.ci.example.org',
  );
  expect(stackName('cust-e24018.ci.example.org')).toBe('cust-e24018_ci_example_org');
});

test.each(['-f', 'a--b', 'A', 'a_b', '../x', '', 'a/b', 'x'.repeat(41), 'a\n'])(
  '%j is no recipe name',
  (name) => {
    expect(isRecipeName(name)).toBe(false);
  },
);

test.each(['sweep-1', 'by hand/again', ''])(
  'a recipe’s run that %j asked for is known by its ID',
  (asker) => {
    expect(parseRecipeRunId(recipeRunId(asker, 'custom-html'))).toEqual({ asker, recipe: 'custom-html' });
  },
);

test.each(['sweep-1', 'sweep-1/', 'sweep-1/Not A Recipe'])('%j is no recipe’s run', (id) => {
  expect(parseRecipeRunId(id)).toBeNull();
});

describe("a recipe's run as a folder", () => {
  test('is who asked, and in it the recipe', () => {
    expect(runFolderName('sweep-2026-11-22T03:00:00Z/gitea')).toBe('sweep-2026-11-22T03:00:00Z/gitea');
    expect(runFolderName('by hand/again/gitea')).toBe('by%20hand%2Fagain/gitea');
  });

  test('is never in that of another', () => {
    const id = fc.stringMatching(/^[a-z./]{1,12}\/[a-z]{1,3}$/);
    fc.assert(
      fc.property(id, id, (one, other) => {
        const [joined, otherJoined] = [one, other].map((run) => path.resolve('/runs', runFolderName(run)));
        expect(path.dirname(path.dirname(joined ?? ''))).toBe('/runs');
        if (one !== other) expect(joined).not.toBe(otherJoined);
      }),
    );
  });

  test.each(['sweep-1', '/gitea', 'sweep-1/', 'sweep-1/..', ''])('%j is none', (id) => {
    expect(() => runFolderName(id)).toThrow(RangeError);
  });
});

describe('a workflow ID as a folder', () => {
  test('an ordinary one stays readable', () => {
    expect(folderName('sweep-2026-11-22T03:00:00Z')).toBe('sweep-2026-11-22T03:00:00Z');
  });

  test('is always one folder below its parent, and another one for another ID', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 60 }),
        fc.string({ minLength: 1, maxLength: 60 }),
        (id, other) => {
          const joined = path.resolve('/state/sweeps', folderName(id));
          expect(path.dirname(joined)).toBe('/state/sweeps');
          if (id !== other) expect(folderName(id)).not.toBe(folderName(other));
        },
      ),
    );
    const long = '%'.repeat(900);
    expect(folderName(`${long}a`)).not.toBe(folderName(`${long}b`));
    expect(folderName(`${long}a`).length).toBeLessThan(250);
    expect(path.dirname(path.resolve('/s', folderName('../../etc/passwd')))).toBe('/s');
    expect(path.dirname(path.resolve('/s', folderName('..')))).toBe('/s');
  });
});
