import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startService, whyNotReady, type Service } from '../../host/machine/child.ts';

/** Programs that run beside us. */

let folder: string;
let service: Service | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'child-'));
});
afterEach(async () => {
  await service?.stop();
  rmSync(folder, { recursive: true });
});

function start(script: string): Service {
  const env = { PATH: process.env['PATH'] ?? '' };
  const logFile = path.join(folder, 'service.log');
  service = startService({ file: 'sh', args: ['-c', script, 'sh', path.join(folder, 'up')], env, logFile });
  return service;
}

const whyNot = (started: Service, withinMs: number): Promise<string | null> =>
  whyNotReady(started, {
    isReady: async () => existsSync(path.join(folder, 'up')),
    lack: 'does not answer',
    withinMs,
    everyMs: 10,
  });

describe('a service', () => {
  test('is waited for until it is ready', async () => {
    expect(await whyNot(start('sleep 0.2; touch "$1"; exec sleep 60'), 30_000)).toBeNull();
  });

  test('that ends is waited for no longer, and the message has the end of its log', async () => {
    const started = start('for line in 1 2 3 4 5 6; do echo "line $line"; done; exit 3');
    expect(await whyNot(started, 30_000)).toBe(
      `exit status 3; its log is ${started.logFile}\nline 2\nline 3\nline 4\nline 5\nline 6`,
    );
  });

  test('that has ended is not ready, whoever answers in its place', async () => {
    const started = start('touch "$1"; exit 3');
    await started.ended;
    expect(await whyNot(started, 30_000)).toContain('exit status 3');
  });

  test('that stays unready is given up in time', async () => {
    const started = start('echo still busy; exec sleep 60');
    expect(await whyNot(started, 300)).toBe(
      `does not answer after 0.3 s; its log is ${started.logFile}\nstill busy`,
    );
  });
});
