import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideOnService, servicesAmong, type ServiceFacts } from '../../domain/service.ts';
import { compareVersions, majorStep } from '../../domain/version.ts';

const at = (version: string) => ({ version, commit: `commit of ${version}` });

/** Keycloak, healthy at its last-good release, with newer ones upstream. */
function facts(changed: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    seen: { is: 'up', version: '10.0.0+26.0.8' },
    lastGood: at('10.0.0+26.0.8'),
    releases: ['10.0.0+26.0.8', '10.0.1+26.0.8', '10.1.0+26.1.0'].map(at),
    notes: new Map(),
    approved: null,
    rolledBack: null,
    hold: null,
    stopped: null,
    ...changed,
  };
}

const latest = '10.1.0+26.1.0';
const major = [...facts().releases, at('11.0.0+27.0.0')];
const nothing = { is: 'nothing' } as const;

describe('what is done about a service', () => {
  test.each<[string, Partial<ServiceFacts>, object]>([
    ['that has a newer release', {}, { decision: 'upgrade', to: at(latest) }],
    ['at its latest release', { releases: [at('10.0.0+26.0.8')] }, { decision: 'noop' }],
    ['whose releases were all withdrawn', { releases: [] }, { decision: 'noop' }],
    ['that is newer than every release', { releases: [at('9.0.0+26.0.8')] }, { decision: 'noop' }],
    [
      'that is down, although there is a newer release',
      { seen: { is: 'down', version: '10.0.0+26.0.8' } },
      { decision: 'recover', to: at('10.0.0+26.0.8') },
    ],
    ['of which nothing is left', { seen: nothing }, { decision: 'recover', to: at('10.0.0+26.0.8') }],
    [
      'with a major step ahead',
      { releases: major },
      { decision: 'hold-major', release: at('11.0.0+27.0.0') },
    ],
    [
      'with an approved major step ahead',
      { releases: major, approved: '11.0.0+27.0.0' },
      { decision: 'upgrade', to: at('11.0.0+27.0.0') },
    ],
    [
      'with a major step ahead, and another version approved',
      { releases: major, approved: latest },
      { decision: 'hold-major' },
    ],
    [
      'whose notes hold, and which is approved',
      { notes: new Map([[latest, 'manual migration']]), approved: latest },
      { decision: 'upgrade' },
    ],
    [
      'whose notes of old releases alone would hold',
      { notes: new Map([['10.0.0+26.0.8', 'manual migration']]) },
      { decision: 'upgrade' },
    ],
    ['that was rolled back', { rolledBack: latest }, { decision: 'noop' }],
    [
      'that was rolled back and then approved',
      { rolledBack: latest, approved: latest },
      { decision: 'upgrade' },
    ],
    ['that was rolled back from an older one', { rolledBack: '10.0.1+26.0.8' }, { decision: 'upgrade' }],
    [
      'that was rolled back and is down',
      { rolledBack: latest, seen: { is: 'down', version: '10.0.0+26.0.8' } },
      { decision: 'recover' },
    ],
    ['that is held', { hold: 'for now' }, { decision: 'leave', because: 'held', reason: 'for now' }],
    [
      'whose rollback failed, held or not',
      { stopped: 'look', hold: 'for now', seen: nothing },
      { decision: 'leave', because: 'rollback-failed', reason: 'look' },
    ],
    [
      'that somebody upgraded by hand',
      { seen: { is: 'up', version: latest } },
      { decision: 'leave', because: 'not-adopted' },
    ],
    [
      'that nobody adopted',
      { lastGood: null, approved: latest },
      { decision: 'leave', because: 'not-adopted' },
    ],
    ['that is not there', { lastGood: null, seen: nothing }, { decision: 'leave', because: 'not-deployed' }],
    [
      'that is not there, with a release approved',
      { lastGood: null, seen: nothing, approved: latest },
      { decision: 'install', to: at(latest) },
    ],
    [
      'that is not there and has no release',
      { lastGood: null, seen: nothing, releases: [] },
      { decision: 'leave', because: 'not-deployed' },
    ],
  ])('%s', (_situation, changed, expected) => {
    const decision = decideOnService(facts(changed));
    expect(decision).toMatchObject(expected);
    expect(decision.reason).not.toBe('');
  });

  test('of notes each that is passed over is read, and the hold names it and says all of it', () => {
    const notes = new Map([
      ['10.0.1+26.0.8', 'Fixes.\nThe realm must be moved by hand.'],
      [latest, 'No breaking changes.'],
    ]);
    expect(decideOnService(facts({ notes }))).toEqual({
      decision: 'hold-manual-migration',
      release: at(latest),
      reason: '10.0.0+26.0.8 → 10.1.0+26.1.0: release/10.0.1+26.0.8: The realm must be moved by hand.',
      notes:
        'release/10.0.1+26.0.8:\nFixes.\nThe realm must be moved by hand.\n\nrelease/10.1.0+26.1.0:\nNo breaking changes.',
    });
  });

  test('never goes back, never over a major step or a rolled-back release unasked, and touches nothing without last-good', () => {
    const version = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.nat({ max: 2 }), fc.integer({ min: 1, max: 2 }))
      .map(([x, y, app]) => `${x}.${y}.0+${app}.0`);
    const optional = fc.option(version);
    const seen = fc.oneof(
      fc.constant(nothing),
      fc.record({ is: fc.constantFrom('up' as const, 'down' as const), version: optional }),
    );
    fc.assert(
      fc.property(
        seen,
        optional,
        fc.array(version).map((all) => [...new Set(all)].sort(compareVersions).map(at)),
        optional,
        optional,
        (sees, good, releases, approved, rolledBack) => {
          const lastGood = good === null ? null : at(good);
          const decision = decideOnService(facts({ seen: sees, lastGood, releases, approved, rolledBack }));
          if (decision.decision === 'install') expect([lastGood, sees.is]).toEqual([null, 'nothing']);
          if (decision.decision === 'recover') expect(decision.to).toEqual(lastGood);
          if (decision.decision !== 'upgrade') return;
          const from = lastGood?.version ?? '';
          expect(compareVersions(decision.to.version, from)).toBeGreaterThan(0);
          if (approved === decision.to.version) return;
          expect(majorStep(from, decision.to.version)).toBeNull();
          expect(decision.to.version).not.toBe(rolledBack);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

test.each([
  ['1.0.0+2.0.0', '1.9.0+2.9.0', null],
  ['1.0.0+2.0.0', '2.0.0+2.0.0', 'a major step: recipe 1 → 2'],
  ['1.0.0+2.0.0', '1.1.0+3.0.0', 'a major step: app 2.0.0 → 3.0.0'],
  ['1.0.0+2.0.0', '2.0.0+v3.0', 'a major step: recipe 1 → 2, app 2.0.0 → v3.0'],
  ['1.0.0+v2.0.0', '1.1.0+2.1.0', null],
  ['1.0.0+v3.0.0', '1.0.1+v3.6.1-alpine', null],
  ['1.0.0+latest', '1.0.1+latest', null],
  ['1.0.0+latest', '1.0.1+stable', 'a major step: app latest → stable'],
  ['1.0.0+latest', '1.0.1+2', 'a major step: app latest → 2'],
  ['1.0.0+02.1', '1.0.1+2.2', null],
])('from %s to %s: %s', (from, to, step) => {
  expect(majorStep(from, to)).toBe(step);
});

describe('the live services', () => {
  const folder = (recipe: string, more: Partial<Parameters<typeof servicesAmong>[0][number]> = {}) => ({
    recipe,
    live: true,
    stateful: null,
    problem: null,
    ...more,
  });

  test('are those that say so, and what is without data comes first', () => {
    const recipes = [
      folder('keycloak', { stateful: true }),
      folder('hedgedoc', { live: false }),
      folder('mail'),
      folder('traefik', { stateful: false }),
    ];
    expect(servicesAmong(recipes, [])).toEqual(['traefik', 'keycloak', 'mail']);
  });

  test('stay services where their folder has a mistake, once they were looked after; no other recipe becomes one', () => {
    const broken = { live: false, problem: 'recipe.yml: …' };
    const recipes = [
      folder('ghost', broken),
      folder('keycloak', broken),
      folder('hedgedoc', { live: false }),
    ];
    expect(servicesAmong(recipes, ['hedgedoc', 'keycloak', 'long-gone'])).toEqual(['keycloak']);
  });
});
