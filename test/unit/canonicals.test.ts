import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCanonicals, type CanonicalRecord, type Canonicals } from '../../host/store/canonicals.ts';

let state: string;
let canonicals: Canonicals;

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'canonicals-'));
  canonicals = createCanonicals({ state, zone: 'ci.example.org' });
});

afterEach(async () => {
  await rm(state, { recursive: true });
});

function recordOf(change: Partial<CanonicalRecord> = {}): CanonicalRecord {
  return {
    schema: 4,
    recipe: 'hedgedoc',
    version: '1.0.0+1.9',
    commit: 'a'.repeat(40),
    status: 'proven',
    ts: '2026-11-22T03:00:00.000Z',
    run: 'sweep-1/hedgedoc',
    images: { app: { image: 'hedgedoc:1.9', digest: 'sha256:1' } },
    domain: 'warm-hedgedoc.ci.example.org',
    env: { LANG: 'de' },
    snapshot: { id: 'hedg-abc123-1', sha256: 'b'.repeat(64), bytes: 10 },
    dropped: null,
    droppedBy: null,
    disk: null,
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
  for (const left of [whole.slice(0, 40), whole.slice(0, -10), '']) {
    await writeFile(history, left);
    await canonicals.completeHistory(recordOf());
    await canonicals.completeHistory(recordOf());
    expect(await canonicals.history('hedgedoc')).toEqual([recordOf()]);
    // Nothing of the cut line stays: whoever reads the file with jq reads all of it.
    expect(await readFile(history, 'utf8')).toBe(whole);
  }
});

test('a cut line goes alone, whatever somebody wrote before it', async () => {
  const history = path.join(state, 'canonicals', 'hedgedoc', 'history.jsonl');
  await canonicals.write(recordOf());
  const whole = await readFile(history);
  // Bytes that are no UTF-8: as a text they would be longer than they are.
  const strange = Buffer.concat([Buffer.from([0xff, 0xfe, 0xfd]), Buffer.from('\n')]);
  await writeFile(history, Buffer.concat([strange, whole.subarray(0, 40)]));
  await canonicals.completeHistory(recordOf());
  expect(await readFile(history)).toEqual(Buffer.concat([strange, whole]));
  expect(await canonicals.history('hedgedoc')).toEqual([recordOf()]);
});

test('a history of which only the last line end is missing loses no promotion', async () => {
  await canonicals.write(recordOf());
  const history = path.join(state, 'canonicals', 'hedgedoc', 'history.jsonl');
  const whole = await readFile(history, 'utf8');
  const newer = recordOf({
    version: '1.1.0+1.10',
    snapshot: { id: 'hedg-abc123-2', sha256: 'b'.repeat(64), bytes: 10 },
  });
  await writeFile(history, whole.trimEnd());
  await canonicals.write(newer);
  expect(await canonicals.history('hedgedoc')).toEqual([recordOf(), newer]);
});

