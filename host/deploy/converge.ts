import type { App } from '../../domain/app.ts';
import type { Expectation, Observation } from '../../domain/convergence.ts';
import { Fault } from '../../domain/fault.ts';
import { allRunning, nextStep } from '../../domain/watching.ts';
import type { Changes } from '../engine/events.ts';
import { SWARM_LAG_MS } from '../engine/observe.ts';
import type { Swarm } from '../engine/swarm.ts';
import type { Pictures } from '../evidence/pictures.ts';
import { watchClock } from '../machine/clock.ts';
import type { Prober, Question } from '../probe/prober.ts';
import { Asking } from './asking.ts';
import type { Preparation } from './preparations.ts';

/** Watches what was handed over until it is up, or is known not to come up. */

export interface Watcher {
  swarm: Pick<Swarm, 'observe' | 'changes'>;
  prober: Pick<Prober, 'ask'>;
  pictures: Pictures;
  /** Ends every wait. */
  signal: AbortSignal;
  report: (what: string) => void;
  /** How long a deployment may take that begins now, in milliseconds. */
  longestMs: () => number;
}

/** What is watched, and for what. */
export interface Watch {
  app: App;
  expected: Expectation;
  /** Null where nobody is to be asked. */
  question: Question | null;
  /** What is done to the app once it is up, in order. */
  preparations: readonly Preparation[];
}

export type Outcome =
  | { ok: true }
  | {
      ok: false;
      reason: string;
      service: string | null;
      seen: Observation;
      /** The file with the rest, where it is not about a service. */
      evidence?: string;
    };

/** A clock that is kept right by NTP moves by less, while a deployment is watched. */
const CLOCK_TOLERANCE_MS = 1_000;

/**
 * Waits until everything runs, is made ready, stays up and serves, or for the deadline. Throws Fault when nothing was
 * learned: Network when nothing led to the app, Clock, Daemon.
 */
export async function converge(watcher: Watcher, watch: Watch): Promise<Outcome> {
  const { swarm, pictures, report, longestMs } = watcher;
  const { app } = watch;
  const expected = { ...watch.expected };
  const preparations = [...watch.preparations];
  pictures.forget(app);
  const changes = swarm.changes(app.stack);
  const asking = askingOf(watcher, watch, changes);
  const clockSet = watchClock();
  /** Since when all is up and only has to stay so before it is prepared. */
  let heldSince: number | null = null;
  let reported = '';
  try {
    for (;;) {
      asking?.check();
      const seen = await swarm.observe(app.stack);
      refuseSetClock(app.stack, clockSet());
      refuseVanished(app.stack, expected, seen);
      const [preparation = null] = preparations;
      const next = nextStep({ seen, expected, preparation, asked: asking });
      switch (next.is) {
        case 'up':
          return { ok: true };
        case 'failed':
          return { ok: false, reason: next.reason, service: next.service, seen };
        case 'nothing learned':
          throw new Fault('Network', next.why);
        case 'prepare': {
          if (preparation === null) break;
          const began = heldSince ?? Date.now();
          const done = await preparation.run();
          heldSince = null;
          const grace = Math.min(Date.now() - began, preparation.graceMs);
          preparation.graceMs -= grace;
          // The step must not end before the app can be judged.
          expected.deadline = Math.min(expected.deadline + grace, Date.now() + longestMs());
          if (done?.result !== 'fail') {
            preparations.shift();
            break;
          }
          const replaced = await tasksReplaced(swarm, changes, app.stack, seen);
          // One that fails while tasks are replaced found an app that crashed, as apps may until the deadline: it is
          // run again when all run again.
          if (replaced.are && replaced.now.at < expected.deadline) break;
          const { reason, evidence } = done;
          return { ok: false, reason, service: null, seen: replaced.now, evidence };
        }
        case 'wait':
          heldSince = next.held ? (heldSince ?? seen.at) : null;
          if (next.asking === 'end') asking?.end();
          if (next.asking === 'begin') asking?.begin(allRunning(seen), seen, expected.deadline);
          if (next.why !== reported) report(next.why);
          reported = next.why;
          await changes.next(next.forMs);
      }
    }
  } finally {
    asking?.end();
    changes.close();
    // No browser outlives the deployment; what came of the picture is asked when evidence is kept.
    await pictures.settled(app);
  }
}

/** Null where nobody is to be asked. */
function askingOf(
  { prober, pictures, signal }: Watcher,
  { app, question }: Watch,
  changes: Changes,
): Asking | null {
  if (question === null) return null;
  return new Asking({
    service: question.service,
    signal,
    ask: (seen, limits) => prober.ask(app, question, seen, limits),
    // Beside the watching, which takes longer.
    onServing: () => void pictures.take(app).catch(() => undefined),
    onNews: () => changes.wake(),
  });
}

/** Whether other tasks run than those seen, as far as the swarm has learned once it must have. */
async function tasksReplaced(
  swarm: Watcher['swarm'],
  changes: Changes,
  stack: string,
  seen: Observation,
): Promise<{ are: boolean; now: Observation }> {
  const heardBy = Date.now() + SWARM_LAG_MS;
  for (;;) {
    const now = await swarm.observe(stack);
    const are = allRunning(now) !== allRunning(seen);
    if (are || now.at >= heardBy) return { are, now };
    await changes.next(heardBy - now.at);
  }
}

/** Since when tasks run is told by the same clock that says what time it is now. */
function refuseSetClock(stack: string, setMs: number): void {
  if (Math.abs(setMs) < CLOCK_TOLERANCE_MS) return;
  const by = `${Math.abs(setMs / 1000).toFixed(1)} s ${setMs > 0 ? 'forward' : 'back'}`;
  throw new Fault(
    'Clock',
    `${stack}: this host's clock was set ${by}, or the host slept, while it was watched: nothing was learned; see timedatectl`,
  );
}

/** The swarm took every service, so one that is not there now was removed by somebody: no fault of the package. */
function refuseVanished(stack: string, expected: Expectation, seen: Observation): void {
  const there = new Set(seen.services.map(({ name }) => name));
  const gone = expected.services.map(({ name }) => name).filter((name) => !there.has(name));
  if (gone.length === 0) return;
  throw new Fault(
    'Daemon',
    `${stack}: somebody removed ${gone.join(', ')} while it was being tested; see docker events`,
  );
}
