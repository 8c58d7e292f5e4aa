import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyUnits } from './unit-judge.ts';

/** The unit that `recipe-sweep install` prints, as systemd reads it. */

const COMMAND = path.resolve(import.meta.dirname, '../../bin/recipe-sweep');
const UNIT = 'recipe-sweep.service';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'systemd-unit-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the command prints for a configuration in a folder of this name. */
async function printed(name: string): Promise<string> {
  const place = path.join(folder, name);
  await mkdir(place);
  const file = path.join(place, 'recipe-sweep.yml');
  const mirrors = `${place}/mirrors/{recipe}`;
  await writeFile(
    file,
    JSON.stringify({ host: 'ci-1', zone: 'ci.example.org', state: 'state', recipes: 'recipes', mirrors }),
  );
  const { stdout } = await execa(process.execPath, [COMMAND, 'install', '--config', file]);
  return stdout;
}

test.each(['plain', 'a b', "it's 100%", '$HOME', '"a" b'])(
  'of a folder %j is one without fault',
  async (name) => {
    const unit = await printed(name);
    await writeFile(path.join(folder, UNIT), unit);
    expect(await verifyUnits(folder, [UNIT])).toBe('');
    expect(unit).toMatch(/^ReadWritePaths=.*\/mirrors['" ]/m);
    expect(unit.match(/^ExecStart=.*bin\/recipe-sweep worker --config /gm)).toHaveLength(1);
  },
);

test('of which a word is wrong is judged so', async () => {
  const unit = await printed('wrong');
  await writeFile(path.join(folder, UNIT), unit.replace('ProtectHome=read-only', 'ProtectHome=reed-only'));
  expect(await verifyUnits(folder, [UNIT])).toContain('reed-only');
});

test('leaves the worker less than systemd lets a service have', async () => {
  await writeFile(path.join(folder, UNIT), await printed('exposed'));
  const { stdout } = await execa('systemd-analyze', [
    'security',
    '--offline=yes',
    '--no-pager',
    path.join(folder, UNIT),
  ]);
  const [, level] = /exposure level for recipe-sweep\.service: ([\d.]+)/.exec(stdout) ?? [];
  expect(Number(level)).toBeLessThan(6);
});
