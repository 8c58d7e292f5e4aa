import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { installShipped } from './shipped.ts';
import { startSystem, until, type System } from './system.ts';

/**
 * Two installations on one engine, with zones and state folders of their own, as a host and its successor may be for a
 * while, or two clones whose tests run. Neither reaps, removes or counts what is the other's. One is this clone; the
 * other has what is shipped of it, and nothing else.
 */

const RECIPE = 'custom-html';
const FIRST = '1.0.0+1.22';
const NEXT = '1.1.0+1.26';

let shipped: string;
let one: System;
let other: System;

beforeAll(async () => {
  shipped = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-shipped-'));
  const command = await installShipped(shipped);
  [one, other] = await Promise.all([
    startSystem(inject('temporal'), [RECIPE], { limits: { stable: '4s' } }),
    startSystem(inject('temporal'), [RECIPE], { limits: { stable: '4s' }, command }),
  ]);
  for (const system of [one, other]) await system.upstreams.publish(RECIPE, FIRST);
  await one.startWorker();
}, 180_000);

afterAll(async () => {
  await Promise.all([one, other].map((system) => system?.stop()));
  await rm(shipped, { recursive: true });
}, 180_000);

const running = async (system: System): Promise<string[]> =>
  (await system.ours()).filter((thing) => thing.startsWith('service '));
const canonicalData = (system: System): Promise<string[]> => system.ours();

test('one reaps, sweeps and promotes while the other tests, and both come through', async () => {
  const swept = one.cli('sweep', '--json');
  await until(async () => (await running(one)).length > 0, 120_000);
  // Its worker reaps as it starts: what the first has running is not its own.
  await other.startWorker();
  const [first, second] = await Promise.all([swept, other.cli('sweep', '--json')]);
  expect([first.status, second.status], `${first.stdout}${first.stderr}${second.stderr}`).toEqual([0, 0]);
  for (const system of [one, other]) {
    expect((await system.canonical(RECIPE))?.version).toBe(FIRST);
    expect(await running(system)).toEqual([]);
    expect((await canonicalData(system)).length).toBeGreaterThan(0);
  }
});

test('what one gives up or promotes leaves the other’s canonical as it was', async () => {
  const before = [await canonicalData(one), await one.canonical(RECIPE)];
  const forgotten = await other.cli('canonical', 'forget', RECIPE, '--yes');
  expect(forgotten.stdout + forgotten.stderr).toContain(`${RECIPE} has no canonical any more`);
  expect(await other.ours()).toEqual([]);
  expect([await canonicalData(one), await one.canonical(RECIPE)]).toEqual(before);

  await other.upstreams.publish(RECIPE, NEXT);
  const { status, stdout, stderr } = await other.cli('sweep');
  expect(status, `${stdout}${stderr}`).toBe(0);
  expect((await other.canonical(RECIPE))?.version).toBe(NEXT);
  expect([await canonicalData(one), await one.canonical(RECIPE)]).toEqual(before);
  const untouched = await one.createdDuring(async () => {
    expect((await one.cli('sweep')).stdout).toContain('SKIP no-new-version');
  });
  expect(untouched).toEqual([]);
});

test('each says that the other is there, whose records it cannot see', async () => {
  const findings = JSON.parse((await one.cli('doctor', '--json')).stdout) as {
    name: string;
    found: string;
  }[];
  expect(findings.find(({ name }) => name === 'other zones')?.found).toContain(other.zone);
});

test('what is shipped is plain JavaScript, and answers what it is asked', async () => {
  const files = await readdir(shipped, { recursive: true });
  expect(files.filter((name) => name.endsWith('.ts') && !name.startsWith('node_modules/'))).toEqual([]);
  expect((await other.cli('--version')).stdout).toMatch(/^\d+\.\d+\.\d+$/);
  expect((await other.cli('--help')).stdout).toContain('sweep [options] [recipe...]');
  const findings = JSON.parse((await other.cli('doctor', '--json')).stdout) as {
    name: string;
    ok: boolean;
  }[];
  const found = (name: string): boolean | undefined => findings.find((finding) => finding.name === name)?.ok;
  expect([found('worker'), found('canonicals')]).toEqual([true, true]);
  // It finds its own template, too.
  const made = await other.cli('recipe', 'new', 'another', '--upstream', 'https://example.org/another');
  expect(made.stdout).toContain('recipe.yml');
});

test('nothing runs beside sources that it was not built of', async () => {
  await mkdir(path.join(shipped, 'client'), { recursive: true });
  await writeFile(path.join(shipped, 'client/main.ts'), '// Another one.\n');
  const refused = await other.cli('--version');
  expect(refused).toEqual({
    status: 2,
    stdout: '',
    stderr: `recipe-sweep: dist/ is not built of these sources. Type: npm --prefix ${shipped} run build`,
  });
  await rm(path.join(shipped, 'dist'), { recursive: true, force: true });
  expect(await other.cli('--version')).toEqual(refused);
});
