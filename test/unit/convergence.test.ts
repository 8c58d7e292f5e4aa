import { describe, expect, it } from 'vitest';
import { judge, type Expectation, type ServiceSeen, type TaskSeen } from '../../domain/convergence.ts';

/** The judge knows no clock: this is now. */
const NOW = 1_000_000;
const DEADLINE = NOW + 60_000;
const MONITOR = 5_000;
const DELAY = 5_000;
const WINDOW = MONITOR + DELAY + 250;

function task(changes: Partial<TaskSeen> = {}): TaskSeen {
  return {
    id: 'task-1',
    slot: '1',
    desired: 'running',
    state: 'running',
    since: NOW - WINDOW,
    created: NOW - WINDOW - 1_000,
    error: null,
    exitCode: null,
    imageId: 'sha256:new',
    current: true,
    ...changes,
  };
}

function service(changes: Partial<ServiceSeen> = {}): ServiceSeen {
  return {
    name: 'app',
    labels: { deployment: 'second' },
    image: 'app:2',
    replicas: 1,
    restarts: 'any',
    memoryLimited: false,
    restartDelayMs: DELAY,
    updateMonitorMs: MONITOR,
    update: null,
    tasks: [task()],
    ...changes,
  };
}

function expectation(changes: Partial<Expectation> = {}): Expectation {
  return {
    label: { name: 'deployment', value: 'second' },
    services: [{ name: 'app', image: 'app:2', imageId: 'sha256:new', oneShot: false }],
    stableMs: 0,
    deadline: DEADLINE,
    ...changes,
  };
}

const judged = (services: ServiceSeen[], changes: Partial<Expectation> = {}) =>
  judge({ at: NOW, services }, expectation(changes));

const crashed = task({
  id: 'task-0',
  desired: 'shutdown',
  state: 'failed',
  since: NOW - 20_000,
  created: NOW - 21_000,
  error: 'task: non-zero exit (1)',
  exitCode: 1,
});
const older = task({ id: 'old', current: false, imageId: 'sha256:old' });

describe('a stack', () => {
  it('has converged when every task has been up for longer than monitor and restart delay', () => {
    expect(judged([service()])).toEqual({ is: 'converged' });
  });

  it('is not watched for hours because its compose file says so', () => {
    expect(judged([service({ restartDelayMs: 3_600_000 })])).toEqual({
      is: 'failed',
      service: 'app',
      reason: 'app: its update monitor and restart delay ask to watch it for 3605 s; 600 s is the most',
    });
  });

  it('is stable until the youngest task has been up that long', () => {
    const young = task({ since: NOW - 1_000 });
    expect(judged([service({ tasks: [young] })])).toEqual({
      is: 'stable until',
      until: NOW - 1_000 + WINDOW,
    });
  });

  it('is watched at least as long as the configuration says', () => {
    const young = task({ since: NOW - 1_000 });
    const stableMs = WINDOW + 7_000;
    expect(judged([service({ tasks: [young] })], { stableMs })).toEqual({
      is: 'stable until',
      until: NOW - 1_000 + stableMs,
    });
  });

  it('need only outlive what failed before it where it is not watched for its own sake', () => {
    const young = (ms: number) => task({ since: NOW - ms });
    const ended = { ...crashed, created: NOW - 50_000, since: NOW - 47_000 };
    expect(judged([service({ tasks: [young(300)] })], { stableMs: null })).toEqual({ is: 'converged' });
    expect(judged([service({ tasks: [ended, young(1_000)] })], { stableMs: null })).toEqual({
      is: 'stable until',
      until: NOW - 1_000 + 3_250,
    });
  });

  it('may see its window end after the deadline', () => {
    const young = task({ since: NOW });
    expect(judged([service({ tasks: [young] })], { deadline: NOW - 1 })).toMatchObject({
      is: 'stable until',
    });
  });

  it('takes its window from the specs', () => {
    const quick = service({ restartDelayMs: 0, updateMonitorMs: 0, tasks: [task({ since: NOW - 100 })] });
    expect(judged([quick])).toEqual({ is: 'stable until', until: NOW + 150 });
  });

  it('has to stay up for longer by what an earlier task lived before it ended', () => {
    const lived = 30_000;
    const ended = { ...crashed, created: NOW - 50_000, since: NOW - 50_000 + lived };
    expect(judged([service({ tasks: [ended, task()] })])).toEqual({
      is: 'stable until',
      until: NOW + lived,
    });
  });

  it('has converged after a crash at start that it recovered from', () => {
    expect(judged([service({ tasks: [crashed, task({ since: NOW - 15_000 })] })])).toEqual({
      is: 'converged',
    });
  });

  it('needs no memory of crashes of an earlier release', () => {
    const ended = { ...crashed, current: false, created: 0 };
    expect(judged([service({ tasks: [ended, task()] })])).toEqual({ is: 'converged' });
  });

  it('counts a service without replicas as done', () => {
    expect(judged([service({ replicas: 0, tasks: [] })])).toEqual({ is: 'converged' });
  });

  it('wants every replica', () => {
    const two = service({ replicas: 2, tasks: [task(), task({ id: 'task-2', slot: '2' })] });
    expect(judged([two])).toEqual({ is: 'converged' });
    expect(judged([{ ...two, replicas: 3 }])).toEqual({ is: 'waiting', why: 'app 2/3' });
  });

  it('does not count a replica twice', () => {
    const twice = service({ replicas: 2, tasks: [task(), task({ id: 'task-2' })] });
    expect(judged([twice])).toEqual({ is: 'waiting', why: 'app 1/2' });
  });
});

