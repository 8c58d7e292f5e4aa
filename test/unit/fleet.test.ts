import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecipeResult } from '../../domain/report.ts';
import { createFleetReader, type FleetReader } from '../../host/fleet.ts';
import { createRunIndex } from '../../host/store/run-index.ts';

let root: string;
let fleet: FleetReader;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'fleet-'));
  mkdirSync(path.join(root, 'recipes'));
  fleet = createFleetReader({
    state: path.join(root, 'state'),
    recipes: path.join(root, 'recipes'),
    zone: 'ci.test',
  });
});
afterEach(() => rmSync(root, { recursive: true }));

function folder(recipe: string, settings: string): void {
  mkdirSync(path.join(root, 'recipes', recipe), { recursive: true });
  writeFileSync(path.join(root, 'recipes', recipe, 'recipe.yml'), settings);
}

function result(recipe: string, day: number): RecipeResult {
  const at = new Date(Date.UTC(2025, 0, day)).toISOString();
  return {
    schema: 4,
    recipe,
    asked: { by: 'sweep', id: `sweep-${day}` },
    outcome: { kind: 'PASS', promoted: '1.0.0+1' },
    leftovers: null,
    notes: [],
    release: null,
    test: null,
    tiers: [{ tier: 'install', result: 'pass', ms: 1200 }],
    level: 1,
    lint: null,
    spentMs: null,
    started: at,
    ended: at,
    workflow: { id: `sweep-${day}/${recipe}`, runId: null },
  };
}

test('has every recipe with a folder, runs or a canonical, and what cannot be read of each', async () => {
  folder('ghost', 'upstream: https://git.example.org/ghost.git\nhold: until the new year\n');
  folder('broken', 'upstrea: x\n');
  await createRunIndex(path.join(root, 'state')).add(result('gone', 1));
  const found = await fleet.read();
  expect(found.map(({ recipe }) => recipe)).toEqual(['broken', 'ghost', 'gone']);
  const [broken, ghost, gone] = found;
  expect(broken?.problems[0]).toContain('upstrea');
  expect(ghost).toMatchObject({
    folder: { hold: 'until the new year', exception: null },
    runs: [],
    canonical: null,
  });
  expect(gone).toMatchObject({
    folder: null,
    runs: [{ version: null, tiers: [{ tier: 'install', ms: 1200 }] }],
  });
});

test('tells where a recipe comes from without the password that its folder has for there', async () => {
  folder('ghost', 'upstream: https://bot:secret@git.example.org/ghost.git\n');
  const found = await fleet.read();
  expect(found[0]?.folder?.upstream).toBe('https://git.example.org/ghost.git');
  expect(JSON.stringify(found)).not.toContain('secret');
});

test('reads again what changed, and only that', async () => {
  const state = path.join(root, 'state');
  const index = createRunIndex(state);
  await index.add(result('ghost', 1));
  await index.add(result('gitea', 1));
  const before = await fleet.read();
  await index.add(result('ghost', 2));
  const after = await fleet.read();
  expect(after.find(({ recipe }) => recipe === 'ghost')?.runs).toHaveLength(2);
  const of = (found: typeof before) => found.find(({ recipe }) => recipe === 'gitea');
  expect(of(after)).toBe(of(before));
});

test('of a host without any recipe is empty', async () => {
  expect(await fleet.read()).toEqual([]);
});
