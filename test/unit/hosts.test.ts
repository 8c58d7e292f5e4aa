import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureInstallation, installationOf } from '../../host/lock/installation.ts';
import { foreignWorkers, workerIdentity } from '../../worker/pollers.ts';
import { reapWorkflowId, scheduleIdOf, sweepWorkflowId, taskQueueOf } from '../../workflows/protocol.ts';

let state: string;

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-hosts-'));
});

afterEach(async () => {
  await rm(state, { recursive: true });
});

it('two hosts on one Temporal server share no name', () => {
  const now = new Date('2026-11-29T03:00:00Z');
  const namesOf = (host: string): string[] => [
    taskQueueOf(host),
    scheduleIdOf(host),
    reapWorkflowId(host),
    sweepWorkflowId(host, now),
  ];
  expect(new Set([...namesOf('ci-1'), ...namesOf('ci-2')]).size).toBe(8);
  expect(sweepWorkflowId('ci-1', now)).toBe('sweep-ci-1-2026-11-29T03:00:00Z');
});

describe('an installation', () => {
  it('is none before a worker has run, then stays the same', async () => {
    expect(await installationOf(state)).toBeNull();
    const id = await ensureInstallation(state);
    expect(await ensureInstallation(state)).toBe(id);
    expect(await installationOf(state)).toBe(id);
  });

  it('that two workers begin at once is one', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map(() => ensureInstallation(state)));
    expect(new Set(ids)).toEqual(new Set([await installationOf(state)]));
  });

  it('that cannot be read is an error and no new one', async () => {
    await writeFile(path.join(state, 'installation.json'), '{"schema": 9}');
    await expect(ensureInstallation(state)).rejects.toMatchObject({ type: 'RecordUnreadable' });
    expect(await readFile(path.join(state, 'installation.json'), 'utf8')).toBe('{"schema": 9}');
  });
});

it('a worker is foreign unless it is of this installation, whatever its machine is called', () => {
  const seen = (identity: string) => ({ identity, lastSeen: new Date() });
  const [mine, restarted] = [
    workerIdentity(7, 'ci-1', 'aaaaaaaa'),
    workerIdentity(1, 'f00dcafe', 'aaaaaaaa'),
  ];
  const other = workerIdentity(7, 'ci-1', 'bbbbbbbb');
  expect(foreignWorkers([mine, restarted].map(seen), 'aaaaaaaa')).toEqual([]);
  expect(foreignWorkers([mine, other, '12@laptop'].map(seen), 'aaaaaaaa')).toEqual([other, '12@laptop']);
});
