import { finished } from 'node:stream/promises';
import { Fault } from '../../domain/fault.ts';
import type { EngineAccess } from './access.ts';
import { engine } from './daemon.ts';

/** Looks whether the engine stayed up. */
export interface EngineWatch {
  /** Throws Fault Daemon when it is away, or was: then `what` came about without the app's doing. */
  check(what: string): Promise<void>;
  close(): void;
}

/** Watches the engine from now on: its restart ends every container. Throws Fault Daemon when it is down already. */
export async function watchEngine({
  docker,
  signal,
}: Pick<EngineAccess, 'docker' | 'signal'>): Promise<EngineWatch> {
  signal.throwIfAborted();
  const closed = new AbortController();
  const stream = await engine("listening to the engine's events", () =>
    docker.getEvents({
      filters: JSON.stringify({ type: ['daemon'] }),
      abortSignal: AbortSignal.any([signal, closed.signal]),
    }),
  );
  let broken = false;
  const onBreak = (): void => {
    broken = true;
  };
  finished(stream.resume()).then(onBreak, onBreak);
  return {
    async check(what) {
      // One that is about to stop takes no new connections, and may still keep this one.
      await engine(what, () => docker.ping());
      if (!broken) return;
      throw new Fault('Daemon', `${what}: the engine was restarted meanwhile, so nothing was learned`);
    },
    close: () => closed.abort(),
  };
}
