import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchEngine } from '../../host/engine/watch-engine.ts';

/** An engine that only tells of its events, and that it is there. */
let folder: string;
let server: Server;
let listeners: ServerResponse[];
let access: Parameters<typeof watchEngine>[0];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'engine-'));
  listeners = [];
  server = createServer((request, response) => {
    if (!request.url?.startsWith('/events')) return void response.end('OK');
    listeners.push(response);
    response.writeHead(200).flushHeaders();
  });
  const socketPath = path.join(folder, 'docker.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const signal = new AbortController().signal;
  access = { docker: new Dockerode({ socketPath }), signal };
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

it('says nothing of an engine that stays up', async () => {
  const watch = await watchEngine(access);
  listeners[0]?.write('{"Type":"daemon","Action":"reload"}\n');
  await watch.check('a check');
  watch.close();
});

it('tells of one that was away, although it is back', async () => {
  const watch = await watchEngine(access);
  listeners[0]?.destroy();
  await expect
    .poll(() => watch.check('a check').then(String, (error: Error) => error.message))
    .toBe('a check: the engine was restarted meanwhile, so nothing was learned');
  watch.close();
});

it('tells of one that takes no connections any more, although it keeps ours', async () => {
  const watch = await watchEngine(access);
  server.close();
  await expect(watch.check('a check')).rejects.toMatchObject({ type: 'Daemon' });
  watch.close();
});

it('that is down cannot be watched', async () => {
  server.close();
  await expect(watchEngine(access)).rejects.toMatchObject({ type: 'Daemon' });
});
