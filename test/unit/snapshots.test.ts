import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  lutimes,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';
import { createSnapshots, packArguments, unpackArguments, wipeArguments } from '../../host/data/snapshots.ts';
import type { Volume } from '../../host/engine/volumes.ts';

let root: string;
let volume: Volume;
const snapshots = createSnapshots(processRunner({ environment: { PATH: process.env['PATH'] ?? '' } }));

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'snapshots-'));
  volume = { name: 'warm_data', mountpoint: path.join(root, 'volume') };
  await mkdir(volume.mountpoint);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const folder = (): string => path.join(root, 'snapshots');

test('the tar commands are exactly these', () => {
  expect(packArguments('/v', '/s/v.tar')).toEqual([
    '--create',
    '--sparse',
    '--numeric-owner',
    '--acls',
    '--xattrs',
    '--xattrs-include=*',
    '--file=/s/v.tar',
    '--directory=/v',
    '.',
  ]);
  expect(unpackArguments('/s/v.tar', '/v').slice(0, 3)).toEqual([
    '--extract',
    '--same-owner',
    '--same-permissions',
  ]);
  expect(wipeArguments('/v')).toEqual(['/v', '-mindepth', '1', '-xdev', '-delete']);
});

test('owners, modes, times, links, sparse files and odd names survive a wipe', async () => {
  const inside = (name: string): string => path.join(volume.mountpoint, name);
  await writeFile(inside('plain'), 'text');
  execFileSync('chown', ['1234:4321', inside('plain')]);
  await chmod(inside('plain'), 0o4750);
  await symlink('/etc/shadow', inside('link'));
  await lutimes(inside('link'), 1, 1);
  await mkdir(inside('-rf\n$(id)'));
  const sparse = await open(inside('sparse'), 'w');
  await sparse.truncate(50_000_000);
  await sparse.write('end', 49_999_990);
  await sparse.close();
  await chmod(volume.mountpoint, 0o711);

  const ref = await snapshots.take(folder(), 'a-1', 'hedgedoc', [volume], ['warm_secret_v1']);
  expect(ref.bytes).toBeLessThan(1_000_000);
  await writeFile(inside('plain'), 'damaged');
  await writeFile(inside('.hidden'), 'added');
  await rm(inside('sparse'));

  const manifest = await snapshots.verify(folder(), ref);
  expect(manifest.secrets).toEqual(['warm_secret_v1']);
  await snapshots.unpack(folder(), manifest, [volume]);
  expect((await readdir(volume.mountpoint)).sort()).toEqual(['-rf\n$(id)', 'link', 'plain', 'sparse']);
  expect(await readFile(inside('plain'), 'utf8')).toBe('text');
  expect(await stat(inside('plain'))).toMatchObject({ uid: 1234, gid: 4321, mode: 0o104750 });
  expect((await stat(volume.mountpoint)).mode & 0o777).toBe(0o711);
  const { size, blocks } = await stat(inside('sparse'));
  expect(size).toBe(50_000_000);
  expect(blocks * 512).toBeLessThan(1_000_000);
});

test('the sum that is taken while tar writes is that of the whole file on disk', async () => {
  await writeFile(path.join(volume.mountpoint, 'large'), randomBytes(7_000_001));
  const ref = await snapshots.take(folder(), 'a-1', 'hedgedoc', [volume], []);
  const [entry] = (await snapshots.verify(folder(), ref)).volumes;
  const tar = await readFile(path.join(folder(), 'a-1', 'warm_data.tar'));
  expect(entry).toEqual({
    name: 'warm_data',
    sha256: createHash('sha256').update(tar).digest('hex'),
    bytes: tar.length,
  });
});

test('a volume that tar cannot read gives no snapshot', async () => {
  await rm(volume.mountpoint, { recursive: true });
  await expect(snapshots.take(folder(), 'a-1', 'hedgedoc', [volume], [])).rejects.toMatchObject({
    type: 'Disk',
  });
  expect(await readdir(folder())).toEqual(['a-1.partial']);
});

describe('a snapshot that is not the one its record names is refused before anything is wiped', () => {
  test.each([
    ['a changed tar', async (at: string) => writeFile(path.join(at, 'warm_data.tar'), 'x')],
    ['a lost tar', async (at: string) => rm(path.join(at, 'warm_data.tar'))],
    ['a changed manifest', async (at: string) => writeFile(path.join(at, 'manifest.json'), '{}')],
    ['a lost snapshot', async (at: string) => rm(at, { recursive: true })],
  ])('%s', async (_situation, spoil) => {
    await writeFile(path.join(volume.mountpoint, 'precious'), 'data');
    const ref = await snapshots.take(folder(), 'a-1', 'hedgedoc', [volume], []);
    await spoil(path.join(folder(), 'a-1'));
    await expect(snapshots.verify(folder(), ref)).rejects.toMatchObject({ type: 'RecordUnreadable' });
    expect(await readdir(volume.mountpoint)).toEqual(['precious']);
  });
});

test('only the snapshot to keep stays', async () => {
  await snapshots.take(folder(), 'a-1', 'hedgedoc', [volume], []);
  await snapshots.take(folder(), 'a-2', 'hedgedoc', [volume], []);
  await mkdir(path.join(folder(), 'a-3.partial'));
  await snapshots.prune(folder(), 'a-2');
  expect(await readdir(folder())).toEqual(['a-2']);
});
