/**
 * Whose turn it is on a host. One workflow at a time may change anything there; the others wait in order. Pure: the
 * workflow of a host (workflows/host-turns.ts) keeps this state and tells everybody of it, and the generations of the
 * host's lock are the fence below, whatever is believed here.
 */

/** Somebody who wants the host, or has it. */
export interface TurnRequest {
  /** Its ID and first run ID, which continue-as-new and reset keep. */
  workflow: { id: string; runId: string };
  /** Of sweeps there is one at a time, which gives way between two recipes; of other askers each is one piece of work. */
  asker: 'sweep' | 'hand' | 'test';
  /** What for, in words for people: `sweep`, `canonical forget of gitea`. */
  what: string;
  /** Counts this workflow's turns from 1: asking again with the same number is the same request. */
  number: number;
  /** When it was asked first; milliseconds since the epoch. */
  sinceMs: number;
}

export interface Turns {
  holder: TurnRequest | null;
  /** Since when the holder has the host; milliseconds since the epoch. */
  heldMs: number | null;
  /** In the order in which they asked. */
  waiting: TurnRequest[];
  /** How many others went while a sweep waited, since a sweep went last. */
  between: number;
}

export const NOBODY: Turns = { holder: null, heldMs: null, waiting: [], between: 0 };

/** So many others go between two recipes of a sweep, or before it begins; then it goes on, so that neither starves. */
export const MOST_BETWEEN = 3;

const same = (a: TurnRequest, b: Pick<TurnRequest, 'workflow'>): boolean =>
  a.workflow.id === b.workflow.id && a.workflow.runId === b.workflow.runId;

export type Answer =
  | { answer: 'granted' | 'waits' }
  /** A sweep, while this other one is under way. */
  | { answer: 'refused'; by: TurnRequest };

/**
 * Somebody asks. A holder that asks for its next turn has given this one back, and waits again; one that asks for a
 * turn that it had (it was reset, or did not hear) has it still. What is asked again keeps its place.
 */
export function ask(turns: Turns, request: TurnRequest): { turns: Turns } & Answer {
  const { holder, waiting } = turns;
  const other = [holder, ...waiting].find((one) => one?.asker === 'sweep' && !same(one, request));
  if (request.asker === 'sweep' && other) return { turns, answer: 'refused', by: other };
  if (holder !== null && same(holder, request)) {
    if (request.number <= holder.number) {
      return { turns: { ...turns, holder: { ...holder, number: request.number } }, answer: 'granted' };
    }
    return { turns: { ...leave(turns, request), waiting: [...waiting, request] }, answer: 'waits' };
  }
  const place = waiting.findIndex((one) => same(one, request));
  if (place < 0) return { turns: { ...turns, waiting: [...waiting, request] }, answer: 'waits' };
  const again = { ...request, sinceMs: waiting[place]?.sinceMs ?? request.sinceMs };
  return { turns: { ...turns, waiting: waiting.with(place, again) }, answer: 'waits' };
}

/** Somebody needs the host no more, or has ended: gives it back, or leaves the queue. */
export function leave(turns: Turns, who: Pick<TurnRequest, 'workflow'>): Turns {
  const { holder, waiting } = turns;
  const held = holder !== null && same(holder, who);
  return {
    ...turns,
    holder: held ? null : holder,
    heldMs: held ? null : turns.heldMs,
    waiting: waiting.filter((one) => !same(one, who)),
  };
}

/** Who goes next, where nobody has the host: others before a sweep, but no more than so many; else who asked first. */
export function next({ holder, waiting, between }: Turns): TurnRequest | null {
  if (holder !== null) return null;
  const sweep = waiting.find(({ asker }) => asker === 'sweep');
  const other = waiting.find(({ asker }) => asker !== 'sweep');
  if (sweep === undefined || (other !== undefined && between < MOST_BETWEEN)) return other ?? null;
  return sweep;
}

/** The one that goes next has the host from then on. */
export function grant(turns: Turns, granted: TurnRequest, nowMs: number): Turns {
  const waiting = turns.waiting.filter((one) => !same(one, granted));
  const sweepWaits = waiting.some(({ asker }) => asker === 'sweep');
  const between = granted.asker === 'sweep' || !sweepWaits ? 0 : turns.between + 1;
  return { holder: granted, heldMs: nowMs, waiting, between };
}

/** A sweep that has the host is told, once, that somebody waits for it to come between two recipes. */
export function isWanted({ holder, waiting }: Turns): boolean {
  return holder?.asker === 'sweep' && waiting.length > 0;
}
