import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { coldDomain, stackName } from '../../domain/names.ts';
import { DATA_MARKER } from '../../host/data/data-marker.ts';
import type { Break } from './fake-engine.ts';
import { createMachine, ZONE, type Machine, runOfSweep } from './fake-machine.ts';

/** An engine that fails, and data that is kept elsewhere: what the steps make of either. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const RUN = runOfSweep('ghost');
const COLD = stackName(coldDomain('ghost', ZONE, RUN.workflow.runId));
const WARM = 'warm-ghost_model_test';
const FIRST = { version: '1.0.0+1', commit: '0'.repeat(40) };
const NEXT = { version: '1.1.0+1', commit: '1'.repeat(40) };

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);
const cold = (tier: string, deploy = FIRST) => ({
  run: RUN,
  step: `cold-test: ${tier}`,
  deploy,
  dependencies: [],
  upgraded: false,
});
const promote = (release: typeof FIRST) => {
  const tested = { app: { image: release.commit, digest: `sha256:${release.commit}` } };
  return step((steps) => steps.promote({ run: RUN, release, tested, dependencies: [] }));
};
const fails = (call: Break['call'], when: Break['when'], type: Break['type'] = 'Daemon'): void => {
  machine.breaks.push({ call, when, type, times: 1 });
};

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'engine-faults-'));
  machine = createMachine(folder, ['ghost']);
  machine.open.add('sweep');
  machine.upstreams.set('ghost', [
    { ...FIRST, quality: 'good' },
    { ...NEXT, quality: 'good' },
  ]);
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
});
afterEach(() => rmSync(folder, { recursive: true }));

const TYPES = ['Registry', 'Network', 'Daemon', 'Disk'] as const;
const MOMENTS = ['before', 'halfway'] as const;
const FAULTS = TYPES.flatMap((type) => MOMENTS.map((when) => [type, when] as const));

describe.each(FAULTS)('a deployment that breaks of %s, %s', (type, when) => {
  const broken = { type, nonRetryable: false };

  test('makes no release red, and the next attempt begins from nothing', async () => {
    fails('deploy', when, type);
    let starts = 0;
    // Whatever it finds there: taken up again, it would be one that was upgraded.
    machine.started = machine.upgraded = () =>
      writeFileSync(path.join(machine.volume(`${COLD}_data`), `start-${++starts}`), '');
    const install = () => step((steps) => steps.coldInstall(cold('install')));
    await expect(install()).rejects.toMatchObject(broken);
    expect(await install()).toMatchObject({ result: 'pass' });
    const found = machine
      .rows(COLD)
      .get(`${COLD}_data`)
      ?.filter((name) => name.startsWith('start'));
    expect(found).toEqual([`start-${starts}`]);
  });

  test('makes no upgrade red, and is no fault of a dependency', async () => {
    await step((steps) => steps.coldInstall(cold('install')));
    fails('deploy', when, type);
    const upgrade = () => step((steps) => steps.coldUpgrade(cold('upgrade', NEXT)));
    await expect(upgrade()).rejects.toMatchObject(broken);
    expect(await upgrade()).toMatchObject({ result: 'pass' });
    fails('deploy', when, type);
    const provided = step((steps) => steps.provide({ run: RUN, recipe: 'ghost', dependencies: [] }));
    await expect(provided).rejects.toMatchObject(broken);
  });

  test('of a promote leaves the canonical and its data', async () => {
    await promote(FIRST);
    const file = path.join(machine.state, 'canonicals', 'ghost', 'canonical.json');
    const [record, rows] = [readFileSync(file, 'utf8'), machine.rows(WARM)];
    machine.breaks.push({ call: 'deploy', when, type, times: 2 });
    await expect(promote(NEXT)).rejects.toMatchObject(broken);
    await expect(promote(NEXT)).rejects.toMatchObject(broken);
    expect(await step((steps) => steps.settle({ run: RUN }))).toMatchObject({ version: FIRST.version });
    expect(readFileSync(file, 'utf8')).toBe(record);
    expect(machine.rows(WARM)).toEqual(rows);
    expect(machine.stacks.get(WARM)).toMatchObject({ running: false });
  });
});

test.each([
  ['undeploy', 'before'],
  ['undeploy', 'halfway'],
  ['remove', 'before'],
  ['remove', 'halfway'],
] as const)('a teardown whose %s breaks %s is tried again, and leaves nothing', async (call, when) => {
  await step((steps) => steps.coldInstall(cold('install')));
  fails(call, when);
  const teardown = () => step((steps) => steps.teardown({ run: RUN }));
  await expect(teardown()).rejects.toMatchObject({ type: 'Daemon', nonRetryable: false });
  await teardown();
  expect(machine.stacks.size).toBe(0);
  expect(machine.volumesOf(COLD)).toEqual([]);
});

test.each(MOMENTS)(
  'a promote whose undeploy breaks %s writes no record of what may still run',
  async (when) => {
    machine.started = () => fails('undeploy', when);
    await expect(promote(FIRST)).rejects.toMatchObject({ type: 'Daemon', nonRetryable: false });
    const canonical = path.join(machine.state, 'canonicals', 'ghost');
    expect(existsSync(path.join(canonical, 'canonical.json'))).toBe(false);
    expect(existsSync(path.join(canonical, 'snapshots'))).toBe(false);
    expect(await step((steps) => steps.settle({ run: RUN }))).toBeNull();
    expect(machine.stacks.size).toBe(0);
  },
);

describe('a volume that is kept elsewhere', () => {
  const media = (): string => machine.volume(`${COLD}_media`);

  beforeEach(async () => {
    machine.elsewhere.set('ghost', ['media']);
    await step((steps) => steps.coldInstall(cold('install')));
  });

  test('is given no mark of ours', () => {
    expect(existsSync(path.join(media(), DATA_MARKER))).toBe(false);
    expect(existsSync(path.join(machine.volume(`${COLD}_data`), DATA_MARKER))).toBe(true);
  });

  test('is neither archived, nor destroyed before the restore', async () => {
    const [row = ''] = machine.rows(COLD).get(`${COLD}_media`) ?? [];
    await step((steps) => steps.coldBackup(cold('backup')));
    const evidence = path.join(machine.state, 'runs', 'sweep', 'ghost', 'cold-test-backup', 'backup.txt');
    expect(readFileSync(evidence, 'utf8')).toContain(`left out: volume ${COLD}_media`);
    expect(await step((steps) => steps.coldRestore(cold('restore')))).toMatchObject({ result: 'pass' });
    expect(row).toMatch(/^row-/);
    expect(machine.rows(COLD).get(`${COLD}_media`)).toContain(row);
    expect(machine.rows(COLD).get(`${COLD}_data`)).toContain(row);
  });

  test('keeps a release from being promoted, before anything of it is deployed', async () => {
    const before = machine.deployed.length;
    expect(await promote(FIRST)).toMatchObject({ promoted: false, why: expect.stringContaining('media') });
    expect(machine.deployed).toHaveLength(before);
  });
});
