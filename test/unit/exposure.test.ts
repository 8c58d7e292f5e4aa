import { createServer, type AddressInfo } from 'node:net';
import os from 'node:os';
import { expect, it } from 'vitest';
import { isOfThisHost, reachableByContainers } from '../../host/exposure.ts';

async function listening(host: string): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

it('what listens on loopback is out of reach, what listens everywhere is not', async () => {
  const own = Object.values(os.networkInterfaces())
    .flatMap((found) => found ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const [hidden, open] = [await listening('127.0.0.1'), await listening('0.0.0.0')];
  try {
    expect(await reachableByContainers([hidden.port])).toEqual([]);
    const reached = await reachableByContainers([hidden.port, open.port]);
    expect(reached).toContain(`${own?.address}:${open.port}`);
    expect(reached.every((address) => address.endsWith(`:${open.port}`))).toBe(true);
  } finally {
    hidden.close();
    open.close();
  }
});

it('loopback, its own addresses and its name are this host, and nothing else is', () => {
  const own = Object.values(os.networkInterfaces()).flatMap((found) => found ?? []);
  for (const { address } of own) expect(isOfThisHost(address)).toBe(true);
  for (const name of ['localhost', '127.0.0.1', os.hostname()]) expect(isOfThisHost(name)).toBe(true);
  for (const name of ['192.0.2.1', 'temporal.example.org', '[2001:db8::1]'])
    expect(isOfThisHost(name)).toBe(false);
});
