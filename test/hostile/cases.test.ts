import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isRecipeName } from '../../domain/names.ts';
import { ANSWER_CASES } from './cases/answers.ts';
import { SERVER_CASES } from './cases/git-servers.ts';
import { OVERLAY_CASES } from './cases/overlays.ts';
import { RECIPE_CASES } from './cases/recipe-files.ts';
import { RECORD_CASES } from './cases/records.ts';
import { REF_CASES } from './cases/refs.ts';
import { ROUTE_CASES } from './cases/routes.ts';
import { SNAPSHOT_CASES } from './cases/snapshots.ts';
import { URL_CASES } from './cases/upstream-urls.ts';
import { INPUT_CASES } from './cases/workflow-input.ts';

const CASES = {
  'workflow-input.ts': INPUT_CASES,
  'upstream-urls.ts': URL_CASES,
  'git-servers.ts': SERVER_CASES,
  'refs.ts': REF_CASES,
  'recipe-files.ts': RECIPE_CASES,
  'routes.ts': ROUTE_CASES,
  'overlays.ts': OVERLAY_CASES,
  'answers.ts': ANSWER_CASES,
  'records.ts': RECORD_CASES,
  'snapshots.ts': SNAPSHOT_CASES,
};

test('each case has a name of its own, which can be a recipe’s', () => {
  const names = Object.values(CASES).flatMap((cases) => cases.map(({ name }) => name));
  expect(names.filter((name) => !isRecipeName(name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});

test('docs/hostile-input.md counts them', async () => {
  const docs = await readFile(path.resolve(import.meta.dirname, '../../docs/hostile-input.md'), 'utf8');
  const counted = [...docs.matchAll(/`([a-z-]+\.ts)`, (\d+) cases/g)].map(([, file, count]) => [
    file,
    Number(count),
  ]);
  expect(counted).toEqual(Object.entries(CASES).map(([file, cases]) => [file, cases.length]));
});