describe('a record that cannot be read is an error, never "no canonical"', () => {
  test.each([
    ['cut short', (text: string) => text.slice(0, text.length / 2)],
    ['empty', () => ''],
    ['doubled', (text: string) => text + text],
    ['from the future', (text: string) => text.replace('"schema": 4', '"schema": 5')],
    ['with a key too many', (text: string) => text.replace('"schema": 4', '"schema": 4, "extra": 1')],
    [
      'with neither data nor a word of it',
      (text: string) => text.replace(/"snapshot": \{[^}]*\}/, '"snapshot": null'),
    ],
    [
      'with data that was dropped',
      (text: string) => text.replace('"dropped": null', '"dropped": "2026-11-23T03:00:00.000Z"'),
    ],
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

describe('a record that is lost is an error, never "no canonical"', () => {
  const folder = (): string => path.join(state, 'canonicals', 'hedgedoc');
  const lost = async (beside: string): Promise<void> => {
    await expect(canonicals.read('hedgedoc')).rejects.toMatchObject({
      type: 'RecordUnreadable',
      message: expect.stringMatching(
        new RegExp(`canonical.json: is missing, but ${beside}.*canonical rebuild hedgedoc.*canonical forget`),
      ),
    });
  };

  test('beside a history', async () => {
    await canonicals.write(recordOf());
    await rm(fileOf('hedgedoc'));
    await lost('history.jsonl beside it names promotions');
    expect(await canonicals.lastPromotion('hedgedoc')).toEqual(recordOf());
  });

  test('but recipes that need it beside themselves still know what was proven', async () => {
    await canonicals.write(recordOf());
    expect(await canonicals.readForOthers('hedgedoc')).toEqual(recordOf());
    await writeFile(fileOf('hedgedoc'), '{');
    expect(await canonicals.readForOthers('hedgedoc')).toEqual(recordOf());
    await rm(path.join(folder(), 'history.jsonl'));
    await expect(canonicals.readForOthers('hedgedoc')).rejects.toMatchObject({
      message: expect.stringContaining('canonical.json'),
    });
    expect(await canonicals.readForOthers('never')).toBeNull();
  });

  test('beside a history that nobody can read', async () => {
    await canonicals.write(recordOf());
    await rm(fileOf('hedgedoc'));
    await writeFile(path.join(folder(), 'history.jsonl'), '{"sch');
    await lost('history.jsonl beside it names promotions');
    await expect(canonicals.lastPromotion('hedgedoc')).rejects.toMatchObject({ type: 'RecordUnreadable' });
  });

  test('beside a history whose last line a crash cut short: the one before it counts', async () => {
    await canonicals.write(recordOf());
    await rm(fileOf('hedgedoc'));
    const file = path.join(folder(), 'history.jsonl');
    await writeFile(file, `${JSON.stringify(recordOf())}\n{"schema":2,"rec`);
    expect(await canonicals.lastPromotion('hedgedoc')).toEqual(recordOf());
    await writeFile(file, `${JSON.stringify(recordOf())}\n{"schema":2,"rec\n`);
    await expect(canonicals.lastPromotion('hedgedoc')).rejects.toMatchObject({ type: 'RecordUnreadable' });
  });

  test('beside a snapshot', async () => {
    await mkdir(path.join(folder(), 'snapshots', 'hedg-abc123-1'), { recursive: true });
    await lost('the snapshot hedg-abc123-1 stands beside it');
  });

  test('while the data of a canonical is in use', async () => {
    await canonicals.markAttached('hedgedoc', 'sweep-1/hedgedoc', '1.0.0+1.9', new Date());
    await lost('attached.json beside it says that the data of 1.0.0\\+1.9 is in use');
  });

  test('but a first promotion that has come as far as its snapshot has none yet', async () => {
    await canonicals.markAttached('hedgedoc', 'sweep-1/hedgedoc', null, new Date());
    await mkdir(path.join(folder(), 'snapshots', 'hedg-abc123-1'), { recursive: true });
    expect(await canonicals.read('hedgedoc')).toBeNull();
  });

  test('nor has one that broke off in it', async () => {
    await mkdir(path.join(folder(), 'snapshots', 'hedg-abc123-1.partial'), { recursive: true });
    expect(await canonicals.read('hedgedoc')).toBeNull();
  });
});

test('a canonical that is given up is none, whatever stands beside it, and its history is kept', async () => {
  await canonicals.write(recordOf());
  const folder = path.join(state, 'canonicals', 'hedgedoc');
  await mkdir(path.join(folder, 'snapshots', 'hedg-abc123-1'), { recursive: true });
  await canonicals.forget('hedgedoc', 'forget-1', new Date('2026-11-27T01:02:03Z'));
  expect(await canonicals.read('hedgedoc')).toBeNull();
  expect(await canonicals.history('hedgedoc')).toEqual([]);
  expect(await canonicals.isAttached('hedgedoc')).toBe(true);
  expect(await readFile(path.join(folder, 'history-20261127T010203000Z.jsonl'), 'utf8')).toContain(
    '1.0.0+1.9',
  );
});

test('a record of another domain is refused: its data has other names', async () => {
  await canonicals.write(recordOf());
  const moved = createCanonicals({ state, zone: 'elsewhere.example.org' });
  await expect(moved.read('hedgedoc')).rejects.toMatchObject({
    type: 'RecordUnreadable',
    message: expect.stringContaining('its data lives at warm-hedgedoc.ci.example.org'),
  });
});

test('a record whose data was dropped is read back, and the history says so once', async () => {
  await canonicals.write(recordOf());
  const dropped = recordOf({
    snapshot: null,
    dropped: '2026-11-23T03:00:00.000Z',
    droppedBy: { run: 'sweep-2', why: 'room is short' },
    disk: { volumes: 12, images: 34 },
  });
  await canonicals.write(dropped);
  await canonicals.completeHistory(dropped);
  expect(await canonicals.read('hedgedoc')).toEqual(dropped);
  expect(await canonicals.history('hedgedoc')).toEqual([recordOf(), dropped]);
  expect(await canonicals.lastPromotion('hedgedoc')).toEqual(dropped);
});

test('a record of schema 3 is read, which says neither who dropped its data nor what it took', async () => {
  const { droppedBy: _droppedBy, disk: _disk, ...old } = recordOf();
  await mkdir(path.dirname(fileOf('hedgedoc')), { recursive: true });
  await writeFile(fileOf('hedgedoc'), JSON.stringify({ ...old, schema: 3 }));
  expect(await canonicals.read('hedgedoc')).toEqual(recordOf());
});

test('a record of schema 2 is read, whose data nobody dropped', async () => {
  const { dropped: _dropped, droppedBy: _droppedBy, disk: _disk, ...old } = recordOf();
  await mkdir(path.dirname(fileOf('hedgedoc')), { recursive: true });
  await writeFile(fileOf('hedgedoc'), JSON.stringify({ ...old, schema: 2 }));
  expect(await canonicals.read('hedgedoc')).toEqual(recordOf());
});

test('a record of schema 1 is read, and names neither domain nor environment', async () => {
  const {
    domain: _domain,
    env: _env,
    dropped: _dropped,
    droppedBy: _droppedBy,
    disk: _disk,
    ...old
  } = recordOf();
  await mkdir(path.dirname(fileOf('hedgedoc')), { recursive: true });
  await writeFile(fileOf('hedgedoc'), JSON.stringify({ ...old, schema: 1 }));
  expect(await canonicals.read('hedgedoc')).toEqual({
    ...old,
    schema: 4,
    domain: null,
    env: null,
    dropped: null,
    droppedBy: null,
    disk: null,
  });
});

test('the attached mark says so until it is cleared, even when a crash cut it', async () => {
  expect(await canonicals.isAttached('hedgedoc')).toBe(false);
  await canonicals.markAttached('hedgedoc', 'sweep-1/hedgedoc', null, new Date());
  expect(await canonicals.isAttached('hedgedoc')).toBe(true);
  await writeFile(path.join(state, 'canonicals', 'hedgedoc', 'attached.json'), '{');
  expect(await canonicals.isAttached('hedgedoc')).toBe(true);
  await canonicals.clearAttached('hedgedoc');
  expect(await canonicals.isAttached('hedgedoc')).toBe(false);
});
