import { describe, expect, test } from 'vitest';
import type { Expectation, Observation, TaskSeen } from '../../domain/convergence.ts';
import { nextStep, type Asked, type Watched } from '../../domain/watching.ts';

const NOW = 1_000_000;
const DEADLINE = NOW + 5_000;
const EXPECTED: Expectation = {
  label: { name: 'deployment', value: 'one' },
  services: [{ name: 'app', image: 'app:1', imageId: 'sha256:1', oneShot: false }],
  stableMs: 10_000,
  deadline: DEADLINE,
};

function seenAt(at: number, task: Partial<TaskSeen> = {}): Observation {
  const running = {
    id: 'task',
    slot: '1',
    desired: 'running',
    state: 'running',
    since: NOW - 9_600,
    created: NOW - 9_700,
    error: null,
    exitCode: null,
    imageId: 'sha256:1',
    current: true,
  };
  return {
    at,
    services: [
      {
        name: 'app',
        labels: { deployment: 'one' },
        image: 'app:1',
        replicas: 1,
        restarts: 'any',
        memoryLimited: false,
        restartDelayMs: 0,
        updateMonitorMs: 0,
        update: null,
        tasks: [{ ...running, ...task }],
      },
    ],
  };
}

const STARTING = seenAt(NOW, { state: 'starting' });
/** Up, and not yet for as long as it must be. */
const UP = seenAt(NOW);
const STABLE = seenAt(NOW, { since: NOW - 20_000 });

function asked(changes: Partial<Asked> = {}): Asked {
  const none = { served: null, pending: null, refusal: 'no answer', unreachable: false, againAt: 0 };
  return { service: 'app', ...none, ...changes };
}

const next = (watched: Partial<Watched>): ReturnType<typeof nextStep> =>
  nextStep({ seen: UP, expected: EXPECTED, preparation: null, asked: null, ...watched });

describe('what is not up yet', () => {
  test('is waited for, and asked nothing', () => {
    expect(next({ seen: STARTING, asked: asked({ pending: 'task' }) })).toMatchObject({
      is: 'wait',
      why: 'waiting: app 0/1',
      asking: 'end',
      forMs: 1_000,
      held: false,
    });
  });

  test('has failed at the deadline', () => {
    expect(next({ seen: { ...STARTING, at: DEADLINE } })).toMatchObject({ is: 'failed', service: 'app' });
  });
});

describe('what is up', () => {
  test.each([
    ['at once', false, UP, 'prepare'],
    ['once it stayed so', true, STABLE, 'prepare'],
  ] as const)('is made ready %s', (_when, onceStable, seen, is) => {
    expect(next({ seen, preparation: { onceStable } })).toEqual({ is });
  });

  test('is held until it stayed so', () => {
    expect(next({ preparation: { onceStable: true } })).toMatchObject({ is: 'wait', held: true, forMs: 400 });
  });

  test('and that nobody asks is watched until it stayed so', () => {
    expect(next({})).toMatchObject({ is: 'wait', why: 'all up; watching that it stays so', forMs: 400 });
    expect(next({ seen: STABLE })).toEqual({ is: 'up' });
  });

  test('is up once it stayed so and has answered, and not before', () => {
    expect(next({ asked: asked({ served: 'task' }) })).toMatchObject({ is: 'wait' });
    expect(next({ seen: STABLE, asked: asked({ served: 'task' }) })).toEqual({ is: 'up' });
    expect(next({ seen: STABLE, asked: asked({ served: 'the one before' }) })).toMatchObject({
      is: 'wait',
      why: 'waiting for an answer: no answer',
      asking: 'begin',
    });
  });
});

describe('asking', () => {
  test.each([
    ['goes on while the same tasks run', { pending: 'task' }, 'go on'],
    ['begins anew when others do', { pending: 'the one before' }, 'begin'],
    ['rests after a refusal', { againAt: NOW + 100 }, 'end'],
    ['ends, and rests, when others run after a refusal', { pending: 'x', againAt: NOW + 100 }, 'end'],
  ] as const)('%s', (_what, changes, asking) => {
    expect(next({ asked: asked(changes) })).toMatchObject({ is: 'wait', asking });
  });

  test('begins again on time', () => {
    expect(next({ asked: asked({ againAt: NOW + 100 }) })).toMatchObject({ forMs: 100 });
  });

  test('ends at the deadline, which makes red what refused, and nothing of what could not be reached', () => {
    const seen = { ...STABLE, at: DEADLINE };
    expect(next({ seen: { ...STABLE, at: DEADLINE - 1 }, asked: asked() })).toMatchObject({ forMs: 1 });
    expect(next({ seen, asked: asked() })).toEqual({
      is: 'failed',
      service: 'app',
      reason: 'app does not answer as it should at the deadline: no answer',
    });
    const unreachable = asked({ unreachable: true });
    expect(next({ seen, asked: unreachable })).toEqual({ is: 'nothing learned', why: 'no answer' });
  });

  test('says of a task that keeps ending why', () => {
    const ending = seenAt(DEADLINE, { error: 'task: non-zero exit (1)' });
    expect(next({ seen: ending, asked: asked() })).toMatchObject({
      reason: expect.stringMatching(/no answer; app: task running: .*exit \(1\)/),
    });
  });
});
