import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';

const environment = { PATH: process.env['PATH'] ?? '' };

afterEach(() => vi.restoreAllMocks());

describe('a command that is ended twice', () => {
  it('leaves no kill armed behind it, to strike whoever has its number then', async () => {
    const kill = vi.spyOn(process, 'kill');
    const end = new AbortController();
    const { run } = processRunner({ environment, signal: end.signal });
    // It ends a little after it was told to, so that both its deadline and the abort tell it.
    const script = 'trap "sleep 0.6; exit 0" TERM; while :; do sleep 0.05; done';
    const running = run({ file: 'sh', args: ['-c', script], timeoutMs: 200 });
    setTimeout(() => end.abort(), 400);
    await expect(running).rejects.toThrow();
    const signals = (): unknown[] => kill.mock.calls.map(([, signal]) => signal);
    expect(signals()).toEqual(['SIGTERM', 'SIGTERM']);
    await sleep(6_000);
    expect(signals()).toEqual(['SIGTERM', 'SIGTERM']);
  }, 20_000);
});
