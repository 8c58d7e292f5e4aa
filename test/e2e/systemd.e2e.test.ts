import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SweepReport } from '../../domain/report.ts';
import { packArguments, unpackArguments } from '../../host/data/snapshots.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { startSystemd, type OwnSystemd } from './own-systemd.ts';
import { startSystem, until, type System } from './system.ts';

/**
 * The unit that `recipe-sweep install` writes, under a real systemd: what it takes from the worker, the worker does
 * without. A release passes, so volumes are packed and put back; another is not promoted, so a canonical's are.
 */

const COMMAND = '/opt/recipe-sweep/bin/recipe-sweep';

let folder: string;
let system: System;
let systemd: OwnSystemd;

beforeAll(async () => {
  // Not below /tmp: the worker has one of its own.
  folder = await mkdtemp('/srv/recipe-sweep-systemd-');
  system = await startSystem(inject('temporal'), ['notice-board'], {
    under: folder,
    limits: { stable: '4s' },
  });
  const { DockerRootDir } = (await system.docker.info()) as { DockerRootDir: string };
  systemd = await startSystemd(folder, [DockerRootDir, system.folder]);
}, 180_000);

afterAll(async () => {
  try {
    await systemd?.run('systemctl', 'stop', 'recipe-sweep');
    await systemd?.stop();
  } finally {
    await system?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}, 180_000);

async function outcomes(): Promise<string[]> {
  const { stdout } = await system.cli('results', '--json');
  const report: SweepReport = parseDocument('results', stdout);
  return report.recipes.map(({ outcome }) => outcome.kind);
}

test('is written, and started as it says', async () => {
  const written = await systemd.run(COMMAND, '--config', system.configFile, 'install', '--write');
  expect(written).toMatchObject({
    status: 0,
    all: expect.stringContaining('systemctl enable --now') as string,
  });
  expect(await systemd.run('systemctl', 'daemon-reload')).toMatchObject({ status: 0 });
  expect(await systemd.run('systemctl', 'enable', '--now', 'recipe-sweep')).toMatchObject({ status: 0 });
});

test('lets a release pass, also when the worker is killed over it', async () => {
  await system.upstreams.publish('notice-board', '1.0.0+1.22');
  const sweep = system.cli('sweep');
  await until(async () => (await system.ours()).some((thing) => thing.startsWith('service ')), 120_000);
  await systemd.run('systemctl', 'kill', '--signal=KILL', '--kill-who=main', 'recipe-sweep');
  await sweep;
  expect(await outcomes()).toEqual(['PASS']);
  expect((await systemd.run('systemctl', 'show', '-P', 'NRestarts', 'recipe-sweep')).all).toBe('1');
});

test('lets what stands in volumes come back as it was', async () => {
  const volume = path.join(system.folder, 'volume');
  const tar = `${volume}.tar`;
  const back = `${volume}.back`;
  const make = [
    ...['mkdir "$0" "$1"', 'cd "$0"', 'mkdir closed', 'echo x > closed/file', 'chown -R 1234:998 closed'],
    ...[
      'chmod 700 closed',
      'cp /bin/true setuid',
      'chown 77:78 setuid',
      'chmod 6755 setuid',
      'mknod null c 1 3',
    ],
  ];
  await execa('bash', ['-ec', make.join('\n'), volume, back]);
  const { all: unit } = await systemd.run('cat', '/etc/systemd/system/recipe-sweep.service');
  const once = (args: readonly string[]): string =>
    unit
      .replace(/^ExecStart=.*$/m, `ExecStart=/bin/tar ${args.join(' ')}`)
      .replace('Type=exec', 'Type=oneshot');
  for (const args of [packArguments(volume, tar), unpackArguments(tar, back)]) {
    const text = once(args).replace('Restart=always', 'Restart=no');
    const write =
      'printf %s "$0" > /etc/systemd/system/tar.service && systemctl daemon-reload && systemctl start tar';
    expect(await systemd.run('bash', '-c', write, text)).toMatchObject({ status: 0 });
  }
  const list = async (folder: string): Promise<string> =>
    (await execa('find', ['.', '-printf', '%p %y %m %U %G\n'], { cwd: folder })).stdout;
  expect(await list(back)).toBe(await list(volume));
  expect(await list(back)).toContain('./setuid f 6755 77 78');
});

test("lets a canonical's data be put back when its upgrade fails", async () => {
  await system.upstreams.publish('notice-board', '1.1.0+1.26');
  await system.cli('sweep');
  expect(await outcomes()).toEqual(['GREEN-BUT-PROMOTE-FAILED']);
  expect((await system.canonical('notice-board'))?.version).toBe('1.0.0+1.22');
});
