import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { plainConfig } from '../fixtures/plain-config.ts';

/** A worker of Temporal's that only tells what is done to it. */
const did = vi.hoisted((): string[] => []);

vi.mock('@temporalio/worker', async (original) => {
  let stopped: () => void = () => undefined;
  const connection = { close: async () => void did.push('connection closed') };
  return {
    ...(await original<typeof import('@temporalio/worker')>()),
    Runtime: { install: () => undefined },
    NativeConnection: { connect: async () => connection },
    Worker: {
      create: async () => ({
        run: () => new Promise<void>((resolve) => (stopped = resolve)).then(() => void did.push('ended')),
        getState: () => 'RUNNING',
        shutdown: () => {
          did.push('shut down');
          setTimeout(stopped, 50);
        },
      }),
    },
  };
});
vi.mock('@temporalio/client', async (original) => ({
  ...(await original<typeof import('@temporalio/client')>()),
  Connection: { connect: async () => ({ close: async () => void did.push('client closed') }) },
  Client: class {
    workflow = {
      start: async (): Promise<never> => {
        throw new Error('no answer');
      },
    };
  },
}));

const { runWorker } = await import('../../worker/worker.ts');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'worker-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a worker that cannot start its reaper ends what runs before it closes its connections', async () => {
  const config = plainConfig({
    host: 'ci-1',
    zone: 'ci.test',
    state: path.join(folder, 'state'),
    recipes: folder,
    temporal: { address: 'nowhere:1', namespace: 'default', ui: 'http://nowhere' },
    docker: { socket: '/nonsuch', pull: 'missing' },
  });
  const logFile = path.join(folder, 'worker.log');
  const running = runWorker(config, { signal: new AbortController().signal, logFile });
  await expect(running).rejects.toThrow('no answer');
  expect(did).toEqual(['shut down', 'ended', 'client closed', 'connection closed']);
});
