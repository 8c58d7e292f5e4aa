import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isBuilt, recordInputs } from '../../setup/built-from.ts';

let root: string;
const write = (file: string, text: string): Promise<void> => writeFile(path.join(root, file), text);

/** A checkout whose dist/ was built of two sources and a folder of tools. */
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'built-from-'));
  for (const folder of ['client', 'domain', 'tools', 'dist']) await mkdir(path.join(root, folder));
  await write('client/main.ts', 'main');
  await write('domain/decide.ts', 'decide');
  await write('tools/one', 'one');
  recordInputs(path.join(root, 'dist'), root, ['client/main.ts', 'domain/decide.ts', 'tools']);
});
afterEach(() => rm(root, { recursive: true }));

test('a build is of its sources until one of them changes, and when it is as it was', async () => {
  expect(isBuilt(root)).toBe(true);
  await write('domain/decide.ts', 'decide otherwise');
  expect(isBuilt(root)).toBe(false);
  await write('domain/decide.ts', 'decide');
  expect(isBuilt(root)).toBe(true);
});

test.each([
  ['a file more in a folder that it takes whole', () => write('tools/another', '')],
  ['another name', () => write('tools/one.ts', 'one').then(() => rm(path.join(root, 'tools/one')))],
  ['a source that is gone', () => rm(path.join(root, 'domain/decide.ts'))],
  ['no build', () => rm(path.join(root, 'dist'), { recursive: true })],
])('%s is noticed', async (_what, change) => {
  await change();
  expect(isBuilt(root)).toBe(false);
});

test('what is none of its inputs does not matter', async () => {
  await write('domain/notes.md', 'notes');
  expect(isBuilt(root)).toBe(true);
});

test('where there are no sources, there is nothing to be older than', async () => {
  for (const folder of ['client', 'domain', 'tools']) await rm(path.join(root, folder), { recursive: true });
  expect(isBuilt(root)).toBe(true);
});
