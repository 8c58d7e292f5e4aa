import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adviceFor, ALERT_KINDS, type Alert } from '../../domain/alert.ts';
import { alertSchema, createAlerts, type Alerts, type KeptAlert } from '../../host/store/alerts.ts';
import { parseDocument } from '../fixtures/documents.ts';

let state: string;
let alerts: Alerts;
beforeEach(() => {
  state = mkdtempSync(path.join(os.tmpdir(), 'alerts-'));
  alerts = createAlerts(state);
});
afterEach(() => rmSync(state, { recursive: true }));

const GITEA = { is: 'recipe', name: 'gitea' } as const;
const FAILED: Alert = {
  kind: 'promote-failed',
  subject: GITEA,
  message: '3.6.0+1: read-only',
  evidence: '/state/runs/sweep-1/gitea/promote/app.log',
  run: 'sweep-1/gitea',
};
const day = (number: number): Date => new Date(Date.UTC(2025, 0, number));
const files = (...place: string[]): string[] => {
  const folder = path.join(state, 'alerts', ...place);
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
};
const readFile = (...place: string[]): KeptAlert =>
  parseDocument('alert', readFileSync(path.join(state, 'alerts', ...place), 'utf8'));

test('an alert says what it is about, since when, and what to do', async () => {
  await alerts.raise(FAILED, day(1));
  expect(readFile('promote-failed-recipe-gitea.json')).toEqual({
    schema: 2,
    ...FAILED,
    since: day(1).toISOString(),
    lastSeen: day(1).toISOString(),
    ended: null,
    advice: adviceFor(FAILED),
  });
});

test('found again it is the same, which holds since when it did', async () => {
  await alerts.raise(FAILED, day(1));
  await alerts.raise({ ...FAILED, message: '3.7.0+1: still', run: 'sweep-2/gitea' }, day(8));
  expect(files()).toEqual(['promote-failed-recipe-gitea.json']);
  expect((await alerts.open()).alerts).toMatchObject([
    { since: day(1).toISOString(), lastSeen: day(8).toISOString(), message: '3.7.0+1: still' },
  ]);
});

test.each<[string, Partial<Alert>]>([
  ['another recipe', { subject: { is: 'recipe', name: 'gitea-2' } }],
  ['the host', { subject: { is: 'host', name: 'gitea' } }],
  ['another kind', { kind: 'tag-moved' }],
  ['what is called like a path', { subject: { is: 'recipe', name: '../gitea' } }],
])('of %s it is another', async (_what, other) => {
  await alerts.raise(FAILED, day(1));
  await alerts.raise({ ...FAILED, ...other }, day(2));
  expect(files()).toHaveLength(2);
  await alerts.end(FAILED.kind, FAILED.subject, day(3));
  expect((await alerts.open()).alerts).toMatchObject([{ ...FAILED, ...other }]);
});

test('one about a host is the same whatever the host is called by now', async () => {
  const about = (name: string): Alert => ({
    ...FAILED,
    kind: 'sweep-problems',
    subject: { is: 'host', name },
  });
  await alerts.raise(about('old'), day(1));
  await alerts.raise(about('new'), day(2));
  expect((await alerts.open()).alerts).toMatchObject([{ since: day(1).toISOString() }]);
});

test('one that is over says when it ended, and one that comes after it is new', async () => {
  await alerts.raise(FAILED, day(1));
  await alerts.end('promote-failed', GITEA, day(8));
  expect(files()).toEqual([]);
  expect(readFile('ended', 'promote-failed-recipe-gitea-20250101T000000000Z.json')).toMatchObject({
    since: day(1).toISOString(),
    ended: day(8).toISOString(),
  });
  await alerts.raise(FAILED, day(15));
  expect((await alerts.open()).alerts).toMatchObject([{ since: day(15).toISOString(), ended: null }]);
  await alerts.end('promote-failed', GITEA, day(22));
  expect(files('ended')).toHaveLength(2);
});

test('what does not hold has no end', async () => {
  await alerts.end('promote-failed', GITEA, day(1));
  expect(files('ended')).toEqual([]);
});

