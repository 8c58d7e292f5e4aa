import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineAccess } from './access.ts';
import { engine } from './daemon.ts';
import { STACK_LABEL } from './stack-label.ts';

/** One line of `docker events`. */
export interface StackEvent {
  /** ISO 8601, UTC. */
  time: string;
  /** `container`, `service`, `network`, … */
  type: string;
  action: string;
  name: string;
  /** What else the engine tells; of a container without its labels. */
  more: Readonly<Record<string, string>>;
}

/** Wakes up when something of a stack changes. */
export interface Changes {
  /**
   * Resolves when docker tells of a change, or after so many milliseconds. After a change the next calls
   * resolve after 50, 100 and 200 ms, since the swarm learns of what a container did a moment after it did.
   */
  next(withinMs: number): Promise<void>;
  /** Ends the wait of `next`, now or when it is called, as a change would. */
  wake(): void;
  close(): void;
}

export interface Events {
  /**
   * Starts to listen at once, so that little between this call and the first `next` is missed; what is, as while the
   * stream breaks, is seen by whoever looks again after `next`.
   */
  changes(stack: string): Changes;
  /**
   * What became of the stack's things since then, oldest first: what was heard while somebody listened for
   * changes, and the little that the engine remembers. Commands run in containers are left out.
   */
  events(stack: string, since: Date): Promise<StackEvent[]>;
}

const ECHOES_MS = [50, 100, 200];
const RECONNECT_MS = 500;
const EVENT_TYPES = ['container', 'service', 'network', 'volume', 'secret', 'config'];
/** The engine answers with what it remembers at once. */
const EVENTS_MS = 10_000;
/** Of a stack's events the last ones are kept. */
const MOST_EVENTS = 1_000;

interface ApiEvent {
  Type?: string;
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
  timeNano?: number;
}

export function createEvents({ docker, signal }: Pick<EngineAccess, 'docker' | 'signal'>): Events {
  const heard: ApiEvent[] = [];

  return {
    changes(stack) {
      return listen({ docker, signal }, stack, (event) => {
        if (isCommand(event)) return;
        heard.push(event);
        if (heard.length > MOST_EVENTS) heard.shift();
      });
    },

    async events(stack, since) {
      signal.throwIfAborted();
      const remembered = await engine(`reading the events of ${stack}`, async () => {
        const stream = await docker.getEvents({
          since: since.getTime() / 1000,
          until: Date.now() / 1000,
          filters: JSON.stringify({ type: EVENT_TYPES }),
          abortSignal: AbortSignal.any([signal, AbortSignal.timeout(EVENTS_MS)]),
        });
        const events: ApiEvent[] = [];
        for await (const line of createInterface({ input: stream }))
          events.push(JSON.parse(line) as ApiEvent);
        return events;
      });
      const all = new Map([...heard, ...remembered].map((event) => [JSON.stringify(event), event]));
      return [...all.values()]
        .filter((event) => isOf(event, stack) && (event.timeNano ?? 0) / 1e6 >= since.getTime())
        .filter((event) => !isCommand(event))
        .sort((a, b) => (a.timeNano ?? 0) - (b.timeNano ?? 0))
        .slice(-MOST_EVENTS)
        .map(stackEvent);
    },
  };
}

/** Whether the event is about something of the stack. */
function isOf({ Type, Actor }: ApiEvent, stack: string): boolean {
  const attributes = Actor?.Attributes ?? {};
  return Type === 'container'
    ? attributes[STACK_LABEL] === stack
    : (attributes['name'] ?? Actor?.ID ?? '').startsWith(`${stack}_`);
}

/** Whether it is about a command in a container: health checks would drown the rest, and words may be secret. */
function isCommand({ Action = '' }: ApiEvent): boolean {
  return Action.startsWith('exec_');
}

/** What the engine tells of a container beside its labels, which stand among them. */
const OF_CONTAINERS = new Set(['image', 'exitCode', 'signal']);

function stackEvent({ Type, Action, Actor, timeNano }: ApiEvent): StackEvent {
  const { name, ...attributes } = Actor?.Attributes ?? {};
  const more = Object.entries(attributes).filter(([key]) => Type !== 'container' || OF_CONTAINERS.has(key));
  return {
    time: new Date((timeNano ?? 0) / 1e6).toISOString(),
    type: Type ?? '',
    action: Action ?? '',
    name: name ?? Actor?.ID ?? '',
    more: Object.fromEntries(more),
  };
}

function listen(
  { docker, signal }: Pick<EngineAccess, 'docker' | 'signal'>,
  stack: string,
  hear: (event: ApiEvent) => void,
): Changes {
  const closed = new AbortController();
  const ended = AbortSignal.any([signal, closed.signal]);
  let echoes: number[] = [];
  let changed = false;
  const asleep = (): void => undefined;
  let wake = asleep;
  const rouse = (): void => {
    changed = true;
    wake();
  };

  void (async () => {
    while (!ended.aborted) {
      try {
        const stream = await docker.getEvents({
          filters: JSON.stringify({ type: ['container', 'service', 'network', 'volume'] }),
          abortSignal: ended,
        });
        for await (const line of createInterface({ input: stream, signal: ended })) {
          const event = JSON.parse(line) as ApiEvent;
          if (!isOf(event, stack)) continue;
          hear(event);
          rouse();
        }
      } catch {
        // The stream broke, or we were closed. Until it is back the caller's own interval is what is left.
      }
      await sleep(RECONNECT_MS, undefined, { signal: ended }).catch(() => undefined);
    }
  })();

  return {
    async next(withinMs) {
      signal.throwIfAborted();
      if (changed) {
        changed = false;
        echoes = [...ECHOES_MS];
        return;
      }
      const waitMs = Math.max(0, Math.min(withinMs, echoes.shift() ?? withinMs));
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', wake, { once: true });
      });
      signal.removeEventListener('abort', wake);
      wake = asleep;
      if (changed) {
        changed = false;
        echoes = [...ECHOES_MS];
      }
      signal.throwIfAborted();
    },
    wake: rouse,
    close() {
      closed.abort();
    },
  };
}
