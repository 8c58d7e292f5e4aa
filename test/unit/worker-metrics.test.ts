import { createServer, type Server } from 'node:net';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, expect, test } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { installRuntime } from '../../worker/runtime.ts';

/** Where the worker shows the numbers of Temporal's SDK; that it does is tested with a whole worker. */

let server: Server | null = null;
afterEach(async () => {
  await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  server = null;
});

function refusal(listen: string): unknown {
  try {
    installRuntime(new DefaultLogger('ERROR'), { metrics: { listen } });
  } catch (error) {
    return error;
  }
  return null;
}

test('where something else listens, the worker says so and does not start', async () => {
  const taken = (server = createServer());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const listen = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const refused = refusal(listen);
  expect(refused).toBeInstanceOf(Fault);
  expect(refused).toMatchObject({
    type: 'BadConfig',
    message: `metrics.listen: ${listen}: something else listens there, another worker perhaps: end it (ss -ltnp names it), or set another port`,
  });
});

test('an address of another host is refused', () => {
  expect(refusal('192.0.2.7:9464')).toMatchObject({
    type: 'BadConfig',
    message: 'metrics.listen: 192.0.2.7:9464: not an address of this host',
  });
});
