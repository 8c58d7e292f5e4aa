import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { expect, it } from 'vitest';
import { processRunner } from '../../host/machine/process.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { plainLimits } from '../fixtures/plain-config.ts';

it('an engine that takes calls and never answers does not hold up what comes after', async () => {
  const state = mkdtempSync(path.join(tmpdir(), 'old-images-'));
  const socket = path.join(state, 'docker.sock');
  const calls = new Set<{ destroy(): void }>();
  const silent = createServer((call) => calls.add(call)).listen(socket);
  try {
    await once(silent, 'listening');
    const images = { 'redis:7': { id: null, needed: new Date(0).toISOString() } };
    writeFileSync(path.join(state, 'images.json'), JSON.stringify({ schema: 1, images }));
    const limits = plainLimits({ tier: 0, deploy: 0, fetch: 0, sweep: 0, promote: 0 });
    const { stacks } = deployingOnSwarm({
      config: { zone: 'x.test', state, docker: { socket, pull: 'always' }, probe: { via: 'task' }, limits },
      commands: processRunner({ environment: {} }),
      docker: new Dockerode({ socketPath: socket }),
      signal: new AbortController().signal,
      guard: async () => undefined,
      commandMark: '',
      report: () => undefined,
    });
    const keep = { before: new Date(), digests: new Set<string>(), isShort: async () => false };
    await expect(stacks.removeOldImages(keep)).rejects.toMatchObject({
      type: 'Daemon',
      message: expect.stringContaining('does not answer'),
    });
  } finally {
    for (const call of calls) call.destroy();
    silent.close();
    rmSync(state, { recursive: true });
  }
});
