import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';

/** What the engine said of a container or a network, with its own clock's time in milliseconds since the epoch. */
export interface EngineEvent {
  at: number;
  type: 'container' | 'network';
  action: string;
  /** Of a stack's things it begins with the stack's. */
  name: string;
}

interface ApiEvent {
  Type: EngineEvent['type'];
  Action: string;
  timeNano: number;
  Actor: { Attributes: { name: string } };
}

/** Listens until it is stopped. */
export async function recordEvents(
  docker: Dockerode,
): Promise<{ seen(): readonly EngineEvent[]; stop(): void }> {
  const stream = await docker.getEvents({ filters: JSON.stringify({ type: ['container', 'network'] }) });
  const source = new Readable().wrap(stream);
  const events: EngineEvent[] = [];
  createInterface({ input: source }).on('line', (line) => {
    const { Type: type, Action: action, timeNano, Actor } = JSON.parse(line) as ApiEvent;
    events.push({ at: timeNano / 1e6, type, action, name: Actor.Attributes.name });
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
