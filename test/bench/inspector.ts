import { WebSocket } from 'undici';

/** Node's own inspector of a running process, for what only it can do from outside. */
export interface Inspector {
  /** Collects the main thread's garbage; answers the bytes its heap still uses. */
  collectGarbage(): Promise<number>;
  startProfile(): Promise<void>;
  /** The CPU profile since it was started, as Chrome's developer tools and `node --cpu-prof` have it. */
  stopProfile(): Promise<string>;
  close(): void;
}

interface Answer {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

export async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`${url}: no inspector answers`)), { once: true });
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  let asked = 0;
  const ask = async (method: string): Promise<Record<string, unknown>> => {
    const id = ++asked;
    const answer = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method }));
    });
    waiting.delete(id);
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result ?? {};
  };

  return {
    async collectGarbage() {
      await ask('HeapProfiler.collectGarbage');
      return Number((await ask('Runtime.getHeapUsage'))['usedSize']);
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
