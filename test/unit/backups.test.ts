import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackupPlan, PlannedVolume } from '../../domain/backup-plan.ts';
import { createBackups, removeBackup, type Backups, type Taken } from '../../host/data/backups.ts';
import { missingMarkers, placeMarkers } from '../../host/data/data-marker.ts';
import type { Volume } from '../../host/engine/volumes.ts';
import { processRunner } from '../../host/machine/process.ts';

let root: string;
let backups: Backups;
let volume: Volume;
let other: Volume;
let guarded = 0;
const STACK = 'hedg-1a2b3c_example_org';

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'backups-'));
  [volume, other] = [await newVolume('data'), await newVolume('other')];
  backups = createBackups({
    state: path.join(root, 'state'),
    commands: processRunner({ environment: { PATH: process.env['PATH'] ?? '' } }),
    signal: new AbortController().signal,
    guard: async () => void guarded++,
    report: () => undefined,
  });
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function newVolume(name: string): Promise<Volume> {
  const mountpoint = path.join(root, name, '_data');
  await mkdir(mountpoint, { recursive: true });
  return { name: `${STACK}_${name}`, mountpoint };
}

const inside = (name: string, of = volume): string => path.join(of.mountpoint, name);

function plan(paths: string[] | null = null): BackupPlan {
  const planned: PlannedVolume = { name: volume.name, paths };
  return {
    volumes: [planned],
    leftOut: [],
    hooks: { beforeBackup: [], afterBackup: [], beforeRestore: [], afterRestore: [] },
    ignored: [],
  };
}

async function take(asked: BackupPlan, since = new Date(0)): Promise<Taken> {
  return backups.take(STACK, asked, [volume, other], [], since);
}

async function restore(): Promise<string | null> {
  const manifest = await backups.verified(STACK);
  const [archived] = manifest?.volumes ?? [];
  if (!archived) throw new Error('no archive');
  return backups.unpack(STACK, archived, volume);
}

/** All that a folder holds, with what tells one thing from another. */
async function content(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const entries = await Promise.all(
    ['.', ...names].map(async (name): Promise<[string, string]> => {
      const file = path.join(folder, name);
      const seen = await lstat(file);
      const what = seen.isSymbolicLink()
        ? `-> ${await readlink(file)}`
        : seen.isFile()
          ? createHash('sha256')
              .update(await readFile(file))
              .digest('hex')
          : '';
      return [name, `${seen.mode.toString(8)} ${seen.uid}:${seen.gid} ${what}`];
    }),
  );
  return Object.fromEntries(entries);
}

async function fill(): Promise<void> {
  await writeFile(inside('plain'), 'text');
  execFileSync('chown', ['1234:4321', inside('plain')]);
  await chmod(inside('plain'), 0o4750);
  await link(inside('plain'), inside('again'));
  await symlink('/etc/shadow', inside('link'));
  await mkdir(inside('deep/-rf\n$(id)'), { recursive: true });
  await chmod(inside('deep'), 0o2770);
  await writeFile(inside('deep/-rf\n$(id)/noise'), randomBytes(100_000));
  const sparse = await open(inside('sparse'), 'w');
  await sparse.truncate(50_000_000);
  await sparse.close();
  execFileSync('chown', ['33:33', volume.mountpoint]);
  await chmod(volume.mountpoint, 0o711);
}

describe('a whole volume', () => {
  test('is back with its owners, modes, links, sparse files and odd names', async () => {
    await fill();
    const before = await content(volume.mountpoint);
    const { manifest, missing, notes } = await take(plan());
    expect({ missing, notes }).toEqual({ missing: [], notes: [] });
    expect(manifest.volumes[0]?.archives[0]).toMatchObject({ path: null, files: 4 });
    expect(manifest.volumes[0]?.archives[0]?.bytes).toBeLessThan(1_000_000);

    await backups.wipe([volume]);
    expect(await readdir(volume.mountpoint)).toEqual([]);
    await chmod(volume.mountpoint, 0o777);
    expect(await restore()).toBeNull();
    expect(await content(volume.mountpoint)).toEqual(before);
    expect((await stat(inside('sparse'))).blocks).toBe(0);
    expect((await stat(inside('plain'))).nlink).toBe(2);
    expect(await readdir(path.dirname(volume.mountpoint))).toEqual(['_data']);
    expect(guarded).toBeGreaterThan(0);
  });

  test('has its mark again, which counts as no file', async () => {
    await placeMarkers([volume], 'run-1');
    const { manifest } = await take(plan());
    expect(manifest.volumes[0]).toMatchObject({ marked: true, archives: [{ files: 0 }] });
    await backups.wipe([volume]);
    await restore();
    expect(await missingMarkers([volume], 'run-1')).toEqual([]);
  });
});

