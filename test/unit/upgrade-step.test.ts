import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { coldDomain, stackName } from '../../domain/names.ts';
import { createMachine, ZONE, type Machine, runOfSweep } from './fake-machine.ts';

/** The tier upgrade on a machine without an engine: what it says of data, and of services that are left. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const RUN = runOfSweep('ghost');
const STACK = stackName(coldDomain('ghost', ZONE, RUN.workflow.runId));
const BASE = { version: '1.0.0+1', commit: '0'.repeat(40) };
const HEAD = { version: '1.1.0+1', commit: '1'.repeat(40) };
const ASKED = { run: RUN, dependencies: [] };

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);
const upgrade = () =>
  step(({ coldUpgrade }) =>
    coldUpgrade({ ...ASKED, step: 'cold-test: upgrade', deploy: HEAD, upgraded: true }),
  );

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'upgrade-step-'));
  machine = createMachine(folder, ['ghost']);
  machine.open.add('sweep');
  machine.upstreams.set(
    'ghost',
    [BASE, HEAD].map((release) => ({ ...release, quality: 'good' as const })),
  );
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
  await step(({ coldInstall }) =>
    coldInstall({ ...ASKED, step: 'cold-test: install base', deploy: BASE, upgraded: false }),
  );
});

afterEach(() => rmSync(folder, { recursive: true }));

/** As an app does that makes its volume anew with each upgrade. */
function emptied(names: readonly string[]): void {
  machine.upgraded = () => {
    const volume = machine.volume(`${STACK}_files`);
    for (const name of readdirSync(volume)) {
      if (names.length === 0 || names.includes(name)) rmSync(path.join(volume, name), { recursive: true });
    }
  };
}

it('passes when all is there', async () => {
  expect(await upgrade()).toEqual({ result: 'pass', images: expect.any(Object) });
  expect(machine.deployed.map(({ version, occasion }) => `${version} ${occasion}`)).toEqual([
    '1.0.0+1 deploy',
    '1.1.0+1 upgrade',
  ]);
});

it('leaves alone the checkout that an earlier attempt deployed, whose files may be mounted', async () => {
  const checkouts = () =>
    readdirSync(path.join(machine.state, 'checkouts', STACK)).filter((name) => name !== 'scratch');
  await upgrade();
  const before = checkouts();
  await upgrade();
  const after = checkouts();
  expect(after).toHaveLength(before.length + 1);
  expect(after).toEqual(expect.arrayContaining(before));
});

it('says of a service that the release no longer has that it still runs', async () => {
  machine.older = ['worker'];
  expect(await upgrade()).toMatchObject({
    result: 'pass',
    note: 'worker, which it no longer has, still runs, as it does where it is upgraded',
  });
});

it('says that nobody was asked whether it serves', async () => {
  machine.asked = false;
  expect(await upgrade()).toMatchObject({
    result: 'pass',
    note: 'nobody was asked whether it serves: no label says where, and recipe.yml has no probe',
  });
});

it('accuses nobody of our mark alone', async () => {
  writeFileSync(path.join(machine.volume(`${STACK}_files`), 'upload'), '');
  emptied(['.recipe-sweep']);
  expect(await upgrade()).toMatchObject({
    result: 'pass',
    note: `it removed a file of ours from ${STACK}_files`,
  });
});

it('fails when of several files in a volume not one is left, and nobody says that the data is there', async () => {
  writeFileSync(path.join(machine.volume(`${STACK}_files`), 'upload'), '');
  emptied([]);
  expect(await upgrade()).toMatchObject({
    result: 'fail',
    reason: `the upgrade lost what was written in the volumes before: ${STACK}_files`,
  });
});

it('passes when the data is there all the same', async () => {
  writeFileSync(path.join(machine.volume(`${STACK}_files`), 'upload'), '');
  emptied([]);
  const hook = path.join(folder, 'check-data');
  writeFileSync(hook, '#!/bin/sh\ntrue\n', { mode: 0o755 });
  machine.settings.set('ghost', { hooks: { 'check-data': hook } });
  expect(await upgrade()).toMatchObject({ result: 'pass', note: expect.stringContaining('a file of ours') });
});
