import { expect, test } from 'vitest';
import { isSame, nameOf, olderThan, withoutPreReleases, type Release } from '../../domain/release.ts';

const at = (version: string): Release => ({ version, commit: `commit of ${version}` });
const versionsIn = (releases: readonly Release[]): string[] => releases.map(({ version }) => version);

test('a release is called by its version, another commit by itself', () => {
  expect(nameOf(at('1.0.0+1'))).toBe('1.0.0+1');
  expect(nameOf({ version: null, commit: 'abc' })).toBe('abc');
});

test('a tag that moved leads to another release than it did', () => {
  expect(isSame(at('1.0.0+1'), at('1.0.0+1'))).toBe(true);
  expect(isSame(at('1.0.0+1'), { ...at('1.0.0+1'), commit: 'another' })).toBe(false);
  expect(isSame(at('1.0.0+1'), { ...at('1.0.0+1'), version: null })).toBe(false);
});

test('older ones are told newest first, and the release itself is none of them', () => {
  const releases = ['1.9.0+1', '1.10.0+1', '2.0.0+1', '2.0.0+2'].map(at);
  expect(versionsIn(olderThan('2.0.0+1', releases))).toEqual(['1.10.0+1', '1.9.0+1']);
});

test('a pre-release of the recipe is told from one of its app', () => {
  const found = ['1.0.0+2.0.0-rc1', '2.0.0-rc1+3', '2.0.0+3'].map(at);
  expect(versionsIn(withoutPreReleases(found))).toEqual(['1.0.0+2.0.0-rc1', '2.0.0+3']);
});
