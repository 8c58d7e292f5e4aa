import { describe, expect, it } from 'vitest';
import { createQueue } from '../../host/machine/queue.ts';

describe('a queue', () => {
  it('runs one after the other, also after a failure', async () => {
    const inTurn = createQueue();
    const log: string[] = [];
    const work = (name: string) => async () => {
      log.push(`${name} begins`);
      await Promise.resolve();
      log.push(`${name} ends`);
      if (name === 'a') throw new Error('a fails');
      return name;
    };
    const [a, b] = [inTurn(work('a')), inTurn(work('b'))];
    await expect(a).rejects.toThrow('a fails');
    expect(await b).toBe('b');
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
});
