import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { messageOf } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import { createStackRemoval } from '../../host/engine/stack-removal.ts';
import type { ServiceContainer } from '../../host/engine/containers.ts';
import { STACK_LABEL } from '../../host/engine/stack-label.ts';
import type { Swarm } from '../../host/engine/swarm.ts';
import type { Labelled } from '../../host/engine/things.ts';
import { stacksOf } from '../../host/engine/ownership.ts';

const ZONE = 'ci.example.org';
const COLD = { stack: 'stack', lifetime: 'cold' } as const;

function thing(kind: Labelled['kind'], name: string): Labelled {
  return { kind, id: name, name, labels: { [LABEL.zone]: ZONE, [LABEL.lifetime]: 'cold' } };
}

/** An engine that holds on to what is named here for so many removals. */
function engine(things: readonly Labelled[], inUse: Record<string, number> = {}) {
  let present = [...things];
  let waits = 0;
  const answers: Partial<Swarm> = {
    labelled: async () => present,
    changes: () => ({
      async next() {
        waits++;
      },
      wake: () => undefined,
      close: () => undefined,
    }),
    async remove({ name }) {
      const more = inUse[name] ?? 0;
      inUse[name] = more - 1;
      if (more > 0) throw new Error(`secret '${name}' is in use by the following service: x`);
      present = present.filter((one) => one.name !== name);
    },
  };
  return { swarm: answers as Swarm, left: () => present.map(({ name }) => name), waits: () => waits };
}

function removal(swarm: Swarm) {
  return createStackRemoval({ swarm, zone: ZONE, report: () => undefined });
}

describe('discarding what a stopped stack leaves', () => {
  test('what is gone at once is not waited for', async () => {
    const { swarm, left, waits } = engine([thing('secret', 'a'), thing('volume', 'b'), thing('config', 'c')]);
    await removal(swarm).discard(COLD, ['secret', 'volume'], () => true);
    expect(left()).toEqual(['c']);
    expect(waits()).toBe(0);
  });

  test('what is still in use is tried again after a wait', async () => {
    const { swarm, left, waits } = engine([thing('secret', 'a')], { a: 2 });
    await removal(swarm).discard(COLD, ['secret'], () => true);
    expect(left()).toEqual([]);
    expect(waits()).toBe(2);
  });

  test('a thing without our label stops everything', async () => {
    const foreign = { ...thing('volume', 'theirs'), labels: {} };
    const { swarm, left } = engine([thing('secret', 'a'), foreign]);
    await expect(removal(swarm).discard(COLD, ['secret'], () => true)).rejects.toMatchObject({
      type: 'NotOurs',
    });
    expect(left()).toEqual(['a', 'theirs']);
  });
});

describe('a network without our label', () => {
  const lost = { ...thing('network', 'stack_lost'), labels: { [STACK_LABEL]: 'stack' } };

  test('is ours in a stack of ours: docker made it, without being told to', async () => {
    const { swarm, left } = engine([thing('secret', 'a'), lost]);
    await removal(swarm).discard(COLD, ['secret', 'network'], () => true);
    expect(left()).toEqual([]);
  });

  test('goes first, so that whoever dies over it leaves something that shows whose it was', async () => {
    const { swarm, left } = engine([thing('network', 'stack_default'), lost], { stack_lost: 2 });
    const seen: string[][] = [];
    const remove = async (one: Labelled): Promise<void> => {
      await swarm.remove(one);
      seen.push(left());
    };
    await removal({ ...swarm, remove }).discard(COLD, ['network'], () => true);
    expect(seen).toEqual([['stack_default'], []]);
  });

  test.each([
    ['nothing else of the stack is ours', [lost]],
    ['it is not called after the stack', [thing('secret', 'a'), { ...lost, name: 'office' }]],
    [
      'somebody gave it a label',
      [thing('secret', 'a'), { ...lost, labels: { ...lost.labels, theirs: 'yes' } }],
    ],
    ['it is of another installation', [thing('secret', 'a'), { ...lost, labels: { [LABEL.zone]: 'other' } }]],
  ])('is not when %s', async (_when, things) => {
    const { swarm, left } = engine(things);
    await expect(removal(swarm).ours(COLD)).rejects.toMatchObject({ type: 'NotOurs' });
    expect(left()).toHaveLength(things.length);
  });
});

