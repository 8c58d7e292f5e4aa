import { describe, expect, test } from 'vitest';
import { LABEL } from '../../host/recipe-format/render.ts';
import { createStackRemoval } from '../../host/stack-removal.ts';
import type { Labelled, Swarm } from '../../host/swarm.ts';

const ZONE = 'ci.example.org';

function thing(kind: Labelled['kind'], name: string): Labelled {
  return { kind, id: name, name, labels: { [LABEL.zone]: ZONE } };
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
    await removal(swarm).discard('stack', ['secret', 'volume'], () => true);
    expect(left()).toEqual(['c']);
    expect(waits()).toBe(0);
  });

  test('what is still in use is tried again after a wait', async () => {
    const { swarm, left, waits } = engine([thing('secret', 'a')], { a: 2 });
    await removal(swarm).discard('stack', ['secret'], () => true);
    expect(left()).toEqual([]);
    expect(waits()).toBe(2);
  });

  test('a thing without our label stops everything', async () => {
    const foreign = { ...thing('volume', 'theirs'), labels: {} };
    const { swarm, left } = engine([thing('secret', 'a'), foreign]);
    await expect(removal(swarm).discard('stack', ['secret'], () => true)).rejects.toMatchObject({
      type: 'NotOurs',
    });
    expect(left()).toEqual(['a', 'theirs']);
  });
});
