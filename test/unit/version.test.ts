import fc from 'fast-check';
import semver from 'semver';
import { describe, expect, test } from 'vitest';
import { compareVersions, parseVersion, versionsOf } from '../../domain/version.ts';

const number = fc.nat({ max: 30 });
const recipePart = fc.tuple(number, number, number).map((parts) => parts.join('.'));
const appPart = fc.oneof(
  recipePart,
  recipePart.map((version) => `v${version}`),
  fc
    .tuple(recipePart, fc.constantFrom('-rc1', '-rc.2', '-beta', '-social-amd64', '_p1', '-alpine'))
    .map((parts) => parts.join('')),
  fc.stringMatching(/^[0-9A-Za-z][0-9A-Za-z._+-]{0,12}$/),
);
const release = fc.tuple(recipePart, appPart).map(([recipe, app]) => `${recipe}+${app}`);

describe('a release tag', () => {
  test.each([
    '3.1.0+v2.0.0',
    '1.0.0+1.0.5-social-amd64',
    '2.0.1+1.0.6',
    '0.1.0+latest',
    '1.0.0-rc1+2',
    '10.0.0+2024.04_p1',
  ])('%s is a release', (tag) => {
    expect(parseVersion(tag)?.tag).toBe(tag);
  });

  test.each([
    'v1.0.1',
    '1.0.0',
    '1.0+2',
    '1.0.0+',
    '+1.0.0',
    '-f',
    '--upload-pack=x',
    '$(id)',
    'HEAD',
    '1.0.0+$(id)',
    '1.0.0+a b',
    '1.0.0+a\nb',
    '1.0.0+-rf',
    '01.0.0+1',
    '1.0.0+\u202e1',
    '1.0.0+../../etc',
    `1.0.0+${'9'.repeat(300)}`,
    '99999999999999999999.0.0+1',
  ])('%j is not', (tag) => {
    expect(parseVersion(tag)).toBeNull();
  });
});

describe('version order', () => {
  test.each([
    ['1.0.0+1.22', '1.1.0+1.22', 'recipe semver decides first'],
    ['1.9.0+9.0.0', '1.10.0+1.0.0', 'recipe numbers are numbers'],
    ['1.0.0+1.9', '1.0.0+1.10', 'then the app version, by number'],
    ['1.0.0+v2.0.0', '1.0.0+2.0.1', 'a leading v means nothing'],
    ['1.0.0+2.0.0-rc1', '1.0.0+2.0.0', 'a release candidate precedes its release'],
    ['1.0.0+2.0.0-beta2', '1.0.0+2.0.0-rc1', 'beta precedes rc'],
    ['1.0.0+1.0.5', '1.0.0+1.0.5-social-amd64', 'a variant follows the plain version'],
    ['1.0.0-rc1+9', '1.0.0+1', 'a recipe pre-release precedes its release'],
    ['1.0.0+2', '1.0.0+v2', 'the tie rule: code units of the whole tag'],
    ['1.0.0+1.1.1', '1.0.0+1.1.1a', 'a letter right behind a number counts up'],
    ['1.0.0+1.1.1a', '1.0.0+1.1.1b', 'and the next one further'],
    ['1.0.0+1.1.1b', '1.0.0+1.1.2', 'but not to the next number'],
    ['1.0.0+2.0b1', '1.0.0+2.0', 'with a number behind it, it is the word it always was'],
    ['1.0.0+2.0-b', '1.0.0+2.0', 'and so is one that stands apart'],
    ['1.0.0+20240401', '1.0.0+20240501', 'dates count as numbers'],
  ])('%s < %s: %s', (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
  });

  test('is total: reflexive only for the same tag, antisymmetric, transitive', () => {
    fc.assert(
      fc.property(release, release, release, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(compareVersions(a, b) === 0).toBe(a === b);
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        const [first, second, third] = [a, b, c].sort(compareVersions) as [string, string, string];
        expect(compareVersions(first, third)).toBeLessThanOrEqual(0);
        expect(compareVersions(first, second)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });

  test('agrees with semver on the recipe part, whatever the app says', () => {
    fc.assert(
      fc.property(recipePart, recipePart, appPart, appPart, (a, b, left, right) => {
        const order = semver.compare(a, b);
        fc.pre(order !== 0);
        expect(Math.sign(compareVersions(`${a}+${left}`, `${b}+${right}`))).toBe(order);
      }),
    );
  });

  test('agrees with semver on app versions of semver form', () => {
    fc.assert(
      fc.property(recipePart, recipePart, (a, b) => {
        const order = semver.compare(a, b);
        fc.pre(order !== 0);
        expect(Math.sign(compareVersions(`1.0.0+${a}`, `1.0.0+v${b}`))).toBe(order);
      }),
    );
  });

  test('text that is no release is refused, not ordered', () => {
    expect(() => compareVersions('1.0.0+1', '-f')).toThrow('not a release tag');
  });

  test('releases are picked out of tags, oldest first', () => {
    const tags = ['2.0.0+1', 'v9', '1.10.0+1', 'nightly', '1.9.0+1'];
    expect(versionsOf(tags).map(({ tag }) => tag)).toEqual(['1.9.0+1', '1.10.0+1', '2.0.0+1']);
  });
});
