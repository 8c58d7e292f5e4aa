import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { SocketProbe } from '../../domain/recipe-settings.ts';
import type { Answer } from '../../host/probe/answer.ts';
import { askSocket, type SocketQuestion } from '../../host/probe/socket.ts';
import { selfSigned } from '../fixtures/certificates.ts';

/** The question over TCP and UDP, put to servers that tell the truth, and to servers that lie. */

const HOST = '127.0.0.1';
let close: (() => void)[] = [];

afterEach(() => {
  for (const one of close) one();
  close = [];
});

async function listening(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  close.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function tcp(speak: (connection: Socket) => void): Promise<number> {
  return listening(createServer(speak));
}

async function udp(hear: (bytes: Buffer, from: RemoteInfo, server: DatagramSocket) => void): Promise<number> {
  const server = createSocket('udp4');
  server.on('message', (bytes, from) => hear(bytes, from, server));
  await new Promise<void>((resolve) => server.bind(0, HOST, resolve));
  close.push(() => server.close());
  return server.address().port;
}

type Asking = Partial<Omit<SocketQuestion, 'probe' | 'port'>>;

function ask(port: number, probe: Partial<SocketProbe>, rest: Asking = {}): Promise<Answer> {
  return askSocket({
    host: HOST,
    port,
    domain: 'app.example.org',
    probe: { protocol: 'tcp', service: 'app', port: 1, tls: false, send: null, expect: null, ...probe },
    timeoutMs: 3_000,
    signal: new AbortController().signal,
    ...rest,
  });
}

const yes = (what: string): object => ({ serves: true, what });
const no = (why: RegExp | string): object => ({
  serves: false,
  unreachable: false,
  why: typeof why === 'string' ? expect.stringContaining(why) : expect.stringMatching(why),
});

describe('a TCP server', () => {
  it('that accepts a connection and keeps it serves, when nothing is said', async () => {
    const port = await tcp(() => undefined);
    expect(await ask(port, {})).toEqual(yes(`tcp ${HOST} port ${port}: the connection was accepted`));
  });

  it('that talks without being asked serves as well', async () => {
    const port = await tcp((connection) => connection.write('x'.repeat(1_000_000)));
    expect(await ask(port, {})).toMatchObject({ serves: true });
  });

  it.each<[string, (connection: Socket) => void]>([
    ['closes the connection at once', (connection) => connection.end()],
    ['says something and closes it', (connection) => connection.end('try later')],
    ['closes it after a moment', (connection) => setTimeout(() => connection.destroy(), 200)],
  ])('that %s does not serve, as a forwarded port with nobody behind it does not', async (_, speak) => {
    expect(await ask(await tcp(speak), {})).toMatchObject(
      no('the connection was accepted and closed at once'),
    );
  });

  it('that resets it does not serve', async () => {
    const port = await tcp((connection) => connection.resetAndDestroy());
    expect(await ask(port, {})).toMatchObject(no('ECONNRESET'));
  });

  it('that nobody started does not serve', async () => {
    expect(await ask(9, {})).toMatchObject(no('ECONNREFUSED'));
  });

  it('may speak first', async () => {
    const port = await tcp((connection) => connection.write('SSH-2.0-x\r\n'));
    const said = Buffer.from('SSH-2.0-x\r\n').toString('hex');
    expect(await ask(port, { expect: '^5353482d' })).toEqual(yes(`tcp ${HOST} port ${port}: ${said}`));
  });

  it('may answer in pieces what it is sent', async () => {
    const port = await tcp((connection) => {
      connection.once('data', (sent) => {
        connection.write(sent);
        setTimeout(() => connection.write('OK'), 50);
      });
    });
    expect(await ask(port, { send: '0a1b', expect: '^0a1b4f4b$' })).toMatchObject({ serves: true });
    expect(await ask(port, { send: '0a1b' })).toMatchObject({
      serves: true,
      what: expect.stringMatching(/: 0a1b$/),
    });
  });

  it('that says something else and closes does not serve', async () => {
    const port = await tcp((connection) => connection.end('HTTP/1.1 400'));
    expect(await ask(port, { expect: '^5353482d' })).toMatchObject(
      no('the connection was closed, but 485454502f312e3120343030, not /^5353482d/'),
    );
  });

  it('that says something else and waits does not serve', async () => {
    const port = await tcp((connection) => connection.write('no'));
    expect(await ask(port, { expect: '4f4b' }, { timeoutMs: 300 })).toMatchObject(
      no('no answer within 300 ms, but 6e6f, not /4f4b/'),
    );
  });

  it('that accepts and says nothing does not serve where an answer is asked for', async () => {
    const port = await tcp(() => undefined);
    for (const probe of [{ send: '00' }, { expect: '00' }]) {
      expect(await ask(port, probe, { timeoutMs: 200 })).toMatchObject(no(/no answer within 200 ms$/));
    }
  });

  it('that talks without end is heard for 64 KiB', async () => {
    let sent = 0;
    const port = await tcp((connection) => {
      const more = (): void => {
        while (!connection.destroyed && connection.write('x'.repeat(10_000))) sent += 10_000;
      };
      connection.on('drain', more);
      more();
    });
    expect(await ask(port, { expect: '^ff' })).toMatchObject(no('it went on, but 7878'));
    expect(sent).toBeLessThan(20_000_000);
  });

  it('that drips its answer has the time of the question', async () => {
    const port = await tcp((connection) => {
      const timer = setInterval(() => connection.write('x'), 10);
      connection.on('close', () => clearInterval(timer));
    });
    const began = Date.now();
    expect(await ask(port, { expect: 'ff' }, { timeoutMs: 300 })).toMatchObject(
      no('no answer within 300 ms'),
    );
    expect(Date.now() - began).toBeLessThan(1_500);
  });

  it('may speak in TLS, with any certificate', async () => {
    const port = await listening(
      createTlsServer(selfSigned('other.example.org'), (connection) => connection.pipe(connection)),
    );
    expect(await ask(port, { tls: true })).toMatchObject({ serves: true });
    expect(await ask(port, { tls: true, send: '0102', expect: '^0102$' })).toEqual(
      yes(`tcp with TLS ${HOST} port ${port}: 0102`),
    );
  });

  it('that does not speak TLS does not serve where TLS is asked for', async () => {
    const port = await tcp((connection) => connection.write('hello\r\n'));
    expect(await ask(port, { tls: true })).toMatchObject({ serves: false });
    const silent = await tcp(() => undefined);
    expect(await ask(silent, { tls: true }, { timeoutMs: 200 })).toMatchObject(no('no answer within 200 ms'));
  });
});

describe('a UDP server', () => {
  const probe = { protocol: 'udp' as const, send: '00000000', expect: '^0001' };
  const right = Buffer.from('00010203', 'hex');

  it('serves with an answer that matches', async () => {
    const heard: string[] = [];
    const port = await udp((bytes, { port: to, address }, server) => {
      heard.push(bytes.toString('hex'));
      server.send(right, to, address);
    });
    expect(await ask(port, probe)).toEqual(yes(`udp ${HOST} port ${port}: 00010203`));
    expect(heard).toEqual(['00000000']);
  });

  it('serves with any answer where none is described, even to nothing', async () => {
    const port = await udp((bytes, { port: to, address }, server) =>
      server.send(String(bytes.length), to, address),
    );
    expect(await ask(port, { protocol: 'udp' })).toMatchObject({
      serves: true,
      what: expect.stringMatching(/: 30$/),
    });
  });

  it('is asked again each second, since datagrams get lost', async () => {
    let times = 0;
    const port = await udp((_, { port: to, address }, server) => {
      if (++times === 2) server.send(right, to, address);
    });
    const began = Date.now();
    expect(await ask(port, probe)).toMatchObject({ serves: true });
    expect(Date.now() - began).toBeGreaterThan(900);
    expect(times).toBe(2);
  });

  it('that answers otherwise does not serve', async () => {
    const port = await udp((bytes, { port: to, address }, server) => server.send(bytes, to, address));
    expect(await ask(port, probe, { timeoutMs: 300 })).toMatchObject(
      no('no answer within 300 ms, but 00000000, not /^0001/'),
    );
  });

  it('is not served by two answers put together', async () => {
    const port = await udp((_, { port: to, address }, server) => {
      server.send(right.subarray(0, 1), to, address);
      server.send(right.subarray(1), to, address);
    });
    expect(await ask(port, probe, { timeoutMs: 300 })).toMatchObject(no('no answer within 300 ms'));
  });

  it('is not served by an answer of somebody else', async () => {
    const port = await udp((_, { port: to, address }) => {
      const stranger = createSocket('udp4');
      stranger.send(right, to, address, () => stranger.close());
    });
    expect(await ask(port, probe, { timeoutMs: 300 })).toMatchObject(no(/no answer within 300 ms$/));
  });

  it('that talks without end is heard for 64 KiB', async () => {
    const port = await udp((_, { port: to, address }, server) => {
      for (let count = 0; count < 20; count++) server.send(Buffer.alloc(10_000), to, address);
    });
    expect(await ask(port, probe)).toMatchObject(no('it goes on, but 0000'));
  });

  it('that nobody started does not serve, and the network says why', async () => {
    expect(await ask(9, probe, { timeoutMs: 300 })).toMatchObject(
      no(/no answer within 300 ms: .*ECONNREFUSED/),
    );
  });
});

describe('what is expected', () => {
  it('is looked for where a byte begins', async () => {
    const port = await tcp((connection) => connection.write(Buffer.from('10a2', 'hex')));
    expect(await ask(port, { expect: 'a2' })).toMatchObject({ serves: true });
    expect(await ask(port, { expect: '0a' }, { timeoutMs: 200 })).toMatchObject({ serves: false });
  });

  it('that takes too long to look for is given up', async () => {
    const port = await tcp((connection) => connection.write('a'.repeat(60)));
    const began = Date.now();
    expect(await ask(port, { expect: '((61)+)+ff' })).toMatchObject(
      no('probe.expect takes longer than 200 ms'),
    );
    expect(Date.now() - began).toBeLessThan(1_500);
  });
});

describe('a question', () => {
  it.each(['tcp', 'udp'] as const)(
    'over %s to a name that does not resolve is not the app’s to answer for',
    async (protocol) => {
      const answer = await ask(9, { protocol }, { host: 'app.invalid' });
      expect(answer).toMatchObject({
        serves: false,
        unreachable: true,
        why: expect.stringContaining('the name app.invalid does not resolve'),
      });
    },
  );

  it.each(['tcp', 'udp'] as const)('over %s ends when it is called off', async (protocol) => {
    const port = await (protocol === 'tcp' ? tcp(() => undefined) : udp(() => undefined));
    const controller = new AbortController();
    const asking = ask(port, { protocol, expect: 'ff' }, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('called off')), 50);
    await expect(asking).rejects.toThrow('called off');
  });

  it('that was called off is not put', async () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      await expect(
        ask(9, { protocol }, { signal: AbortSignal.abort(new Error('called off')) }),
      ).rejects.toThrow('called off');
    }
  });
});
