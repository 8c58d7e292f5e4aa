import { expect, test } from 'vitest';
import { parseVersion } from '../../domain/version.ts';
import { CATALOGUE } from '../faults/catalogue.ts';
import { filesOf, versionOf } from '../faults/entry.ts';
import { judge } from '../faults/judge.ts';
import type { RecipeResult } from '../../domain/report.ts';

const NAMES = {
  recipe: 'one',
  image: 'image:1',
  latest: 'image:latest',
  registry: 'registry',
  leaving: 'leaving:1',
  port: '1',
};

test('each entry has a name of its own, which a recipe can have, and words of its own', () => {
  for (const key of ['name', 'planted'] as const) {
    const said = CATALOGUE.map((entry) => entry[key]);
    expect(said.filter((text, index) => said.indexOf(text) !== index)).toEqual([]);
  }
  expect(CATALOGUE.filter(({ name }) => !/^[a-z][a-z0-9-]{2,40}$/.test(name))).toEqual([]);
});

test('each entry says where a red is seen, and sweeps its last release', () => {
  for (const entry of CATALOGUE) {
    const { expected, releases } = entry;
    for (const { outcome, tier } of [expected, ...releases.flatMap(({ comes }) => comes ?? [])]) {
      expect([entry.name, tier !== undefined]).toEqual([entry.name, outcome === 'FAIL']);
    }
    expect([entry.name, releases.at(-1)?.unswept]).toEqual([entry.name, undefined]);
    const versions = releases.map((_, index) => versionOf(entry, index));
    expect(versions.filter((version) => parseVersion(version) === null)).toEqual([]);
    expect(new Set(versions).size).toBe(versions.length);
  }
});

test('there are at least forty, and every file of each can be written', () => {
  expect(CATALOGUE.length).toBeGreaterThanOrEqual(40);
  for (const entry of CATALOGUE) {
    for (const index of entry.releases.keys()) expect(filesOf(entry, index, NAMES)).not.toEqual({});
  }
});

test('a release has what it says instead of what the base recipe has', () => {
  const entry = CATALOGUE.find(({ name }) => name === 'answers-500');
  if (!entry) throw new RangeError('answers-500');
  const { 'compose.yml': compose = '' } = filesOf(entry, 0, NAMES);
  expect(compose).toContain('answer "500 Broken"');
  expect(compose).toContain('image:1');
  expect(compose).not.toContain('healthcheck');
});

const [plain] = CATALOGUE;
const red: Pick<RecipeResult, 'outcome' | 'tiers' | 'level' | 'lint'> = {
  outcome: {
    kind: 'FAIL',
    version: '1.0.0+1',
    tier: 'install',
    why: 'it is broken',
    evidence: '',
    canonical: null,
  },
  tiers: [{ tier: 'install', result: 'fail', reason: 'it is broken', evidence: '' }],
  level: 0,
  lint: null,
};
const green = { ...red, outcome: { kind: 'PASS', promoted: '1.0.0+1' }, tiers: [] } as const;

test.each([
  ['right', { outcome: 'FAIL', tier: 'install', says: 'is broken' }, red],
  ['wrong reason', { outcome: 'FAIL', tier: 'install', says: 'is away' }, red],
  ['wrong reason', { outcome: 'PASS', lint: ['readme-missing'] }, green],
  ['wrong tier', { outcome: 'FAIL', tier: 'restore' }, red],
  ['wrong tier', { outcome: 'PASS', level: 3 }, green],
  ['wrong outcome', { outcome: 'PASS', promoted: '2.0.0+1' }, green],
  ['wrong outcome', { outcome: 'ERROR infrastructure' }, green],
  ['wrong outcome', { outcome: 'FAIL', tier: 'install', canonical: '0.9.0+1' }, red],
  ['falsely green', { outcome: 'FAIL', tier: 'install' }, green],
  ['falsely red', { outcome: 'PASS' }, red],
  ['falsely red', { outcome: 'ERROR infrastructure' }, red],
] as const)('a verdict is %s', (mark, expected, result) => {
  if (!plain) throw new RangeError('empty');
  expect(judge({ ...plain, expected }, { ...result, tiers: [...result.tiers] }).mark).toBe(mark);
});
