import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, Server, type Socket } from 'node:net';

/** Listens where it is run, hands the listener over to whoever started it, and ends when that one has it. */
const LISTEN = `
const server = require('node:net').createServer();
process.on('disconnect', () => process.exit());
server.listen(Number(process.argv[1]), '127.0.0.1', () => process.send('listening', server));
`;

/**
 * Has a port of loopback in a process's network lead to the same port of this machine's loopback, where what listens
 * on loopback alone is not reached from another network. This process carries the bytes, until it closes the relay:
 * a listener belongs to the network in which it was made, whoever has it. Needs root.
 */
export async function relayLoopback(pid: number, port: number): Promise<{ close(): void }> {
  const enter = ['--net', '--target', String(pid), '--', process.execPath, '--eval', LISTEN, String(port)];
  const child = spawn('nsenter', enter, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = once(child, 'exit').then(([status]) => `exit status ${status}`);
  const server = await Promise.race([
    once(child, 'message').then(([, handle]) => handle as Server),
    ended.then((how) => {
      throw new Error(`127.0.0.1:${port} in the network of process ${pid}: nobody listens, ${how}`);
    }),
  ]);
  // While it has the listener as well, it takes connections that nobody answers.
  child.disconnect();
  await ended;

  const open = new Set<Socket>();
  server.on('connection', (inner: Socket) => {
    const outer = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  return {
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
