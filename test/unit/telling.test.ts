import { describe, expect, test } from 'vitest';
import { gistOf, owedOf, UNTOLD, withTold, type TimedAlert, type Told } from '../../domain/telling.ts';

const day = (number: number, hour = 0): Date => new Date(Date.UTC(2025, 0, number, hour));
const at = (number: number, hour = 0): string => day(number, hour).toISOString();
const HELD: TimedAlert = {
  kind: 'service-held',
  subject: { is: 'recipe', name: 'keycloak' },
  message: '11.0.0+26.1.0: a major bump',
  evidence: null,
  run: 'reconcile-1',
  since: at(2),
  lastSeen: at(2),
  ended: null,
};
const OVER: TimedAlert = { ...HELD, ended: at(9) };
const told = withTold(HELD, UNTOLD, 'holds', day(2, 1));
const since = at(1);

test('one that nobody was told of is owed since it began', () => {
  expect(owedOf(HELD, UNTOLD, since, day(3))).toEqual({ telling: 'holds', since: at(2) });
});

test('to who is to be told only since later it is owed since then', () => {
  expect(owedOf(HELD, UNTOLD, at(5), day(6))).toEqual({ telling: 'holds', since: at(5) });
});

test('found again it is owed to nobody', () => {
  expect(owedOf({ ...HELD, lastSeen: at(20), run: 'reconcile-9' }, told, since, day(20))).toBeNull();
});

describe('its end is owed', () => {
  test.each<[string, Told, string, boolean]>([
    ['to who was told that it holds', told, since, true],
    ['to who was told, and whose record is younger', told, at(10), true],
    ['to who was away all the while', UNTOLD, since, true],
    ['not to who came when it was over', UNTOLD, at(10), false],
    ['not twice', withTold(OVER, told, 'over', day(9)), since, false],
  ])('%s', (_what, record, from, isOwed) => {
    expect(owedOf(OVER, record, from, day(11))).toEqual(isOwed ? { telling: 'over', since: at(9) } : null);
  });
});

describe('a message that says something new', () => {
  const newer = (version: number): TimedAlert => ({
    ...HELD,
    message: `${version}.0.0+27.0.0: a major bump`,
  });

  test('is owed at once, the first time', () => {
    expect(owedOf(newer(12), told, since, day(2, 2))).toMatchObject({ telling: 'changed' });
  });

  test('is owed after a day, two, four and then a week, however often it changes', () => {
    let record = withTold(newer(12), told, 'changed', day(3));
    let version = 13;
    for (const days of [1, 2, 4, 7, 7]) {
      const last = new Date(record.holds?.at ?? '');
      const soon = new Date(last.getTime() + days * 86_400_000 - 1);
      const due = new Date(last.getTime() + days * 86_400_000);
      expect([
        owedOf(newer(version), record, since, soon),
        owedOf(newer(version), record, since, due),
      ]).toEqual([null, expect.objectContaining({ telling: 'changed' })]);
      record = withTold(newer(version), record, 'changed', due);
      version += 1;
    }
  });

  test('is not owed where it says again what was told before', () => {
    const record = withTold(newer(12), told, 'changed', day(3));
    expect(owedOf(HELD, record, since, day(30))).toBeNull();
  });

  test('is not owed where a line is gone', () => {
    const two = { ...HELD, message: 'a stray folder\nthe index of gitea cannot be read' };
    const one = { ...HELD, message: 'the index of gitea cannot be read' };
    const record = withTold(two, UNTOLD, 'holds', day(2));
    expect(owedOf(one, record, since, day(30))).toBeNull();
  });
});

describe('what is the same each time', () => {
  test.each([
    ['times and durations', 'late by 32s at 2025-03-02T03:00:00Z', 'late by 7s at 2025-03-09T03:00:00Z'],
    ['names of stacks', 'stack gite-1a2b3c was not removed', 'stack gite-9f8e7d was not removed'],
    ['names of containers', 'gite_1a2b3c_app.1.x8k2jq0v9w3m', 'gite_9f8e7d_app.1.b7t1zz5c0d2k'],
    ['digests', `sha256:${'a1'.repeat(32)}`, `sha256:${'b2'.repeat(32)}`],
    ['ports', 'connect ECONNREFUSED 127.0.0.1:4711', 'connect ECONNREFUSED 127.0.0.1:815'],
  ])('%s make no difference', (_what, one, other) => {
    expect(gistOf(one)).toEqual(gistOf(other));
  });

  test.each([
    ['releases', '3.6.0+1.24.2: read-only', '3.6.1+1.24.2: read-only'],
    ['commits', `stable moved to ${'a1'.repeat(20)}`, `stable moved to ${'b2'.repeat(20)}`],
    ['words', 'app: exited', 'app: unhealthy'],
  ])('%s do', (_what, one, other) => {
    expect(gistOf(one)).not.toEqual(gistOf(other));
  });

  test('a message without end has one here', () => {
    const endless = Array.from({ length: 5_000 }, (_, index) => `${'x'.repeat(5_000)} ${index}`).join('\n');
    const whole = gistOf(`${endless}\n${'7f'.repeat(100_000)}`);
    expect(whole.length).toBeLessThanOrEqual(100);
    expect(Math.max(...whole.map((line) => line.length))).toBeLessThanOrEqual(200);
  });
});
