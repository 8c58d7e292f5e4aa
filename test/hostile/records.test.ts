import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createSnapshots } from '../../host/data/snapshots.ts';
import { filledIn } from './cases/hostile-case.ts';
import { RECORD_CASES } from './cases/records.ts';
import { SNAPSHOT_CASES } from './cases/snapshots.ts';
import { stepsIn } from './steps.ts';
import { expectClear, listing, makeSurroundings, type Surroundings } from './surroundings.ts';

/** Records and snapshots that are not what we wrote: refused, and left as they are. */

let around: Surroundings;

beforeEach(async () => {
  around = await makeSurroundings();
});

afterEach(() => around.remove());

const GOOD_RECORD = {
  schema: 1,
  recipe: 'thing',
  version: '1.0.0+1',
  commit: 'c'.repeat(40),
  status: 'proven',
  ts: '2025-01-05T03:00:00.000Z',
  run: 'sweep/thing',
  images: {},
  snapshot: { id: 'thin-abcdef-1', sha256: 'a'.repeat(64), bytes: 10 },
};

test.each(RECORD_CASES)('$name: $hostile', async ({ file, text, says }) => {
  const steps = stepsIn(around);
  const repo = await around.upstream('thing');
  await repo.commit({ 'compose.yml': 'services: {}\n' });
  await repo.git('tag', '1.0.0+1');
  await mkdir(path.join(steps.recipes, 'thing'), { recursive: true });
  await writeFile(path.join(steps.recipes, 'thing', 'recipe.yml'), stringify({ upstream: repo.folder }));
  await steps.run((all) => all.mirrorSync, { recipe: 'thing', run: null });
  const place = path.join(around.state, file);
  await mkdir(path.dirname(place), { recursive: true });
  const good = file.endsWith('.json') ? `${JSON.stringify(GOOD_RECORD)}\n` : await readFile(place, 'utf8');
  await writeFile(place, filledIn(text(good), around));
  const before = await readFile(place);
  // Each record is read by one of the two: the ledger by mirror-sync, the canonical's by resolve.
  const failure = await steps
    .run((all) => all.mirrorSync, { recipe: 'thing', run: null })
    .then(() => steps.run((all) => all.resolve, { recipe: 'thing' }))
    .then(
      () => null,
      (error: unknown) => error as { message: string; nonRetryable: boolean },
    );
  expect(failure).toMatchObject({ nonRetryable: true });
  expectClear(failure?.message ?? '', says ?? '');
  if (says?.startsWith('not a')) expect(failure?.message).toContain(place);
  expect(await readFile(place)).toEqual(before);
  await around.expectUntouched();
});

test.each(SNAPSHOT_CASES)('$name: $hostile', async ({ volume, tampering, forged, says }) => {
  const snapshots = createSnapshots(around.commands);
  const folder = path.join(around.state, 'snapshots');
  const [mountpoint, restored] = ['volume', 'restored'].map((name) => path.join(around.root, 'ours', name));
  if (mountpoint === undefined || restored === undefined) throw new Error('unreachable');
  for (const made of [folder, mountpoint, restored]) await mkdir(made, { recursive: true });
  const shell = (lines: string, cwd: string): void => {
    const env = { PATH: process.env['PATH'], OUTSIDE: around.outside, TAR: 'thing_data.tar' };
    execFileSync('bash', ['-ec', lines], { cwd, env, stdio: 'pipe' });
  };
  await writeFile(path.join(mountpoint, 'note'), 'all is well\n');
  if (volume) shell(volume, mountpoint);
  let ref = await snapshots.take(folder, 'one', 'thing', [{ name: 'thing_data', mountpoint }], []);
  const taken = path.join(folder, 'one');
  if (tampering) shell(tampering, taken);
  if (forged) ref = await forge(taken);

  const bringBack = async (): Promise<void> => {
    const manifest = await snapshots.verify(folder, ref);
    await snapshots.unpack(folder, manifest, [{ name: 'thing_data', mountpoint: restored }]);
  };
  // What stands in the volume links to the host as well, and is wiped first.
  shell('ln -s $OUTSIDE old; mkdir -p deep/er; ln -s / deep/er/root', restored);
  const before = await listing(restored);
  if (says === null) {
    await bringBack().catch((error: unknown) => expectClear((error as Error).message, ''));
    if (!forged) expect(shape(await listing(restored))).toEqual(shape(await listing(mountpoint)));
  } else {
    const message = await bringBack().then(
      () => 'it was not refused',
      (error: unknown) => (error as Error).message,
    );
    expectClear(message, says);
    expect(await listing(restored)).toEqual(before);
  }
  await around.expectUntouched();
});

/** Sockets are made by who listens; everything else comes back as it was, its kind, mode, owner and target. */
function shape(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.startsWith('sock '));
}

/** A manifest, and a record of it, that match whatever the tar is now. */
async function forge(folder: string): Promise<{ id: string; sha256: string; bytes: number }> {
  const tar = path.join(folder, 'thing_data.tar');
  const sha256 = createHash('sha256')
    .update(await readFile(tar))
    .digest('hex');
  const { size } = await stat(tar);
  const volumes = [{ name: 'thing_data', sha256, bytes: size }];
  const text = JSON.stringify({ schema: 1, id: 'one', recipe: 'thing', volumes, secrets: [] });
  await writeFile(path.join(folder, 'manifest.json'), text);
  return { id: 'one', sha256: createHash('sha256').update(text).digest('hex'), bytes: size + text.length };
}