test('an end that a crash cut short is the same end when it is done again', async () => {
  await alerts.raise(FAILED, day(1));
  const file = path.join(state, 'alerts', 'promote-failed-recipe-gitea.json');
  const text = readFileSync(file, 'utf8');
  await alerts.end('promote-failed', GITEA, day(8));
  writeFileSync(file, text);
  await alerts.end('promote-failed', GITEA, day(9));
  expect([files(), files('ended')]).toEqual([[], ['promote-failed-recipe-gitea-20250101T000000000Z.json']]);
});

test('one that somebody archived while it holds is raised as new', async () => {
  await alerts.raise(FAILED, day(1));
  const seen = path.join(state, 'alerts', 'seen');
  mkdirSync(seen);
  renameSync(
    path.join(state, 'alerts', 'promote-failed-recipe-gitea.json'),
    path.join(seen, 'promote-failed-recipe-gitea.json'),
  );
  await alerts.raise(FAILED, day(8));
  expect((await alerts.open()).alerts).toMatchObject([{ since: day(8).toISOString() }]);
});

describe('files of a version that wrote one for each run', () => {
  const write = (name: string, recipe: string | null, ts: Date): void => {
    mkdirSync(path.join(state, 'alerts'), { recursive: true });
    const alert = { kind: recipe === null ? 'sweep-problems' : 'promote-failed', message: 'no', run: 'x' };
    const text = JSON.stringify({ schema: 1, ts: ts.toISOString(), recipe, ...alert });
    writeFileSync(path.join(state, 'alerts', name), text);
  };

  test('are alerts that hold, and end with what they are about', async () => {
    write('promote-failed-gitea-sweep-1-gitea.json', 'gitea', day(1));
    write('sweep-problems-sweep-1.json', null, day(1));
    expect((await alerts.open()).alerts).toMatchObject([
      { kind: 'promote-failed', subject: GITEA, since: day(1).toISOString() },
      { kind: 'sweep-problems', subject: { is: 'host' } },
    ]);
    await alerts.end('promote-failed', GITEA, day(8));
    await alerts.end('sweep-problems', { is: 'host', name: 'ci-1' }, day(8));
    expect([files(), files('ended').length]).toEqual([[], 2]);
  });

  test('are one from the next time on, which holds since the first', async () => {
    write('promote-failed-gitea-sweep-2-gitea.json', 'gitea', day(8));
    write('promote-failed-gitea-sweep-1-gitea.json', 'gitea', day(1));
    await alerts.raise(FAILED, day(15));
    expect(files()).toEqual(['promote-failed-recipe-gitea.json']);
    expect((await alerts.open()).alerts).toMatchObject([{ since: day(1).toISOString() }]);
  });
});

test('one that cannot be read is named, hides no other, and is written anew when it is raised', async () => {
  await alerts.raise(FAILED, day(1));
  await alerts.raise({ ...FAILED, kind: 'tag-moved' }, day(1));
  writeFileSync(path.join(state, 'alerts', 'promote-failed-recipe-gitea.json'), '{');
  const { alerts: open, unreadable } = await alerts.open();
  expect(open.map(({ kind }) => kind)).toEqual(['tag-moved']);
  expect(unreadable).toEqual([expect.stringContaining('promote-failed-recipe-gitea.json')]);
  await alerts.raise(FAILED, day(2));
  expect((await alerts.open()).unreadable).toEqual([]);
});

test.each(ALERT_KINDS)('%s says what to do, and when it is over', (kind) => {
  expect(adviceFor({ kind, subject: GITEA })).toMatch(/[Oo]ver w/);
});

test('an alert with a key that we do not know is none', () => {
  const held = { since: day(1).toISOString(), lastSeen: day(1).toISOString(), ended: null, advice: 'look' };
  expect(alertSchema.safeParse({ schema: 2, ...FAILED, ...held }).success).toBe(true);
  expect(alertSchema.safeParse({ schema: 2, ...FAILED, ...held, more: 1 }).success).toBe(false);
});
