import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Summary } from '../bench/figure.ts';
import { ofZone } from './engine.ts';
import { until } from './system.ts';

/** What every run of the bench tells, whatever its size; the numbers themselves are not judged here. */
const FIGURES = [
  /^worker start over a plain one: to its first poll$/,
  /^idle worker over a plain one: resident memory$/,
  /^skipped recipe: added to its git commands$/,
  /^skipped recipe on Temporal's own server: added to its git commands$/,
  /^recipe run over a plain script: first release$/,
  /^recipe run over a plain script: newer release, with a canonical$/,
  /^from healthy to the step's end, beyond the window$/,
  /^from the last container gone to teardown's end$/,
  /^quick test over a cold one of the same head$/,
  /^site of \d+ recipes × \d+ weeks, from nothing$/,
  /^fleet page of \d+ recipes × \d+ weeks$/,
  /^snapshot over tar: many small files/,
  /^restore over tar: many small files/,
  /^snapshot over tar: one sparse file/,
  /^restore over tar: one sparse file/,
  /^a sweep of \d+ over one of \d+: time$/,
  /^a sweep of \d+: longest history$/,
  /^a sweep of \d+: worker memory growth$/,
];

const CLONE = path.resolve(import.meta.dirname, '../..');

test('the short bench measures and prints every figure', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-bench-test-'));
  try {
    const file = path.join(folder, 'bench.json');
    const args = ['run', '--silent', 'bench', '--', '--short', '--json', file];
    const { stdout } = await execa('npm', args, { cwd: CLONE });
    const { form, figures } = JSON.parse(await readFile(file, 'utf8')) as {
      form: string;
      figures: Summary[];
    };
    expect(form).toBe('short');
    const names = figures.filter(({ aim }) => aim !== null).map(({ name }) => name);
    expect(names).toHaveLength(FIGURES.length);
    expect(names).toEqual(FIGURES.map((name) => expect.stringMatching(name)));
    for (const { name, samples } of figures) {
      expect(stdout).toContain(name);
      expect(samples.length).toBeGreaterThan(0);
      expect(samples.filter((sample) => !Number.isFinite(sample))).toEqual([]);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a bench that is interrupted takes away what it started', async () => {
  const temporary = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-bench-test-'));
  const docker = new Dockerode();
  const folders = async (): Promise<string[]> =>
    (await readdir(temporary)).filter((name) => name.startsWith('recipe-sweep-'));
  try {
    const args = ['setup/bootstrap.mjs', 'test/bench/main.ts', '--short', '--only', 'recipe-run'];
    const env = { TMPDIR: temporary };
    const bench = execa(process.execPath, args, { cwd: CLONE, env, reject: false });
    let zone: string | undefined;
    await until(async () => {
      const [folder = ''] = await folders();
      const file = path.join(temporary, folder, 'recipe-sweep.yml');
      const text = await readFile(file, 'utf8').catch(() => '{}');
      zone = (parse(text) as { zone?: string }).zone;
      return zone !== undefined && (await ofZone(docker, zone)).some((one) => one.startsWith('container '));
    }, 120_000);
    bench.kill('SIGINT');
    const { exitCode, stderr } = await bench;
    expect(stderr).toMatch(/^taking away what was started$/m);
    expect(exitCode).toBe(130);
    expect(await folders()).toEqual([]);
    expect(await ofZone(docker, zone ?? '')).toEqual([]);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
});
