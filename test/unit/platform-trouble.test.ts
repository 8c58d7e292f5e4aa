import { expect, it } from 'vitest';
import type { Observation } from '../../domain/convergence.ts';
import { refusePlatformTrouble } from '../../host/platform-trouble.ts';

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
  expect(() => refusePlatformTrouble('a_stack', seen(error))).toThrow(expect.objectContaining({ type }));
});

it.each([
  ['a constraint of the recipe', 'no suitable node (scheduling constraints not satisfied on 1 node)'],
  ['a crash', 'task: non-zero exit (1)'],
  ['nothing', null],
])('%s is', (_, error) => {
  expect(() => refusePlatformTrouble('a_stack', seen(error))).not.toThrow();
});

it('what an earlier deployment died of says nothing', () => {
  expect(() => refusePlatformTrouble('a_stack', seen('no space left on device', false))).not.toThrow();
});
