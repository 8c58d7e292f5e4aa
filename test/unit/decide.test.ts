import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, decideOn } from '../../domain/decide.ts';
import { promoteGate } from '../../domain/promote-gate.ts';
import type { Release } from '../../domain/release.ts';
import { upgradeBase, type UpgradeQuestion } from '../../domain/upgrade-base.ts';
import { compareVersions } from '../../domain/version.ts';

const versions = fc
  .tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.nat({ max: 3 }))
  .map(([x, y, z, app]) => `${x}.${y}.${z}+${app}.0`);

const at = (version: string): Release => ({ version, commit: `commit of ${version}` });

describe('a canonical whose tag moved', () => {
  const [was, is] = ['a'.repeat(40), 'b'.repeat(40)];
  const canonical = { version: '1.0.0+1', commit: was };

  test('is at the latest release, and the reason says which commit of it was never tested', () => {
    const latest = { version: '1.0.0+1', commit: is };
    const decision = decideOn({ latest, canonical, hold: null });
    expect(decision).toMatchObject({ decision: 'skip', because: 'no-new-version' });
    for (const part of [was, is, 'was not tested', 'recipe-sweep canonical forget']) {
      expect(decision.reason).toContain(part);
    }
  });

  test.each([
    ['the same commit', canonical, null],
    ['a newer release', { version: '1.1.0+1', commit: is }, null],
    ['an older release', { version: '0.9.0+1', commit: is }, null],
    ['no release', null, null],
    ['a hold', { version: '1.0.0+1', commit: is }, 'for now'],
  ])('beside %s is decided on by the versions alone', (_situation, latest, hold) => {
    const versionsSeen = { latest: latest?.version ?? null, canonical: canonical.version, hold };
    expect(decideOn({ latest, canonical, hold })).toEqual(decide(versionsSeen));
  });
});

describe('decide', () => {
  test.each([
    ['no canonical', { latest: '1.0.0+1', canonical: null, hold: null }, 'run'],
    ['a newer release', { latest: '1.1.0+1', canonical: '1.0.0+1', hold: null }, 'run'],
    [
      'a newer app in the same recipe version',
      { latest: '1.0.0+2', canonical: '1.0.0+1', hold: null },
      'run',
    ],
    ['the same release', { latest: '1.0.0+1', canonical: '1.0.0+1', hold: null }, 'no-new-version'],
    ['an older release', { latest: '1.0.0+1', canonical: '1.1.0+1', hold: null }, 'no-new-version'],
    ['no release', { latest: null, canonical: null, hold: null }, 'never-released'],
    ['a release withdrawn upstream', { latest: null, canonical: '1.0.0+1', hold: null }, 'never-released'],
    ['a hold', { latest: '1.1.0+1', canonical: '1.0.0+1', hold: 'broken base' }, 'held'],
  ])('%s', (_situation, seen, expected) => {
    const decision = decide(seen);
    expect(decision.decision === 'run' ? 'run' : decision.because).toBe(expected);
    expect(decision.reason).not.toBe('');
  });

  test('never runs on equal or older', () => {
    fc.assert(
      fc.property(versions, versions, (latest, canonical) => {
        const { decision } = decide({ latest, canonical, hold: null });
        expect(decision).toBe(compareVersions(latest, canonical) > 0 ? 'run' : 'skip');
      }),
    );
  });
});

describe('upgrade base', () => {
  const releases = ['3.0.0+v2.0.0', '3.0.1+v2.0.0', '3.1.0+v2.0.0'].map(at);
  const head = at('3.1.0+v2.0.0');
  const onMain = { commit: 'tip', version: null, containsHead: true };

  test.each<[string, Partial<UpgradeQuestion>, string | null, string]>([
    [
      'the canonical, when it is another version',
      { canonical: at('3.0.0+v2.0.0') },
      'commit of 3.0.0+v2.0.0',
      'the canonical',
    ],
    [
      'one step back, when the canonical is the head',
      { canonical: head },
      'commit of 3.0.1+v2.0.0',
      'the newest release older',
    ],
    [
      'nothing, when the canonical is the head and nothing is older',
      { canonical: head, releases: [head] },
      null,
      'no published release is older',
    ],
    ['nothing, with no canonical and a head on main', {}, null, 'no canonical'],
    [
      "main's tip, with no canonical and a head off main",
      { main: { commit: 'tip', version: null, containsHead: false } },
      'tip',
      "main's tip",
    ],
    ['nothing, when the canonical is newer', { canonical: at('4.0.0+v3') }, null, 'is newer than'],
  ])('%s', (_situation, question, commit, reason) => {
    const answer = upgradeBase({ head, canonical: null, releases, main: onMain, ...question });
    expect(answer.base?.commit ?? null).toBe(commit);
    expect(answer.reason).toContain(reason);
  });

  test('a base with a version is always older than the head', () => {
    fc.assert(
      fc.property(
        versions,
        fc.option(versions),
        fc.array(versions),
        fc.boolean(),
        (version, canonical, published, containsHead) => {
          const { base } = upgradeBase({
            head: at(version),
            canonical: canonical === null ? null : at(canonical),
            releases: published.map(at),
            main: { commit: 'tip', version: null, containsHead },
          });
          if (base?.version) expect(compareVersions(base.version, version)).toBeLessThan(0);
        },
      ),
    );
  });
});

describe('the promote gate', () => {
  const commit = 'a'.repeat(40);
  const facts = {
    release: { version: '1.1.0+1', commit },
    exception: null,
    hold: null,
    canonical: '1.0.0+1',
    listed: commit,
  };

  test('opens for a listed release of an enrolled recipe that is newer than its canonical', () => {
    expect(promoteGate(facts)).toEqual({ open: true });
    expect(promoteGate({ ...facts, canonical: null })).toEqual({ open: true });
  });

  test.each([
    [{ exception: 'a live service' }, 'the recipe is an exception: a live service'],
    [{ hold: 'its maintainer is away' }, 'the recipe is held: its maintainer is away'],
    [{ canonical: '1.1.0+1' }, 'the canonical is at 1.1.0+1 already'],
    [{ canonical: '2.0.0+1' }, 'the canonical is at 2.0.0+1 already'],
    [{ listed: null }, 'the ledger has 1.1.0+1 at no commit'],
    [{ listed: 'b'.repeat(40) }, `the ledger has 1.1.0+1 at ${'b'.repeat(40)}`],
  ])('is closed by %j, and says so', (change, why) => {
    const gate = promoteGate({ ...facts, ...change });
    expect(gate).toMatchObject({ open: false, why: expect.stringContaining(why) });
  });
});