/** A swarm whose containers stop when they are told to, and that writes down what was done to it. */
function swarmOf(services: Record<string, string[]>, { meanwhile = [] as string[], refuses = '' } = {}) {
  const log: string[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let present: ServiceContainer[] = Object.entries(services).flatMap(([service, ids]) =>
    ids.map((id) => ({ id, service, taskId: `task of ${id}`, imageId: '', runs: true })),
  );
  let serving = Object.keys(services).map((name) => thing('service', `stack_${name}`));
  let tasks = 2;
  const answers: Partial<Swarm> = {
    labelled: async () => [...serving, ...present.map(({ id }) => thing('container', id))],
    stopGraces: async () => new Map(Object.keys(services).map((name) => [name, 1_000])),
    containers: async () => present,
    containersOf: async () => [],
    liveTasks: async () => {
      log.push('look');
      return Math.max(0, --tasks);
    },
    changes: () => ({ next: async () => undefined, wake: () => undefined, close: () => undefined }),
    async stop(id) {
      log.push(`stop ${id}`);
      if (id === refuses) throw new Error(`${id} does not stop`);
      if (id === 'slow') await released;
      log.push(`${id} stopped`);
    },
    async remove({ kind, name }) {
      log.push(`remove ${kind} ${name}`);
      serving = serving.filter((one) => one.name !== name);
      present = present.filter(({ id }) => id !== name);
      const service = name.slice('stack_'.length);
      for (const id of meanwhile.filter((one) => kind === 'service' && one.startsWith(service))) {
        present = [...present, { id, service, taskId: `task of ${id}`, imageId: '', runs: true }];
      }
    },
  };
  return {
    swarm: answers as Swarm,
    log,
    release: () => release(),
    has: (line: string) => expect.poll(() => log).toContain(line),
  };
}

describe('stopping a stack', () => {
  test('a service goes when its containers have stopped, whatever the others do', async () => {
    const { swarm, log, release, has } = swarmOf({ app: ['a', 'b'], db: ['slow'] });
    const stopping = removal(swarm).stop(COLD);
    await has('remove service stack_app');
    expect(log.indexOf('remove service stack_app')).toBeGreaterThan(log.indexOf('a stopped'));
    expect(log.indexOf('remove service stack_app')).toBeGreaterThan(log.indexOf('b stopped'));
    expect(log).not.toContain('remove service stack_db');
    release();
    await has('remove service stack_db');
    expect(log.indexOf('remove service stack_db')).toBeGreaterThan(log.indexOf('slow stopped'));
    await stopping;
  });

  test('what the swarm starts meanwhile is stopped and removed too', async () => {
    const { swarm, log } = swarmOf({ app: ['a'] }, { meanwhile: ['app again'] });
    await removal(swarm).stop(COLD);
    expect(log.slice(log.indexOf('remove service stack_app') + 1)).toEqual(
      expect.arrayContaining([
        'stop app again',
        'app again stopped',
        'remove container app again',
        'remove container a',
      ]),
    );
  });

  test('ends when the swarm knows that the tasks have ended', async () => {
    const { swarm, log } = swarmOf({ app: ['a'] });
    await removal(swarm).stop(COLD);
    expect(log.slice(-3)).toEqual(['remove container a', 'look', 'look']);
  });

  test('what fails ends it only when the rest has ended', async () => {
    const { swarm, log, release, has } = swarmOf({ app: ['a'], db: ['slow'] }, { refuses: 'a' });
    const outcome = removal(swarm).stop(COLD).catch(messageOf);
    await has('stop slow');
    const ended = vi.fn<() => void>();
    void outcome.then(ended);
    await sleep(50);
    expect(ended).not.toHaveBeenCalled();
    release();
    expect(await outcome).toBe('a does not stop');
    expect(log).toContain('remove service stack_db');
    expect(log).not.toContain('remove service stack_app');
  });

  test('a thing without our label is touched by nothing', async () => {
    const { swarm, log } = swarmOf({ app: ['a'] });
    const theirs = {
      ...swarm,
      labelled: async () => [{ ...thing('service', 'stack_app'), labels: {} }],
    };
    await expect(removal(theirs).stop(COLD)).rejects.toMatchObject({ type: 'NotOurs' });
    expect(log).toEqual([]);
  });
});

describe('the lifetime of a stack', () => {
  const labelled = (lifetimes: readonly (string | undefined)[]): Labelled[] =>
    lifetimes.map((lifetime, index) => ({
      ...thing('volume', `v${index}`),
      labels: { [STACK_LABEL]: 's', ...(lifetime === undefined ? {} : { [LABEL.lifetime]: lifetime }) },
    }));

  test.each([
    [['cold', 'cold'], 'cold'],
    [['warm'], 'warm'],
    [['live'], 'live'],
    [['for ever'], null],
    [['Cold'], null],
    [[undefined], null],
    [['cold', undefined], null],
    [['cold', 'warm'], null],
    [['cold', 'live'], null],
  ] as const)('of which the labels say %j is %s', (said, lifetime) => {
    expect(stacksOf(labelled(said))).toMatchObject([{ stack: 's', lifetime }]);
  });
});