describe('a one-shot service', () => {
  const done = task({
    desired: 'shutdown',
    state: 'complete',
    exitCode: 0,
    created: NOW - 2_000,
    since: NOW - 1_000,
  });

  it('is done once its task has left with 0', () => {
    expect(judged([service({ restarts: 'none', tasks: [done] })])).toEqual({ is: 'converged' });
  });

  it('is done when a later attempt left with 0', () => {
    expect(judged([service({ restarts: 'none', tasks: [crashed, done] })])).toEqual({ is: 'converged' });
  });

  it('is not done when its newest task failed', () => {
    const again = { ...crashed, created: NOW - 500, since: NOW };
    expect(judged([service({ restarts: 'none', tasks: [done, again] })])).toEqual({
      is: 'waiting',
      why: 'app 0/1',
    });
  });

  it('is not done by what an earlier release did', () => {
    expect(judged([service({ restarts: 'none', tasks: [{ ...done, current: false }] })])).toEqual({
      is: 'waiting',
      why: 'app 0/1',
    });
  });

  it('is one where recipe.yml says so, if the swarm starts it again only when it fails', () => {
    const services = expectation().services.map((wanted) => ({ ...wanted, oneShot: true }));
    expect(judged([service({ restarts: 'on-failure', tasks: [crashed, done] })], { services })).toEqual({
      is: 'converged',
    });
    expect(judged([service({ restarts: 'any', tasks: [done] })], { services })).toMatchObject({
      is: 'waiting',
    });
  });

  it('is none for its restart policy on-failure alone: what should run on and left with 0 stays away', () => {
    expect(judged([service({ restarts: 'on-failure', tasks: [crashed] })])).toMatchObject({ is: 'waiting' });
    expect(judged([service({ restarts: 'on-failure', tasks: [crashed, done] })])).toEqual({
      is: 'failed',
      service: 'app',
      reason:
        'app: it left with 0, and with restart policy on-failure the swarm does not start it again; a service that is done then is one_shot in recipe.yml',
    });
    const before = { ...done, current: false };
    expect(judged([service({ restarts: 'on-failure', tasks: [before, task()] })])).toEqual({
      is: 'converged',
    });
    const replaced = { ...done, created: NOW - 21_000, since: NOW - 20_000 };
    expect(judged([service({ restarts: 'on-failure', tasks: [replaced, task()] })])).toMatchObject({
      is: 'stable until',
    });
  });

  it('may also keep running', () => {
    expect(judged([service({ restarts: 'none' })])).toEqual({ is: 'converged' });
  });
});

describe('a service that always restarts', () => {
  it('is not done when its task left with 0', () => {
    const left = task({ desired: 'shutdown', state: 'complete', exitCode: 0 });
    expect(judged([service({ tasks: [left] })])).toEqual({ is: 'waiting', why: 'app 0/1' });
  });
});

