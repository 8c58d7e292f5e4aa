import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHostLock, type Holder, type HostLock } from '../../host/lock/host-lock.ts';

let state: string;
let open: Set<string>;
let lock: HostLock;

const sweep = (id: string): Holder => ({ workflowId: id, runId: `run of ${id}`, what: 'sweep' });

beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'lock-'));
  open = new Set(['one', 'two']);
  lock = newLock();
});

afterEach(async () => {
  await rm(state, { recursive: true });
});

function newLock(): HostLock {
  return createHostLock({
    host: 'ci-1',
    state,
    isOpen: async ({ workflowId }) => open.has(workflowId),
    now: () => new Date(0),
  });
}

test('a second holder is refused and told whose the host is', async () => {
  await lock.claim([sweep('one')], 'preflight');
  await expect(lock.claim([sweep('two')], 'preflight')).rejects.toMatchObject({
    type: 'HostBusy',
    message: expect.stringContaining('sweep one since 1970-01-01T00:00:00.000Z (preflight)'),
  });
});

test('a released host is free', async () => {
  await lock.claim([sweep('one')], 'preflight');
  await lock.giveBack(sweep('one'));
  expect(await lock.current()).toBeNull();
  await lock.claim([sweep('two')], 'preflight');
  expect(await lock.current()).toMatchObject({ workflowId: 'two' });
});

test('what its holder took again since is not given back by an attempt that stood still', async () => {
  const early = new Date(-1);
  await lock.claim([sweep('one')], 'preflight');
  await lock.giveBack(sweep('one'), early);
  expect(await lock.current()).toMatchObject({ workflowId: 'one' });
});

test('a holder whose workflow has ended holds nothing', async () => {
  await lock.claim([sweep('one')], 'preflight');
  open.delete('one');
  expect(await lock.current()).toBeNull();
  await lock.claim([sweep('two')], 'preflight');
  await lock.giveBack(sweep('one'));
  expect(await lock.current()).toMatchObject({ workflowId: 'two' });
});

test('a run of the same name but another execution is another holder', async () => {
  await lock.claim([sweep('one')], 'preflight');
  await expect(lock.claim([{ ...sweep('one'), runId: 'later' }], 'x')).rejects.toMatchObject({
    type: 'HostBusy',
  });
});

test('a later attempt, also of another process, takes the fence from an earlier one', async () => {
  const first = await lock.claim([sweep('one')], 'promote, attempt 1');
  await first.guard();
  const second = await newLock().claim([sweep('one')], 'promote, attempt 2');
  await second.guard();
  await expect(first.guard()).rejects.toMatchObject({ type: 'FenceLost' });
});

test('whoever comes second is not let in by the end of the first alone: it must be open itself', async () => {
  open.clear();
  await expect(lock.claim([sweep('one')], 'promote')).rejects.toMatchObject({ type: 'FenceLost' });
});

test('a run works under its open sweep, else under its own name', async () => {
  await lock.claim([sweep('one')], 'preflight');
  await lock.claim([sweep('one'), sweep('two')], 'promote');
  expect(await lock.current()).toMatchObject({ workflowId: 'one', step: 'promote' });
  open.delete('one');
  await lock.claim([sweep('one'), sweep('two')], 'promote');
  expect(await lock.current()).toMatchObject({ workflowId: 'two' });
});

test('of many that try at once one wins', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
  for (const name of names) open.add(name);
  const tries = await Promise.allSettled(names.map((name) => newLock().claim([sweep(name)], 'preflight')));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('old generations are cleared away', async () => {
  for (let index = 0; index < 60; index++) await lock.claim([sweep('one')], 'step');
  expect((await readdir(path.join(state, 'lock'))).length).toBeLessThanOrEqual(21);
});
