import { connect } from 'node:net';
import os from 'node:os';

/**
 * What of this host's own services containers can call. Every container of the swarm reaches the host's addresses, by
 * way of docker_gwbridge; what listens on loopback alone is out of their reach.
 */

const ANSWER_MS = 1_000;

/** Whether a name or address in a configuration is this host: its loopback, an address that it has, or its own name. */
export function isOfThisHost(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  const own = Object.values(os.networkInterfaces()).flatMap((found) => found ?? []);
  return ['localhost', os.hostname()].includes(bare) || own.some(({ address }) => address === bare);
}

/** The addresses of this host, other than loopback, at which something answers on one of these ports. */
export async function reachableByContainers(ports: readonly number[]): Promise<string[]> {
  const addresses = Object.values(os.networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address);
  const asked = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
  const answers = await Promise.all(asked.map(({ address, port }) => answersAt(address, port)));
  return asked
    .filter((_, index) => answers[index])
    .map(({ address, port }) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`));
}

function answersAt(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const answer = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.on('connect', () => answer(true));
    socket.on('timeout', () => answer(false));
    socket.on('error', () => answer(false));
  });
}