describe('a stack is waited for while', () => {
  it.each<[string, ServiceSeen[], string]>([
    ['a service is not there', [], 'app not there yet'],
    ['a task is starting', [service({ tasks: [task({ state: 'starting' })] })], 'app 0/1'],
    ['a task crashed and the next is not up', [service({ tasks: [crashed] })], 'app 0/1'],
    ['only tasks of the release before run', [service({ tasks: [older] })], 'app 0/1'],
    [
      'a task of the release before is still stopping',
      [service({ tasks: [{ ...older, desired: 'shutdown' }, task()] })],
      'app still runs a task of the release before',
    ],
    [
      'the update goes on',
      [service({ update: { state: 'updating', message: '' } })],
      'app is still being updated',
    ],
    [
      'a task runs another image of the same name',
      [service({ tasks: [task({ imageId: 'sha256:other' })] })],
      'app runs image sha256:other, not sha256:new',
    ],
    [
      'no container was seen',
      [service({ tasks: [task({ imageId: null })] })],
      'app has no container to look at yet',
    ],
    ['more run than should', [service({ tasks: [task(), task({ id: 'task-2', slot: '2' })] })], 'app 2/1'],
  ])('%s', (_, services, why) => {
    expect(judged(services)).toEqual({ is: 'waiting', why });
  });
});

describe('an update that the swarm paused', () => {
  const update = { state: 'paused', message: 'update paused due to failure' };

  it('is over when all runs as asked for: the swarm never says anything else of it', () => {
    expect(judged([service({ update })])).toEqual({ is: 'converged' });
  });

  it('is waited for while the task that failed is started again', () => {
    expect(judged([service({ update, tasks: [{ ...crashed }] })])).toMatchObject({ is: 'waiting' });
  });

  it.each(['running', 'shutdown'])(
    'is waited for while the task that it replaces is still there: %s',
    (desired) => {
      const old = task({ id: 'old', current: false, desired });
      expect(judged([service({ update, tasks: [{ ...crashed }, old] })])).toMatchObject({ is: 'waiting' });
    },
  );
});

describe('a stack has failed when', () => {
  it.each(['rollback_started', 'rollback_paused', 'rollback_completed'])('UpdateStatus is %s', (state) => {
    const update = { state, message: 'update paused due to failure' };
    expect(judged([service({ update })])).toEqual({
      is: 'failed',
      service: 'app',
      reason: `app: update ${state}: update paused due to failure`,
    });
  });

  it('its update is paused while tasks of the release before are left', () => {
    const update = { state: 'paused', message: 'update paused due to failure' };
    const old = task({ id: 'old', slot: '2', current: false });
    expect(judged([service({ update, replicas: 2, tasks: [task(), old] })])).toEqual({
      is: 'failed',
      service: 'app',
      reason: 'app: update paused: update paused due to failure',
    });
  });

  it('the swarm went back, and the newest task that failed says why', () => {
    const update = { state: 'rollback_completed', message: 'rollback completed' };
    const failed = { ...crashed, current: false };
    expect(judged([service({ update, tasks: [task(), failed] })])).toMatchObject({
      reason: 'app: update rollback_completed: task failed: task: non-zero exit (1)',
    });
  });

  it('the label is of an earlier deployment, although all looks well', () => {
    expect(judged([service({ labels: { deployment: 'first' } })])).toEqual({
      is: 'failed',
      service: 'app',
      reason: 'app: the swarm rolled it back to an earlier deployment',
    });
  });

  it('the spec asks for another image', () => {
    expect(judged([service({ image: 'app:1' })])).toMatchObject({
      is: 'failed',
      reason: 'app: its spec asks for app:1, not app:2',
    });
  });

  it('something is not up at the deadline, and the last task says why', () => {
    const rejected = task({
      state: 'rejected',
      error: 'No such image: app:2',
      imageId: null,
      created: NOW - 1,
    });
    expect(judged([service({ tasks: [crashed, rejected] })], { deadline: NOW })).toEqual({
      is: 'failed',
      service: 'app',
      reason: 'not up at the deadline: app 0/1; app: task rejected: No such image: app:2',
    });
  });

  it('something is not up at the deadline, and blames the service that has an error', () => {
    const services = [service({ tasks: [] }), service({ name: 'db', tasks: [crashed] })];
    const both = [...expectation().services, { ...expectation().services[0]!, name: 'db' }];
    expect(judged(services, { services: both, deadline: NOW })).toEqual({
      is: 'failed',
      service: 'db',
      reason: 'not up at the deadline: app 0/1, db 0/1; db: task failed: task: non-zero exit (1)',
    });
  });
});
