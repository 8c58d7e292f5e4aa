import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { processRunner } from '../../host/machine/process.ts';
import { createSnapshots, packArguments, unpackArguments, wipeArguments } from '../../host/data/snapshots.ts';
import { median, timed, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';

/**
 * Throughput of a snapshot and of its restore over that of plain tar with the same arguments on the same
 * volume. Both sides end with the data on disk (sync), and both restores begin with a volume full of data, which
 * goes first. Each begins every other round, since whoever comes second finds the disk as the first left it.
 * Ours also has the sum of every tar, and checks it before it wipes: the second ratio is over tar and a sum one
 * after the other. That sum is OpenSSL's, as ours; Debian's sha256sum is five times slower.
 */

const MB = 1_000_000;

interface Kind {
  name: string;
  fill(folder: string): Promise<void>;
}

export async function snapshotThroughput(_temporalBinary: string, form: Form): Promise<Figure[]> {
  const { megabytes, rounds } =
    form === 'short' ? { megabytes: 40, rounds: 1 } : { megabytes: 1000, rounds: 4 };
  const folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-bench-'));
  try {
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < 5 * megabytes * MB) throw new Error(`${folder}: needs ${5 * megabytes} MB free`);
    const figures: Figure[] = [];
    for (const kind of kindsOf(megabytes)) figures.push(...(await measure(kind, folder, megabytes, rounds)));
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function kindsOf(megabytes: number): Kind[] {
  const block = randomFillSync(Buffer.alloc(MB));
  return [
    {
      name: `many small files (${megabytes} MB in ${megabytes * 40} files)`,
      async fill(folder) {
        for (let number = 0; number < megabytes; number++) {
          interruption.throwIfAborted();
          const parent = path.join(folder, String(number));
          await mkdir(parent, { recursive: true });
          // 40 files of 1 to 49 kB
          for (let file = 0; file < 40; file++) {
            const size = 1_000 + ((file * 1231) % 49) * 1_000;
            await writeFile(path.join(parent, String(file)), block.subarray(file, file + size));
          }
        }
      },
    },
    {
      name: `one sparse file (${megabytes} MB of data in ${4 * megabytes} MB)`,
      async fill(folder) {
        const file = await open(path.join(folder, 'sparse'), 'w');
        for (let number = 0; number < megabytes; number++) {
          interruption.throwIfAborted();
          await file.write(block, 0, MB, number * 4 * MB);
        }
        await file.truncate(4 * megabytes * MB);
        await file.close();
      },
    },
  ];
}

async function measure(kind: Kind, parent: string, megabytes: number, rounds: number): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(parent, 'kind-'));
  const [source, target] = [path.join(folder, 'source'), path.join(folder, 'target')];
  const [plainTar, ours] = [path.join(folder, 'plain.tar'), path.join(folder, 'snapshots')];
  await mkdir(source);
  await kind.fill(source);
  const environment = { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8' };
  const runner = processRunner({ environment, signal: interruption });
  const { output } = runner;
  const snapshots = createSnapshots(runner);
  const volume = (mountpoint: string) => [{ name: 'warm_data', mountpoint }];
  const sync = (): Promise<string> => output({ file: 'sync', args: ['--file-system', folder] });
  const sum = (): Promise<string> => output({ file: 'openssl', args: ['dgst', '-sha256', plainTar] });
  /** A volume as it is before it is restored. */
  const refill = async (): Promise<void> => {
    await rm(target, { recursive: true, force: true });
    await output({ file: 'cp', args: ['--archive', '--sparse=auto', source, target] });
    await sync();
  };

  const times: Record<'tar' | 'sum' | 'take' | 'untar' | 'restore', number[]> = {
    tar: [],
    sum: [],
    take: [],
    untar: [],
    restore: [],
  };
  let ref = { id: '', sha256: '', bytes: 0 };
  for (let round = 0; round < rounds; round++) {
    await inTurn(
      round,
      async () => {
        await rm(plainTar, { force: true });
        await sync();
        times.tar.push(
          await timed(async () => {
            await output({ file: 'tar', args: packArguments(source, plainTar) });
            await output({ file: 'sync', args: [plainTar] });
          }),
        );
      },
      async () => {
        await rm(ours, { recursive: true, force: true });
        await sync();
        times.take.push(
          await timed(async () => {
            ref = await snapshots.take(ours, 'bench', 'bench', volume(source), []);
          }),
        );
      },
    );
    times.sum.push(await timed(sum));
    await inTurn(
      round,
      async () => {
        await refill();
        times.untar.push(
          await timed(async () => {
            await output({ file: 'find', args: wipeArguments(target) });
            await output({ file: 'tar', args: unpackArguments(plainTar, target) });
            await sync();
          }),
        );
      },
      async () => {
        await refill();
        times.restore.push(
          await timed(async () => {
            const manifest = await snapshots.verify(ours, ref);
            await snapshots.unpack(ours, manifest, volume(target));
          }),
        );
      },
    );
  }
  await rm(folder, { recursive: true, force: true });

  const speed = (ms: readonly number[]): string => `${Math.round((megabytes / median(ms)) * 1000)} MB/s`;
  const over = (plain: (round: number) => number, own: readonly number[]): number[] =>
    own.map((ms, round) => plain(round) / ms);
  const at = (list: readonly number[], round: number): number => list[round] ?? NaN;
  const figure = (
    what: string,
    baseline: string,
    aim: Figure['aim'],
    samples: number[],
    notes: string[],
  ): Figure => ({
    name: `${what} over ${baseline}: ${kind.name}`,
    unit: 'ratio',
    aim,
    samples,
    notes,
  });
  return [
    figure(
      'snapshot',
      'tar',
      { atLeast: 0.95 },
      over((round) => at(times.tar, round), times.take),
      [
        `${kind.name}: tar ${speed(times.tar)}, snapshot ${speed(times.take)}; the sum alone ${speed(times.sum)}`,
      ],
    ),
    figure(
      'snapshot',
      'tar, then its sum',
      null,
      over((round) => at(times.tar, round) + at(times.sum, round), times.take),
      [],
    ),
    figure(
      'restore',
      'tar',
      { atLeast: 0.95 },
      over((round) => at(times.untar, round), times.restore),
      [`${kind.name}: wipe and tar ${speed(times.untar)}, restore ${speed(times.restore)}`],
    ),
    figure(
      'restore',
      'its sum, then tar',
      null,
      over((round) => at(times.untar, round) + at(times.sum, round), times.restore),
      [],
    ),
  ];
}

/** Plain first in even rounds, ours in odd ones. */
async function inTurn(round: number, plain: () => Promise<void>, ours: () => Promise<void>): Promise<void> {
  for (const one of round % 2 === 0 ? [plain, ours] : [ours, plain]) await one();
}