test('a volume that was not asked for, or lacks its mark, is not counted on', async () => {
  const asked = plan(['plain']);
  asked.volumes.push({ name: other.name, paths: null });
  await fill();
  const { manifest } = await backups.take(STACK, asked, [volume, other], [other.name], new Date(0));
  expect(manifest.volumes.map(({ marked }) => marked)).toEqual([false, false]);
});

test('what an app made meanwhile in a volume makes room for what it held, and nothing else does', async () => {
  await fill();
  const before = await content(volume.mountpoint);
  await take(plan());
  await backups.wipe([volume]);
  // a file where a folder was, a folder where a file was, a link, and something new
  await writeFile(inside('deep'), 'fresh');
  await mkdir(inside('plain/sub'), { recursive: true });
  await symlink(root, inside('sparse'));
  await writeFile(inside('fresh'), 'fresh');
  expect(await restore()).toBeNull();
  const { fresh, ...after } = await content(volume.mountpoint);
  expect(fresh).toBeDefined();
  expect(after).toEqual(before);
  expect(existsSync(path.join(root, 'data'))).toBe(true);
});

describe('paths of a volume', () => {
  beforeEach(async () => {
    await fill();
    await mkdir(inside('dumps/today'), { recursive: true });
    await writeFile(inside('dumps/today/a -x.sql'), 'select');
    execFileSync('chown', ['999:999', inside('dumps')]);
    await chmod(inside('dumps'), 0o1730);
  });

  test('alone are kept, with the folders above them', async () => {
    const { manifest, missing } = await take(plan(['dumps/today/a -x.sql', 'deep']));
    expect(missing).toEqual([]);
    expect(manifest.volumes[0]?.archives.map(({ path: what, files }) => [what, files])).toEqual([
      ['dumps/today/a -x.sql', 1],
      ['deep', 1],
    ]);
    const before = await content(volume.mountpoint);
    await backups.wipe([volume]);
    await writeFile(inside('fresh'), 'stays');
    expect(await restore()).toBeNull();
    const after = await content(volume.mountpoint);
    expect(Object.keys(after).sort()).toEqual(
      ['.', 'fresh', 'deep', 'deep/-rf\n$(id)', 'deep/-rf\n$(id)/noise']
        .concat(['dumps', 'dumps/today', 'dumps/today/a -x.sql'])
        .sort(),
    );
    for (const name of ['dumps', 'dumps/today/a -x.sql', 'deep']) expect(after[name]).toBe(before[name]);
  });

  test('are looked into where a hook dumped something: the file, or what is called like a dump in a folder', async () => {
    await mkdir(inside('dumps/old.sql'));
    for (const name of ['b.sql', 'a.sql.gz', 'lock']) await writeFile(inside(`dumps/${name}`), '');
    await writeFile(inside('dumps/whole.sql'), 'rows');
    await symlink('/etc/passwd', inside('dumps/c.sql'));
    execFileSync('mkfifo', [inside('dumps/d.sql')]);
    await writeFile(inside('lock'), '');
    const asked = plan(['dumps', 'lock']);
    expect((await take(asked)).missing).toEqual([]);
    const beforeBackup = [{ hook: 'backup pre-hook', service: 'db', command: 'dump' }];
    const hooked = { ...asked, hooks: { ...asked.hooks, beforeBackup } };
    const called = ['a.sql.gz', 'b.sql'].map((name) => `volume ${volume.name}: dumps/${name} is empty`);
    expect((await take(hooked)).missing).toEqual([...called, `volume ${volume.name}: lock is empty`]);
    // Nobody dumped into what was empty before.
    expect((await take(hooked, new Date(Date.now() + 1_000))).missing).toEqual(called);
  });

  test('replace what the app has there now, and nothing beside it', async () => {
    await take(plan(['dumps/today']));
    await rm(inside('dumps/today/a -x.sql'));
    await writeFile(inside('dumps/today/fresh'), '');
    await writeFile(inside('dumps/beside'), '');
    await restore();
    expect((await readdir(inside('dumps/today'))).sort()).toEqual(['a -x.sql', 'fresh']);
    expect((await readdir(inside('dumps'))).sort()).toEqual(['beside', 'today']);
  });

  test('that are not there are missing, whatever else is', async () => {
    const long = 'longer-than-any-name'.repeat(20);
    const { missing, manifest } = await take(plan(['dumps/today', 'nothing', long, 'plain/below']));
    expect(missing).toEqual([
      `volume ${volume.name} has no nothing, or only behind a link`,
      `volume ${volume.name} has no ${long}, or only behind a link`,
      `volume ${volume.name} has no plain/below, or only behind a link`,
    ]);
    expect(manifest.volumes[0]?.archives).toHaveLength(1);
  });

  test('never lead out of the volume', async () => {
    await mkdir(path.join(root, 'secret'));
    await writeFile(path.join(root, 'secret/file'), 'secret');
    await symlink(path.join(root, 'secret'), inside('out'));
    const { missing, manifest } = await take(plan(['out/file', 'out']));
    expect(missing).toEqual([
      `volume ${volume.name} has no out/file, or only behind a link`,
      `volume ${volume.name} holds files, and none of them is in the archive`,
    ]);
    expect(manifest.volumes[0]?.archives).toMatchObject([{ path: 'out', files: 0 }]);
  });

  test('are not restored through a link either', async () => {
    await take(plan(['dumps/today']));
    await rm(inside('dumps'), { recursive: true });
    const outside = path.join(root, 'outside');
    await mkdir(outside);
    await symlink(outside, inside('dumps'));
    expect(await restore()).toBe(
      `volume ${volume.name}: dumps/today cannot be put back, since a folder above it is a file or a link now`,
    );
    expect(await readdir(outside)).toEqual([]);
  });

  test('that hold no file of a volume that has some give nothing', async () => {
    await mkdir(inside('empty'));
    expect((await take(plan(['empty']))).missing).toEqual([
      `volume ${volume.name} holds files, and none of them is in the archive`,
    ]);
    expect((await take(plan(['empty', 'plain']))).missing).toEqual([]);
  });
});

