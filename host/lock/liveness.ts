import { open } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { inside } from '../machine/inside-folder.ts';

/**
 * Whether a process lives whose ID means nothing here, since it is in a container: it listens on a socket in a folder
 * that both see, which the kernel closes with it, however it ends. One that stands still (a paused container) is still
 * connected to, by the kernel.
 */

export interface Living {
  close(): Promise<void>;
}

/** Listens; whoever connects wants this process to stop what it does here. */
export async function listen(file: string, onCall: () => void): Promise<Living> {
  // by its folder, since the path of a socket may have no more than 107 bytes
  const folder = await open(path.dirname(file));
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end();
    onCall();
  });
  server.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(inside(folder, path.basename(file)).toString(), resolve);
    });
  } catch (error) {
    await folder.close();
    throw error;
  }
  return {
    async close() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await folder.close();
    },
  };
}

/** There is no such socket, or the one who made it is gone. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/** Calls whoever listens; false when nobody does, or ever did. */
export async function call(file: string): Promise<boolean> {
  const folder = await open(path.dirname(file));
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = connect(inside(folder, path.basename(file)).toString());
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      // Anything else, such as a row of calls that nobody takes any more, is no sign of death.
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(!NOBODY.has(error.code ?? '')));
    });
  } finally {
    await folder.close();
  }
}
