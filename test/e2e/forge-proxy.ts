import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy does in the forge's place; null to let it pass. */
export type Trouble = (
  asked: IncomingMessage,
) => Promise<{ status: number; retryAfter?: string } | 'hang up' | null>;

/** Before a forge, on loopback: it makes the forge's troubles. */
export interface ForgeProxy {
  url: string;
  trouble: Trouble;
  close(): void;
}

/** No trouble. */
export const calm: Trouble = async () => null;

export async function startForgeProxy(forge: { url: string }): Promise<ForgeProxy> {
  const server = createServer((asked, response) => {
    void proxy.trouble(asked).then((made) => {
      if (made === 'hang up') return void asked.socket.destroy();
      if (made !== null) {
        response.writeHead(made.status, { ...(made.retryAfter && { 'retry-after': made.retryAfter }) });
        return void response.end();
      }
      const { method, url, headers } = asked;
      const passed = forward(`${forge.url}${url}`, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      return void asked.pipe(passed);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: ForgeProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    trouble: calm,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return proxy;
}
