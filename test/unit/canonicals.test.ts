import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCanonicals, type CanonicalRecord, type Canonicals } from '../../host/canonicals.ts';

let state: string;
let canonicals: Canonicals;

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'canonicals-'));
  canonicals = createCanonicals(state);
});

afterEach(async () => {
  await rm(state, { recursive: true });
});

function recordOf(change: Partial<CanonicalRecord> = {}): CanonicalRecord {
  return {
    schema: 1,
    recipe: 'hedgedoc',
    version: '1.0.0+1.9',
    commit: 'a'.repeat(40),
    status: 'proven',
    ts: '2026-11-22T03:00:00.000Z',
    run: 'sweep-1/hedgedoc',
    images: { app: { image: 'hedgedoc:1.9', digest: 'sha256:1' } },
    snapshot: { id: 'hedg-abc123-1', sha256: 'b'.repeat(64), bytes: 10 },
    ...change,
  };
}

const fileOf = (recipe: string): string => path.join(state, 'canonicals', recipe, 'canonical.json');

test('no file is no canonical', async () => {
  expect(await canonicals.read('hedgedoc')).toBeNull();
});

test('what was written is read back, and the history grows by one line', async () => {
  await canonicals.write(recordOf());
  const next = recordOf({
    version: '1.1.0+1.10',
    snapshot: { id: 'hedg-abc124-1', sha256: 'c'.repeat(64), bytes: 1 },
  });
  await canonicals.write(next);
  expect(await canonicals.read('hedgedoc')).toEqual(next);
  expect((await canonicals.history('hedgedoc')).map(({ version }) => version)).toEqual([
    '1.0.0+1.9',
    '1.1.0+1.10',
  ]);
});

test('a history line that a crash left out or cut is written again, once', async () => {
  await canonicals.write(recordOf());
  const history = path.join(state, 'canonicals', 'hedgedoc', 'history.jsonl');
  const whole = await readFile(history, 'utf8');
  await writeFile(history, whole.slice(0, 40));
  await canonicals.completeHistory(recordOf());
  await canonicals.completeHistory(recordOf());
  expect(await canonicals.history('hedgedoc')).toEqual([recordOf()]);
});

describe('a record that cannot be read is an error, never "no canonical"', () => {
  test.each([
    ['cut short', (text: string) => text.slice(0, text.length / 2)],
    ['empty', () => ''],
    ['doubled', (text: string) => text + text],
    ['from the future', (text: string) => text.replace('"schema": 1', '"schema": 2')],
    ['with a key too many', (text: string) => text.replace('"schema": 1', '"schema": 1, "extra": 1')],
    ['of another recipe', (text: string) => text.replace('"hedgedoc"', '"gitea"')],
    ['with a version that is none', (text: string) => text.replace('1.0.0+1.9', '../1')],
    ['naming a snapshot outside its folder', (text: string) => text.replace('hedg-abc123-1', '../../x')],
  ])('%s', async (_situation, spoil) => {
    await canonicals.write(recordOf());
    await writeFile(fileOf('hedgedoc'), spoil(await readFile(fileOf('hedgedoc'), 'utf8')));
    await expect(canonicals.read('hedgedoc')).rejects.toMatchObject({
      type: 'RecordUnreadable',
      message: expect.stringContaining(fileOf('hedgedoc')),
    });
  });
});

test('the attached mark says so until it is cleared, even when a crash cut it', async () => {
  expect(await canonicals.isAttached('hedgedoc')).toBe(false);
  await canonicals.markAttached('hedgedoc', 'sweep-1/hedgedoc', new Date());
  expect(await canonicals.isAttached('hedgedoc')).toBe(true);
  await writeFile(path.join(state, 'canonicals', 'hedgedoc', 'attached.json'), '{');
  expect(await canonicals.isAttached('hedgedoc')).toBe(true);
  await canonicals.clearAttached('hedgedoc');
  expect(await canonicals.isAttached('hedgedoc')).toBe(false);
});
