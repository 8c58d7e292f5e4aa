import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  DATA_MARKER,
  missingMarkers,
  nothingLeft,
  placeMarkers,
  someFiles,
} from '../../host/data/data-marker.ts';
import type { Volume } from '../../host/engine/volumes.ts';

let root: string;
let volumes: Volume[];
const MARK = 'sweep-1/webdis 0f';

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'data-marker-'));
  volumes = ['a_data', 'a_files'].map((name) => ({ name, mountpoint: path.join(root, name) }));
  for (const { mountpoint } of volumes) await mkdir(mountpoint);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const marker = (index: number): string => path.join(volumes[index]?.mountpoint ?? '', DATA_MARKER);

test('each volume gets the mark, and a second time changes nothing', async () => {
  expect(await missingMarkers(volumes, MARK)).toEqual(['a_data', 'a_files']);
  await placeMarkers(volumes, MARK);
  const { ino } = await stat(marker(0));
  await placeMarkers(volumes, MARK);
  expect((await stat(marker(0))).ino).toBe(ino);
  expect(await readFile(marker(1), 'utf8')).toBe(MARK);
  expect(await missingMarkers(volumes, MARK)).toEqual([]);
});

test("a volume that lost it, or has another run's, is named", async () => {
  await placeMarkers(volumes, MARK);
  await rm(marker(0));
  await writeFile(marker(1), MARK.replace('0f', '1f'));
  expect(await missingMarkers(volumes, MARK)).toEqual(['a_data', 'a_files']);
  await placeMarkers(volumes, MARK);
  expect(await missingMarkers(volumes, MARK)).toEqual([]);
});

test('a volume is empty when of the files that it held not one is left', async () => {
  const [first = '', second = ''] = volumes.map(({ mountpoint }) => mountpoint);
  await placeMarkers(volumes, MARK);
  await mkdir(path.join(first, 'deep'));
  for (const file of [path.join(first, 'deep/a'), path.join(first, 'b'), path.join(second, 'only')])
    await writeFile(file, '');
  await symlink('/etc', path.join(first, 'etc'));
  const held = await someFiles(volumes);
  expect(held.get('a_data')?.sort()).toEqual([path.join(first, 'b'), path.join(first, 'deep/a')]);
  const names = volumes.map(({ name }) => name);
  expect(await nothingLeft(held, names)).toEqual([]);
  await rm(path.join(first, 'deep'), { recursive: true });
  await rm(path.join(second, 'only'));
  expect(await nothingLeft(held, names)).toEqual([]);
  await rm(path.join(first, 'b'));
  // One file is no witness.
  expect(await nothingLeft(held, names)).toEqual(['a_data']);
});

test('a volume that is deeper, or wider, than anybody needs is not followed to its end', async () => {
  const [first = '', second = ''] = volumes.map(({ mountpoint }) => mountpoint);
  const deep = path.join(first, 'd/'.repeat(100));
  await mkdir(deep, { recursive: true });
  await writeFile(path.join(deep, 'bottom'), '');
  await writeFile(path.join(first, 'top'), '');
  for (let index = 0; index < 1_100; index++) await mkdir(path.join(second, String(index)));
  await writeFile(path.join(second, '999/late'), '');
  const held = await someFiles(volumes);
  expect(held.get('a_data')).toEqual([path.join(first, 'top')]);
  expect(held.get('a_files')?.length).toBeLessThanOrEqual(1);
});

test("it belongs to whoever the volume's folder belongs to, and all may read it", async () => {
  execFileSync('chown', ['1234:4321', root, volumes[0]?.mountpoint ?? '']);
  await placeMarkers(volumes, MARK);
  const { uid, gid, mode } = await stat(marker(0));
  expect({ uid, gid, mode: mode & 0o777 }).toEqual({ uid: 1234, gid: 4321, mode: 0o644 });
});

test('nothing that an app puts in its place is followed or waited for', async () => {
  const outside = path.join(root, 'outside');
  await writeFile(outside, MARK);
  await symlink(outside, marker(0));
  execFileSync('mkfifo', [marker(1)]);
  expect(await missingMarkers(volumes, MARK)).toEqual(['a_data', 'a_files']);
  await placeMarkers(volumes, `${MARK} again`);
  expect(await readFile(outside, 'utf8')).toBe(MARK);
  expect((await lstat(marker(0))).isFile()).toBe(true);
  expect(await missingMarkers(volumes, `${MARK} again`)).toEqual([]);
  await rm(marker(0));
  await mkdir(marker(0));
  await symlink('/etc', path.join(marker(0), 'etc'));
  expect(await missingMarkers(volumes, MARK)).toEqual(['a_data', 'a_files']);
  await placeMarkers(volumes, MARK);
  expect(await missingMarkers(volumes, MARK)).toEqual([]);
  // Nothing is emptied by its path: an app may exchange a folder for a link while that is done.
  const moved = (await readdir(path.dirname(marker(0)))).find((name) => name.startsWith(`${DATA_MARKER}-`));
  expect(await readdir(path.join(path.dirname(marker(0)), moved ?? ''))).toEqual(['etc']);
});

test('a volume in memory, or on another machine, gets none and lacks none', async () => {
  const [first, second] = volumes;
  if (!first || !second) throw new Error('no volumes');
  const mixed: Volume[] = [first, { ...second, elsewhere: true }];
  await placeMarkers(mixed, MARK);
  expect(await missingMarkers(mixed, MARK)).toEqual([]);
  expect(await missingMarkers(volumes, MARK)).toEqual(['a_files']);
});
