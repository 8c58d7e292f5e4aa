import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import type { RunRef } from '../../domain/run.ts';
import { createMachine, type Machine } from './fake-machine.ts';
import { disk } from './mortal-fs.ts';

/** Single steps in situations that a sweep comes into only after something went wrong. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const COMMIT = '0'.repeat(40);
const IMAGES = { app: { image: COMMIT, digest: `sha256:${COMMIT}` } };
const RELEASE = { version: '1.0.0+1', commit: COMMIT };
const SWEEP = { id: 'sweep', runId: 'run of sweep' };
const RUN: RunRef = { recipe: 'ghost', sweep: SWEEP, workflow: { id: 'sweep/ghost', runId: 'abcdef' } };
const STACK = 'warm-ghost_model_test';

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'steps-'));
  machine = createMachine(folder, ['ghost']);
  machine.open.add('sweep');
  machine.upstreams.set('ghost', [{ ...RELEASE, quality: 'good' }]);
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
});

afterEach(() => rmSync(folder, { recursive: true }));

const promote = () => step((steps) => steps.promote({ run: RUN, release: RELEASE, tested: IMAGES }));

describe('a run that is gone without a word', () => {
  const lost = (sinceMs: number) =>
    step(({ recordFor }) =>
      recordFor({
        sweep: SWEEP,
        recipes: ['ghost'],
        outcome: { kind: 'ERROR', cause: 'infrastructure', why: 'terminated' },
        sinceMs,
        atMs: Date.now(),
      }),
    );

  test('had no verdict', async () => {
    expect(await lost(0)).toMatchObject([{ outcome: { kind: 'ERROR' }, given: true }]);
  });

  test('is PASS when its promotion is on disk', async () => {
    await promote();
    expect(await lost(0)).toEqual([{ outcome: { kind: 'PASS', promoted: '1.0.0+1' }, given: true }]);
    const file = path.join(machine.state, 'sweeps', 'sweep', 'ghost', 'result.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ outcome: { kind: 'PASS' } });
  });

  test('does not count what a run of the same name promoted before', async () => {
    await promote();
    expect(await lost(Date.now() + 1)).toMatchObject([{ outcome: { kind: 'ERROR' } }]);
  });

  test('has no verdict when the record cannot be read', async () => {
    await promote();
    writeFileSync(path.join(machine.state, 'canonicals', 'ghost', 'canonical.json'), '{');
    expect(await lost(0)).toMatchObject([{ outcome: { kind: 'ERROR' } }]);
  });
});

describe('the host is held', () => {
  const reaper = { workflowId: 'reap', runId: 'run of reap', what: 'reap' };
  const claimBy = (holder: typeof reaper) => step(({ reap }) => reap({ holder }));

  test('by the reaper: a sweep that comes waits for it', async () => {
    machine.open.add('reap');
    await claimBy(reaper);
    let ended = false;
    const teardown = step((steps) => steps.teardown({ run: RUN })).then(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(ended).toBe(false);
    await step(({ release }) => release({ holder: reaper }));
    expect(await teardown).toBe(true);
  });

  test('by a sweep: the reaper does not wait', async () => {
    await step((steps) => steps.teardown({ run: RUN }));
    machine.open.add('reap');
    await expect(claimBy(reaper)).rejects.toMatchObject({ type: 'HostBusy' });
  });
});

test('a warm app that runs although nobody said so has its data put back', async () => {
  await promote();
  const snapshot = machine.rows(STACK);
  const stack = machine.stacks.get(STACK);
  if (stack) stack.running = true;
  writeFileSync(path.join(machine.volume(`${STACK}_data`), 'migrated'), 'by somebody');
  await step(({ settle }) => settle({ run: RUN }));
  expect(machine.rows(STACK)).toEqual(snapshot);
  expect(machine.stacks.get(STACK)?.running).toBe(false);
});

test('an upgrade of nothing is no upgrade: a run that was reset past its install has no verdict', async () => {
  const upgrade = { run: RUN, step: 'cold-test: upgrade', deploy: RELEASE };
  await expect(step(({ coldUpgrade }) => coldUpgrade(upgrade))).rejects.toMatchObject({
    type: 'BadInput',
    message: expect.stringContaining('nothing to upgrade'),
  });
});

test('lint says what it finds, and keeps it with the evidence', async () => {
  const { problems } = await step(({ lint }) => lint({ run: RUN, step: 'cold-test: lint', deploy: RELEASE }));
  expect(problems.map(({ rule }) => rule)).toContain('env-sample-missing');
  const file = path.join(machine.state, 'sweeps', 'sweep', 'ghost', 'cold-test-lint', 'lint.txt');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  expect(lines).toContain('.env.sample: the recipe has none (env-sample-missing)');
  expect(lines).toHaveLength(problems.length);
});

test('a step that finds the disk full says so, is tried again, and leaves no half of a lock', async () => {
  disk.full = true;
  try {
    await expect(step((steps) => steps.teardown({ run: RUN }))).rejects.toMatchObject({
      type: 'Disk',
      nonRetryable: false,
    });
  } finally {
    disk.full = false;
  }
  expect(readdirSync(path.join(machine.state, 'lock'))).toEqual([]);
});
