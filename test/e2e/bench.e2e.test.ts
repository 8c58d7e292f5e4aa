import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import type { Summary } from '../bench/figure.ts';

/** What every run of the bench tells, whatever its size; the numbers themselves are not judged here. */
const FIGURES = [
  /^skipped recipe: added to its git commands$/,
  /^recipe run over a plain script: first release$/,
  /^recipe run over a plain script: newer release, with a canonical$/,
  /^from healthy to the step's end, beyond the window$/,
  /^from the last container gone to teardown's end$/,
  /^snapshot over tar: many small files/,
  /^restore over tar: many small files/,
  /^snapshot over tar: one sparse file/,
  /^restore over tar: one sparse file/,
  /^a sweep of \d+ over one of \d+: time$/,
  /^a sweep of \d+: longest history$/,
  /^a sweep of \d+: worker memory growth$/,
];

test('the short bench measures and prints every figure', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-bench-test-'));
  try {
    const file = path.join(folder, 'bench.json');
    const args = ['run', '--silent', 'bench', '--', '--short', '--json', file];
    const { stdout } = await execa('npm', args, { cwd: path.resolve(import.meta.dirname, '../..') });
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
