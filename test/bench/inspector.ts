import { WebSocket } from 'undici';

/** Node's own inspector of a running process, for what only it can do from outside. */
export interface Inspector {
  /** Collects the garbage of every thread; answers the bytes that each heap still uses, the main thread's first. */
  collectGarbage(): Promise<number[]>;
  startProfile(): Promise<void>;
  /** The CPU profile since it was started, as Chrome's developer tools and `node --cpu-prof` have it. */
  stopProfile(): Promise<string>;
  close(): void;
}

interface Message {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
  method?: string;
  params?: { sessionId?: string; message?: string };
}

type Ask = (method: string, params?: object) => Promise<Record<string, unknown>>;

export async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`${url}: no inspector answers`)), { once: true });
  });
  const threads = new Map<string, Conversation>();
  const main = converse((text) => socket.send(text));
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    const { sessionId = '', message: inner = '' } = message.params ?? {};
    if (message.method === 'NodeWorker.attachedToWorker') {
      const say = (text: string): void =>
        void main.ask('NodeWorker.sendMessageToWorker', { sessionId, message: text });
      threads.set(sessionId, converse(say));
    } else if (message.method === 'NodeWorker.detachedFromWorker') threads.delete(sessionId);
    else if (message.method === 'NodeWorker.receivedMessageFromWorker')
      threads.get(sessionId)?.hear(JSON.parse(inner) as Message);
    else main.hear(message);
  });
  const { ask } = main;
  // Answers once the threads there are have been attached.
  await ask('NodeWorker.enable', { waitForDebuggerOnStart: false });

  return {
    async collectGarbage() {
      const used: number[] = [];
      for (const { ask: askThread } of [main, ...threads.values()]) {
        await askThread('HeapProfiler.collectGarbage');
        used.push(Number((await askThread('Runtime.getHeapUsage'))['usedSize']));
      }
      return used;
    },
    async startProfile() {
      await ask('Profiler.enable');
      await ask('Profiler.start');
    },
    async stopProfile() {
      return JSON.stringify((await ask('Profiler.stop'))['profile']);
    },
    close: () => socket.close(),
  };
}

interface Conversation {
  ask: Ask;
  hear(message: Message): void;
}

function converse(say: (text: string) => void): Conversation {
  const waiting = new Map<number, (answer: Message) => void>();
  let asked = 0;
  return {
    async ask(method, params = {}) {
      const id = ++asked;
      const answer = await new Promise<Message>((resolve) => {
        waiting.set(id, resolve);
        say(JSON.stringify({ id, method, params }));
      });
      if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
      return answer.result ?? {};
    },
    hear(message) {
      if (message.id === undefined) return;
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    },
  };
}
