import { judge, lastFailure, type Expectation, type Observation } from './convergence.ts';

/**
 * What to do next about an app that was handed over: nothing but wait, make it ready, ask it whether it serves, or
 * say what came of it. Whether it answers is one more thing that is observed.
 */

/** What is known of asking the app whether it serves. */
export interface Asked {
  /** The service that is asked, as compose names it. */
  service: string;
  /** The tasks that it answered with as it should; others have to be asked anew. */
  served: string | null;
  /** The tasks that ran when the question was asked that is under way; null when none is. */
  pending: string | null;
  /** Why it does not serve, as far as is known. */
  refusal: string;
  /** Nothing led to the app when it was asked last. */
  unreachable: boolean;
  /** Not before then it is asked again, milliseconds since the epoch. */
  againAt: number;
}

export interface Watched {
  seen: Observation;
  expected: Expectation;
  /**
   * What is to be done to the app next, before it is asked; null when nothing is left. `onceStable`: all must have been
   * up for as long as they are watched.
   */
  preparation: { onceStable: boolean } | null;
  /** Null where nobody is to be asked. */
  asked: Asked | null;
}

export type NextStep =
  | { is: 'up' }
  | { is: 'failed'; reason: string; service: string }
  /** Nothing led to the app until the deadline, which says nothing of the app. */
  | { is: 'nothing learned'; why: string }
  | { is: 'prepare' }
  | {
      is: 'wait';
      why: string;
      forMs: number;
      /** What becomes of asking meanwhile; `begin` ends what is under way. */
      asking: 'go on' | 'begin' | 'end';
      /** All is up, and only has to stay so before it is prepared. */
      held: boolean;
    };

/** Without news from docker it is looked at again after so long, in milliseconds. */
const LONGEST_WAIT_MS = 1_000;

export function nextStep({ seen, expected, preparation, asked }: Watched): NextStep {
  const judgement = judge(seen, expected);
  if (judgement.is === 'failed') return judgement;
  const wait = { is: 'wait', forMs: LONGEST_WAIT_MS, asking: 'go on', held: false } as const;
  if (judgement.is === 'waiting') return { ...wait, why: `waiting: ${judgement.why}`, asking: 'end' };
  const unstableMs = judgement.is === 'stable until' ? judgement.until - seen.at : 0;
  if (preparation !== null) {
    if (!preparation.onceStable || judgement.is === 'converged') return { is: 'prepare' };
    const why = 'all up; its commands are run once it stayed so';
    return { ...wait, why, forMs: Math.min(LONGEST_WAIT_MS, unstableMs), held: true };
  }
  const tasks = allRunning(seen);
  if (asked === null || asked.served === tasks) {
    if (judgement.is === 'converged') return { is: 'up' };
    const why = 'all up; watching that it stays so';
    return { ...wait, why, forMs: Math.min(LONGEST_WAIT_MS, unstableMs), asking: 'end' };
  }
  const leftMs = expected.deadline - seen.at;
  if (leftMs <= 0) {
    if (asked.unreachable) return { is: 'nothing learned', why: asked.refusal };
    return { is: 'failed', reason: noAnswer(asked, seen), service: asked.service };
  }
  const isPending = asked.pending === tasks;
  const asking = isPending ? 'go on' : seen.at >= asked.againAt ? 'begin' : 'end';
  const waits = [LONGEST_WAIT_MS, leftMs];
  if (judgement.is === 'stable until') waits.push(unstableMs);
  if (asking === 'end') waits.push(asked.againAt - seen.at);
  return { ...wait, why: `waiting for an answer: ${asked.refusal}`, forMs: Math.min(...waits), asking };
}

/** IDs of all tasks that run, in one text. */
export function allRunning(seen: Observation): string {
  return seen.services
    .flatMap(({ tasks }) => tasks.filter(({ state }) => state === 'running').map(({ id }) => id))
    .sort()
    .join(' ');
}

/** Why the probe failed; a task that keeps ending explains it better than a refused connection does. */
function noAnswer({ service: asked, refusal }: Asked, seen: Observation): string {
  const failure = seen.services.flatMap((service) => {
    const said = lastFailure(service.tasks);
    return said === null ? [] : [`; ${service.name}: ${said}`];
  });
  return `${asked} does not answer as it should at the deadline: ${refusal}${failure.join('')}`;
}