describe('an archive', () => {
  test('takes the place of what an earlier attempt left', async () => {
    await fill();
    await take(plan());
    await mkdir(path.join(root, 'state/backups', `${STACK}.partial`, 'half'), { recursive: true });
    await rm(inside('plain'));
    await rm(inside('again'));
    const { manifest } = await take(plan());
    expect(manifest.volumes[0]?.archives).toMatchObject([{ files: 2 }]);
    expect(await readdir(path.join(root, 'state/backups'))).toEqual([STACK]);
    expect((await readdir(path.join(root, 'state/backups', STACK))).sort()).toEqual([
      '0.tar',
      'manifest.json',
    ]);
    await removeBackup(path.join(root, 'state'), STACK);
    expect(await readdir(path.join(root, 'state/backups'))).toEqual([]);
    expect(await backups.verified(STACK)).toBeNull();
  });

  test.each([
    ['changed', async (tar: string) => writeFile(tar, 'x', { flag: 'r+' })],
    ['cut', async (tar: string) => writeFile(tar, '')],
    ['gone', async (tar: string) => rm(tar)],
  ])('that was %s is not restored', async (_how, spoil) => {
    await fill();
    await take(plan());
    await spoil(path.join(root, 'state/backups', STACK, '0.tar'));
    await expect(backups.verified(STACK)).rejects.toMatchObject({ type: 'RecordUnreadable' });
  });

  test('of files that change while they are read is taken, and says so', async () => {
    await writeFile(inside('log'), Buffer.alloc(20_000_000));
    const writer = spawn('sh', ['-c', 'while :; do echo more >> "$0"; done', inside('log')]);
    try {
      const { notes, missing, manifest } = await take(plan());
      expect(notes).toEqual([
        `volume ${volume.name} changed while it was read: tar: ./log: file changed as we read it`,
      ]);
      expect({ missing, files: manifest.volumes[0]?.archives[0]?.files }).toEqual({ missing: [], files: 1 });
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'exit');
    }
    await backups.verified(STACK);
  });
});
