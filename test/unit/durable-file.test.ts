import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeDurably } from '../../host/machine/durable-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'durable-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a durable file', () => {
  it('is always one writer’s text, however many write it at once in one process', async () => {
    const file = path.join(folder, 'record.json');
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(100_000 - index * 4_000));
    await Promise.all(texts.map((text) => writeDurably(file, text)));
    expect(texts).toContain(await readFile(file, 'utf8'));
    expect(await readdir(folder)).toEqual(['record.json']);
  });

  it('takes away what a writer left who died long ago, and nothing that may still be written', async () => {
    const file = path.join(folder, 'record.json');
    const [old, young, other] = ['record.json.aa.tmp', 'record.json.bb.tmp', 'other.json.cc.tmp'];
    for (const name of [old, young, other]) await writeFile(path.join(folder, name), '');
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of [old, other]) await utimes(path.join(folder, name), longAgo, longAgo);
    await writeDurably(file, 'text');
    expect((await readdir(folder)).sort()).toEqual([other, 'record.json', young].sort());
  });
});
