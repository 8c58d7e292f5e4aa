import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyUnits } from './unit-judge.ts';

/** The units that `recipe-sweep install` prints, as systemd reads them. */

const COMMAND = path.resolve(import.meta.dirname, '../../bin/recipe-sweep');
const UNIT = 'recipe-sweep.service';
const SERVE_UNIT = 'recipe-sweep-serve.service';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'systemd-unit-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the command prints for a configuration in a folder of this name; `serve` is null where it prints no such unit. */
async function printed(name: string, more: object = {}): Promise<{ worker: string; serve: string | null }> {
  const place = path.join(folder, name);
  await mkdir(place);
  const file = path.join(place, 'recipe-sweep.yml');
  const mirrors = `${place}/mirrors/{recipe}`;
  await writeFile(
    file,
    JSON.stringify({
      host: 'ci-1',
      zone: 'ci.example.org',
      state: 'state',
      recipes: 'recipes',
      mirrors,
      ...more,
    }),
  );
  const { stdout } = await execa(process.execPath, [COMMAND, 'install', '--config', file]);
  const [worker = '', serve = null, ...others] = stdout.split(`\n\n# /etc/systemd/system/${SERVE_UNIT}:\n`);
  expect(others).toEqual([]);
  return { worker, serve };
}

test.each(['plain', 'a b', "it's 100%", '$HOME', '"a" b'])(
  'of a folder %j are without fault',
  async (name) => {
    const { worker, serve } = await printed(name);
    await writeFile(path.join(folder, UNIT), worker);
    await writeFile(path.join(folder, SERVE_UNIT), serve ?? '');
    expect(await verifyUnits(folder, [UNIT, SERVE_UNIT])).toBe('');
    expect(worker).toMatch(/^ReadWritePaths=.*\/mirrors['" ]/m);
    expect(worker.match(/^ExecStart=.*bin\/recipe-sweep worker --config /gm)).toHaveLength(1);
    expect(serve?.match(/^ExecStart=.*bin\/recipe-sweep serve --config /gm)).toHaveLength(1);
  },
);

test('of which a word is wrong is judged so', async () => {
  const { worker } = await printed('wrong');
  await writeFile(path.join(folder, UNIT), worker.replace('ProtectHome=read-only', 'ProtectHome=reed-only'));
  expect(await verifyUnits(folder, [UNIT])).toContain('reed-only');
});

/** How much a service may, by systemd's own count of 10. */
async function exposureOf(unit: string): Promise<number> {
  const { stdout } = await execa('systemd-analyze', [
    'security',
    '--offline=yes',
    '--no-pager',
    path.join(folder, unit),
  ]);
  const [, level] = /exposure level for recipe-sweep[a-z-]*\.service: ([\d.]+)/.exec(stdout) ?? [];
  return Number(level);
}

test('leave the worker less than systemd lets a service have, and serve little', async () => {
  const { worker, serve } = await printed('exposed');
  await writeFile(path.join(folder, UNIT), worker);
  expect(await exposureOf(UNIT)).toBeLessThan(6);
  await writeFile(path.join(folder, SERVE_UNIT), serve ?? '');
  expect(await exposureOf(SERVE_UNIT)).toBeLessThan(3);
});

test('have serve among them where there is a forge, once its webhook has a secret', async () => {
  const forge = { url: 'https://git.example.org', tokenFile: 'token' };
  expect((await printed('without a secret', { forge })).serve).toBeNull();
  const { serve } = await printed('with one', { forge, serve: { webhookSecretFile: 'secret' } });
  expect(serve).not.toBeNull();
});
