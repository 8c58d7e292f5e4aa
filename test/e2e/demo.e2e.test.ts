import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Report {
  recipes: { recipe: string; outcome: { kind: string; because?: string; promoted?: string } }[];
}

/** What `npm run demo` tells a newcomer, judged from the files it leaves. */
test('the demo tells its story, and disk says the same', async () => {
  const { exitCode, all } = await execa('node', ['setup/bootstrap.mjs', 'demo/main.ts'], {
    cwd: ROOT,
    all: true,
    reject: false,
  });
  expect(`exit ${exitCode}\n${exitCode === 0 ? '' : all}`).toBe('exit 0\n');
  const sweeps = path.join(ROOT, '.demo', 'state', 'sweeps');
  const reports = await Promise.all(
    (await readdir(sweeps))
      .sort()
      .map(
        async (sweep) =>
          JSON.parse(await readFile(path.join(sweeps, sweep, 'report.json'), 'utf8')) as Report,
      ),
  );
  expect(
    reports.map(({ recipes }) =>
      Object.fromEntries(
        recipes.map(({ recipe, outcome }) => [recipe, outcome.because ?? outcome.promoted ?? outcome.kind]),
      ),
    ),
  ).toEqual([
    {
      'custom-html': '1.0.0+1.22',
      'custom-html-tiny': '1.0.0+1.22',
      'notice-board': '1.0.0+1.22',
      unreleased: 'never-released',
      webdis: '1.0.0+0.1.9',
    },
    {
      'custom-html': 'no-new-version',
      'custom-html-tiny': 'no-new-version',
      'notice-board': 'no-new-version',
      unreleased: 'never-released',
      webdis: 'no-new-version',
    },
    {
      'custom-html': 'no-new-version',
      'custom-html-tiny': 'FAIL',
      'notice-board': 'GREEN-BUT-PROMOTE-FAILED',
      unreleased: 'never-released',
      webdis: '1.1.0+0.1.22',
    },
  ]);
});
