import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Boundary } from '../../host/machine/boundary.ts';
import { readJson, strikeFiles, type Strike, type Struck } from '../chaos/strike.ts';
import { until, type System } from './system.ts';

/** What node is given, for a worker that can be struck. */
export const STRUCK_WORKER = ['--import', import.meta.resolve('../chaos/listen.mjs')];

/** Strikes the worker of a system at a boundary, as the fault campaign does. */
export interface WorkerStrikes {
  /** Added to the environment of its workers. */
  env: Readonly<Record<string, string>>;
  /** The next worker that passes the boundary, or passes it now, ends there by `kill -9`. */
  arm(at: Boundary): void;
  /** Waits until one did. */
  struck(): Promise<void>;
}

export function workerStrikes({
  folder,
  state,
  zone,
}: Pick<System, 'folder' | 'state' | 'zone'>): WorkerStrikes {
  const chaos = path.join(folder, 'chaos');
  mkdirSync(chaos);
  const files = strikeFiles(chaos);
  writeFileSync(files.run, '0');
  let strikes = 0;
  return {
    env: { CHAOS_FOLDER: chaos, CHAOS_STATE: state, CHAOS_ZONE: zone },
    arm(boundary) {
      rmSync(files.report, { force: true });
      const strike: Strike = { id: `${++strikes}`, boundary, nth: 1, action: 'kill' };
      writeFileSync(files.armed, JSON.stringify(strike));
    },
    struck: () => until(async () => readJson<Struck>(files.report)?.id === `${strikes}`, 120_000),
  };
}
