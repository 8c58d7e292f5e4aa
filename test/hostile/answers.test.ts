import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { ANY_ANSWER } from '../../domain/recipe-settings.ts';
import { askHttp } from '../../host/probe/http.ts';
import { quotableLine } from '../../domain/printable.ts';
import { ANSWER_CASES } from './cases/answers.ts';
import { expectClear } from './surroundings.ts';

/** What an app may answer when it is asked whether it serves: one line comes of it, in time. */

const TIMEOUT_MS = 1_500;

test.each(ANSWER_CASES)('$name: $hostile', async ({ speak, says }) => {
  let followed = 0;
  const elsewhere = await listen(() => followed++);
  const app = await listen((connection) => {
    connection.on('error', () => undefined);
    connection.once('data', () => speak(connection, elsewhere.origin));
  });
  const begun = Date.now();
  const memory = process.memoryUsage().rss;
  try {
    const answer = await askHttp({
      origin: app.origin,
      domain: 'thing.hostile.test',
      probe: ANY_ANSWER,
      proxied: false,
      timeoutMs: TIMEOUT_MS,
      signal: new AbortController().signal,
    });
    expect(Date.now() - begun).toBeLessThan(TIMEOUT_MS + 2_000);
    expect(process.memoryUsage().rss - memory).toBeLessThan(200_000_000);
    expect(followed).toBe(0);
    if (says === null) expect(answer).toMatchObject({ serves: true });
    else expectClear(answer.serves ? 'it serves' : quotableLine(answer.why), says);
  } finally {
    app.close();
    elsewhere.close();
  }
});

async function listen(speak: (connection: Socket) => void): Promise<{ origin: string; close(): void }> {
  const connections = new Set<Socket>();
  const server: Server = createServer((connection) => {
    connections.add(connection);
    speak(connection);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const connection of connections) connection.destroy();
      server.close();
    },
  };
}
