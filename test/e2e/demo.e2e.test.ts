import { access, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import Dockerode from 'dockerode';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { isAlive, withVariable } from '../../host/machine/processes.ts';
import type { SiteIndex } from '../../site/index-json.ts';
import { until } from './system.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Report {
  recipes: { recipe: string; outcome: { kind: string; because?: string; promoted?: string } }[];
}

const FOLDER = path.join(ROOT, '.demo');

function demo() {
  return execa('node', ['setup/bootstrap.mjs', 'demo/main.ts', '--forge'], {
    cwd: ROOT,
    all: true,
    reject: false,
  });
}

/** What this clone's demo has on the machine beside its folder and what it deploys: processes, its forge's container. */
async function left(): Promise<{ processes: number; containers: number }> {
  const marked = await withVariable('RECIPE_SWEEP_DEMO');
  const zone = (parse(await readFile(path.join(FOLDER, 'recipe-sweep.yml'), 'utf8')) as { zone: string })
    .zone;
  const name = [`^/recipe-sweep-${zone.split('.', 1)[0]}-forge$`];
  const containers = await new Dockerode().listContainers({ all: true, filters: { name } });
  return {
    processes: marked.filter(({ value }) => value.startsWith(`${FOLDER}#`)).length,
    containers: containers.length,
  };
}

/**
 * What `npm run demo -- --forge` tells a newcomer, judged from the files it leaves; what it leaves when it is killed is
 * the next one's to take away.
 */
test('the demo tells its story, after one that was killed, and disk and forge say the same', async () => {
  await rm(path.join(FOLDER, 'serve.log'), { force: true });
  const killed = demo();
  await until(
    () =>
      access(path.join(FOLDER, 'serve.log')).then(
        () => true,
        () => false,
      ),
    600_000,
  );
  killed.kill('SIGKILL');
  await killed;
  // The development server, the worker, serve, the image registry.
  expect(await left()).toEqual({ processes: 4, containers: 1 });
  const processes = await withVariable('RECIPE_SWEEP_DEMO');

  const { exitCode, all } = await demo();
  expect(`exit ${exitCode}\n${exitCode === 0 ? '' : all}`).toBe('exit 0\n');
  expect(all).toContain('| **PASS**');
  expect(all).toContain('| **FAIL**');
  expect(await left()).toEqual({ processes: 0, containers: 0 });
  expect(await Promise.all(processes.map(isAlive))).not.toContain(true);
  const sweeps = path.join(FOLDER, 'state', 'sweeps');
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

  // The report site says the same, with what was tested, what it changed and how it looked.
  const site = path.join(FOLDER, 'state', 'site');
  const { recipes } = JSON.parse(await readFile(path.join(site, 'index.json'), 'utf8')) as SiteIndex;
  expect(recipes.map(({ recipe, stands, whose }) => [recipe, stands, whose])).toEqual([
    ['custom-html-tiny', 'newly red', 'the package'],
    ['notice-board', 'newly red', 'the package or this host'],
    ['custom-html', 'promoted', 'nobody'],
    ['webdis', 'promoted', 'nobody'],
    ['unreleased', 'unchanged', 'nobody'],
  ]);
  const board = recipes.find(({ recipe }) => recipe === 'notice-board');
  const run = await readFile(path.join(site, board?.run ?? '', 'index.html'), 'utf8');
  expect(run).toContain('GREEN-BUT-PROMOTE-FAILED');
  for (const link of run.matchAll(/(?:href|src)="((?:promote|changes)[^"#]*)/g)) {
    await access(path.join(site, board?.run ?? '', link[1] ?? ''));
  }
  const page = await readFile(path.join(site, 'recipe', 'notice-board', 'index.html'), 'utf8');
  expect(page).toContain('<span class="added">+export APP_ENTRYPOINT_VERSION=v2</span>');
  expect(page).toContain('is added to `/data/app.ini` by itself');
});
