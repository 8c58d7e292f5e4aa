import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../domain/convergence.ts';
import { oomKills, refuseKilledCommand, refusePlatformTrouble } from '../../host/engine/platform-trouble.ts';

const seen = (error: string | null, current = true): Observation =>
  ({
    at: 0,
    services: [{ name: 'app', tasks: [{ state: 'rejected', created: 0, error, current }] }],
  }) as unknown as Observation;

it.each([
  ['starting container failed: mkdir /var/lib/docker/overlay2/x: no space left on device', 'Disk'],
  ['failed to allocate network IP for task abc on network xyz', 'Daemon'],
  ['no suitable node (insufficient resources on 1 node)', 'Preflight'],
  [
    'no suitable node (scheduling constraints not satisfied on 1 node; insufficient resources on 1 node)',
    'Preflight',
  ],
])('%s is no fault of the package, but %s', (error, type) => {
  expect(() => refusePlatformTrouble('a_stack', seen(error), false)).toThrow(
    expect.objectContaining({ type }),
  );
});

it.each([
  ['a constraint of the recipe', 'no suitable node (scheduling constraints not satisfied on 1 node)'],
  ['a crash', 'task: non-zero exit (1)'],
  ['nothing', null],
])('%s is', (_, error) => {
  expect(() => refusePlatformTrouble('a_stack', seen(error), false)).not.toThrow();
});

it('what an earlier deployment died of says nothing', () => {
  expect(() => refusePlatformTrouble('a_stack', seen('no space left on device', false), false)).not.toThrow();
});

describe('memory that this host had no more of', () => {
  const service = (name: string, more: object = {}, memoryLimited = false) => ({
    name,
    memoryLimited,
    tasks: [
      {
        state: 'failed',
        created: 0,
        error: 'task: non-zero exit (137)',
        exitCode: 137,
        current: true,
        ...more,
      },
    ],
  });
  const refuse =
    (killed: boolean, ...services: object[]) =>
    () =>
      refusePlatformTrouble('a_stack', { at: 0, services } as unknown as Observation, killed);

  it('is no fault of the package', () => {
    expect(refuse(true, service('app'), service('db', { exitCode: 1 }))).toThrow(
      expect.objectContaining({
        type: 'Preflight',
        message: expect.stringMatching(
          /^a_stack: app: ended by this host's kernel, which had no memory left/,
        ),
      }),
    );
  });

  it.each([
    ['ended, without a limit', 137, true, false, true],
    ['ended, at a limit of its service', 137, true, true, false],
    ['ended by somebody else', 137, false, false, false],
    ['failed', 1, true, false, false],
    ['too late', null, true, false, false],
  ])('a command %s', (_, status, killed, limited, isRefused) => {
    const observation = { at: 0, services: [service('db', {}, limited)] } as unknown as Observation;
    const ask = (): void => refuseKilledCommand('a_stack', 'db', observation, status, killed);
    if (isRefused) expect(ask).toThrow(/^a_stack: a command in db: ended by this host's kernel/);
    else expect(ask).not.toThrow();
  });

  it.each([
    ['the kernel ended nothing', refuse(false, service('app'))],
    ['it had used up a limit of its own', refuse(true, service('app'), service('db', {}, true))],
    [
      'it was unhealthy',
      refuse(true, service('app', { error: 'task: non-zero exit (137): dockerexec: unhealthy container' })),
    ],
    ['that was before', refuse(true, service('app', { current: false }))],
    ['it left by itself', refuse(true, service('app', { exitCode: 1 }))],
  ])('is not blamed when %s', (_, refusing) => {
    expect(refusing).not.toThrow();
  });

  it('is counted by the kernel', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'vmstat-'));
    const file = path.join(folder, 'vmstat');
    writeFileSync(file, 'pgfault 1\noom_kill 5\nnuma_hit 3\n');
    expect(await oomKills(file)).toBe(5);
    writeFileSync(file, 'pgfault 1\n');
    expect(await oomKills(file)).toBeNull();
    expect(await oomKills(path.join(folder, 'none'))).toBeNull();
    rmSync(folder, { recursive: true });
  });
});
