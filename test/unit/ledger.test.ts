import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLedger } from '../../host/git/ledger.ts';

const COMMIT = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);
const TS = '2025-01-05T03:00:00.000Z';
const LATER = '2026-01-01T00:00:00.000Z';
const RELEASE = '1.0.0+5.0.0';

let state: string;
let file: string;

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'ledger-'));
  file = path.join(state, 'ledger', 'ghost.jsonl');
});

afterEach(() => rm(state, { recursive: true }));

async function written(): Promise<unknown[]> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe('the ledger', () => {
  test('is empty for a recipe never seen', async () => {
    expect(await createLedger(state).read('ghost')).toEqual(new Map());
  });

  test('keeps what was first seen, one line each, any tag name', async () => {
    const ledger = createLedger(state);
    await ledger.append('ghost', [
      { tag: '1.0.0+5.0.0', commit: COMMIT, ts: TS },
      { tag: '$(id)\u202e', commit: OTHER, ts: TS },
    ]);
    await ledger.append('ghost', [{ tag: '1.1.0+5.1.0', commit: 'c'.repeat(64), ts: TS }]);
    expect(await ledger.read('ghost')).toEqual(
      new Map([
        ['1.0.0+5.0.0', { commit: COMMIT, ts: TS }],
        ['$(id)\u202e', { commit: OTHER, ts: TS }],
        ['1.1.0+5.1.0', { commit: 'c'.repeat(64), ts: TS }],
      ]),
    );
    const [first] = (await readFile(file, 'utf8')).split('\n');
    expect(JSON.parse(first ?? '')).toEqual({ schema: 1, tag: '1.0.0+5.0.0', commit: COMMIT, ts: TS });
  });

  test("a release's tag recorded already is not added again, and never with another commit", async () => {
    const ledger = createLedger(state);
    await ledger.append('ghost', [{ tag: RELEASE, commit: COMMIT, ts: TS }]);
    const before = await readFile(file, 'utf8');
    await ledger.append('ghost', [{ tag: RELEASE, commit: COMMIT, ts: LATER }]);
    await expect(
      ledger.append('ghost', [
        { tag: 'v2', commit: COMMIT, ts: TS },
        { tag: RELEASE, commit: OTHER, ts: TS },
      ]),
    ).rejects.toMatchObject({ type: 'TagMoved' });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  test("of a tag that is no release's each move is a line, back to where it was as well", async () => {
    const ledger = createLedger(state);
    for (const commit of [COMMIT, OTHER, OTHER, COMMIT]) {
      await ledger.append('ghost', [{ tag: 'stable', commit, ts: TS }]);
    }
    expect(await ledger.read('ghost')).toEqual(new Map([['stable', { commit: COMMIT, ts: TS }]]));
    const line = { schema: 2, tag: 'stable', ts: TS, accepted: null };
    expect(await written()).toEqual([
      { schema: 1, tag: 'stable', commit: COMMIT, ts: TS },
      { ...line, from: COMMIT, commit: OTHER },
      { ...line, from: OTHER, commit: COMMIT },
    ]);
  });

  test("a release's tag that an operator accepts has the new commit from then on, and no other", async () => {
    const ledger = createLedger(state);
    await ledger.append('ghost', [{ tag: RELEASE, commit: COMMIT, ts: TS }]);
    const accepted = { by: 'ada@ci', reason: 'a typo in the notes' };
    await ledger.accept('ghost', { tag: RELEASE, from: COMMIT, commit: OTHER, ts: LATER, ...accepted });
    expect(await ledger.read('ghost')).toEqual(
      new Map([[RELEASE, { commit: OTHER, ts: LATER, accepted: { ...accepted, from: COMMIT } }]]),
    );
    expect(await written()).toEqual([
      { schema: 1, tag: RELEASE, commit: COMMIT, ts: TS },
      { schema: 2, tag: RELEASE, from: COMMIT, commit: OTHER, ts: LATER, accepted },
    ]);
    const before = await readFile(file, 'utf8');
    await ledger.append('ghost', [{ tag: RELEASE, commit: OTHER, ts: LATER }]);
    for (const commit of [COMMIT, 'c'.repeat(40)]) {
      await expect(ledger.append('ghost', [{ tag: RELEASE, commit, ts: LATER }])).rejects.toMatchObject({
        type: 'TagMoved',
      });
    }
    await expect(
      ledger.accept('ghost', { tag: RELEASE, from: COMMIT, commit: 'c'.repeat(40), ts: LATER, ...accepted }),
    ).rejects.toMatchObject({ type: 'TagMoved' });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  test('a last line that a crash cut short counts as never written, and the next append mends it', async () => {
    const ledger = createLedger(state);
    await ledger.append('ghost', [{ tag: 'v1', commit: COMMIT, ts: TS }]);
    await appendFile(file, `{"schema":1,"tag":"v2","com`);
    expect([...(await ledger.read('ghost')).keys()]).toEqual(['v1']);
    await ledger.append('ghost', [{ tag: 'v3', commit: OTHER, ts: TS }]);
    expect([...(await ledger.read('ghost')).keys()]).toEqual(['v1', 'v3']);
    expect(await readFile(file, 'utf8')).not.toContain('v2');
  });

  test('a first line that a crash cut short leaves an empty ledger', async () => {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '{"sch');
    const ledger = createLedger(state);
    expect(await ledger.read('ghost')).toEqual(new Map());
    await ledger.append('ghost', [{ tag: 'v1', commit: COMMIT, ts: TS }]);
    expect([...(await ledger.read('ghost')).keys()]).toEqual(['v1']);
  });

  test.each([
    ['a line that is not JSON', 'not json\n'],
    ['an empty line', '\n'],
    ['a newer schema', `${JSON.stringify({ schema: 3, tag: 'v1', commit: COMMIT, ts: TS })}\n`],
    ['a short commit', `${JSON.stringify({ schema: 1, tag: 'v1', commit: 'abc', ts: TS })}\n`],
    ['an unknown key', `${JSON.stringify({ schema: 1, tag: 'v1', commit: COMMIT, ts: TS, x: 1 })}\n`],
    [
      'a tag with two commits',
      [COMMIT, OTHER]
        .map((commit) => `${JSON.stringify({ schema: 1, tag: 'v1', commit, ts: TS })}\n`)
        .join(''),
    ],
    [
      'a tag that moved from where it never was',
      [
        { schema: 1, tag: 'v1', commit: COMMIT, ts: TS },
        { schema: 2, tag: 'v1', from: OTHER, commit: COMMIT, ts: TS, accepted: null },
      ]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    ],
    [
      'an acceptance without a reason',
      `${JSON.stringify({ schema: 2, tag: 'v1', from: OTHER, commit: COMMIT, ts: TS, accepted: { by: 'ada', reason: '' } })}\n`,
    ],
  ])('%s stops the recipe, and the message names the line', async (_what, text) => {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
    const ledger = createLedger(state);
    const refusal = { type: 'RecordUnreadable', message: expect.stringMatching(/ghost\.jsonl:\d: /) };
    await expect(ledger.read('ghost')).rejects.toMatchObject(refusal);
    await expect(ledger.append('ghost', [{ tag: 'v9', commit: COMMIT, ts: TS }])).rejects.toMatchObject(
      refusal,
    );
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  test('a file that cannot be read is not an empty ledger', async () => {
    await mkdir(file, { recursive: true });
    await expect(createLedger(state).read('ghost')).rejects.toMatchObject({ type: 'RecordUnreadable' });
  });

  test.each(['../ghost', 'Ghost', ''])('%j is not a recipe', async (recipe) => {
    await expect(createLedger(state).read(recipe)).rejects.toMatchObject({ type: 'BadInput' });
  });
});
