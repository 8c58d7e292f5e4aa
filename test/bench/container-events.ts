import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';

/** What the engine said of containers, with its own clock's time in milliseconds since the epoch. */
export interface ContainerEvent {
  at: number;
  action: string;
  stack: string;
  container: string;
}

interface ApiEvent {
  Action: string;
  timeNano: number;
  Actor: { ID: string; Attributes: Record<string, string> };
}

/** Listens until it is stopped. */
export async function recordEvents(
  docker: Dockerode,
): Promise<{ seen(): readonly ContainerEvent[]; stop(): void }> {
  const stream = await docker.getEvents({ filters: JSON.stringify({ type: ['container'] }) });
  const source = new Readable().wrap(stream);
  const events: ContainerEvent[] = [];
  createInterface({ input: source }).on('line', (line) => {
    const { Action, timeNano, Actor } = JSON.parse(line) as ApiEvent;
    events.push({
      at: timeNano / 1e6,
      action: Action,
      stack: Actor.Attributes['com.docker.stack.namespace'] ?? '',
      container: Actor.ID,
    });
  });
  return {
    seen: () => events,
    stop() {
      source.destroy();
      // Destroying what wraps it does not always close the connection, which would keep the process alive.
      (stream as Readable).destroy();
    },
  };
}
