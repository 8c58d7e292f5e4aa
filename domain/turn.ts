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
  /** Of several that wait about the same the one that was asked for last counts alone; without this it counts anyway. */
  about?: About;
  /** Of a sweep: how many tests go between two of its recipes. */
  tests?: number;
}

/** What somebody asks for, and when, whenever that came here. */
export interface About {
  /** As in `hedgedoc#12`. */
  what: string;
  /** Milliseconds since the epoch. */
  atMs: number;
  /** The comment that asks: a greater one was written later. */
  comment: number;
}

export interface Turns {
  holder: TurnRequest | null;
  /** Since when the holder has the host; milliseconds since the epoch. */
  heldMs: number | null;
  /** In the order in which they asked. */
  waiting: TurnRequest[];
  /** How many others, but for tests, went while a sweep waited, since a sweep went last. */
  between: number;
  /** How many tests did. */
  testsBetween: number;
}

export const NOBODY: Turns = { holder: null, heldMs: null, waiting: [], between: 0, testsBetween: 0 };

/**
 * So many others go between two recipes of a sweep, or before it begins, and beside them so many tests as the sweep says
 * (`limits.tests_between`); then it goes on, so that neither starves.
 */
export const MOST_BETWEEN = 3;

const same = (a: TurnRequest, b: Pick<TurnRequest, 'workflow'>): boolean =>
  a.workflow.id === b.workflow.id && a.workflow.runId === b.workflow.runId;

export type Answer =
  | { answer: 'granted' }
  /** In the place of those that it supersedes, which wait no more; where there are none as the last. */
  | { answer: 'waits'; supersedes: TurnRequest[] }
  /** A sweep, while this other one is under way. */
  | { answer: 'refused'; by: TurnRequest }
  /** This other one about the same was asked for later, although it may have come earlier. */
  | { answer: 'superseded'; by: TurnRequest };

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
    return {
      turns: { ...leave(turns, request), waiting: [...waiting, request] },
      answer: 'waits',
      supersedes: [],
    };
  }
  const place = waiting.findIndex((one) => same(one, request));
  if (place < 0) return queued(turns, request);
  const again = { ...request, sinceMs: waiting[place]?.sinceMs ?? request.sinceMs };
  return { turns: { ...turns, waiting: waiting.with(place, again) }, answer: 'waits', supersedes: [] };
}

/** Somebody comes who does not wait yet. Who has the host goes on whatever is asked for later. */
function queued(turns: Turns, request: TurnRequest): { turns: Turns } & Answer {
  const { holder, waiting } = turns;
  const later = [holder, ...waiting].find((one) => one !== null && isLater(one, request));
  if (later) return { turns, answer: 'superseded', by: later };
  const supersedes = waiting.filter((one) => isAboutSame(one, request));
  const place = supersedes[0] === undefined ? waiting.length : waiting.indexOf(supersedes[0]);
  const others = (some: readonly TurnRequest[]): TurnRequest[] =>
    some.filter((one) => !supersedes.includes(one));
  return {
    turns: {
      ...turns,
      waiting: [...others(waiting.slice(0, place)), request, ...others(waiting.slice(place))],
    },
    answer: 'waits',
    supersedes,
  };
}

function isAboutSame({ about: a }: TurnRequest, { about: b }: TurnRequest): boolean {
  return a !== undefined && a.what === b?.what;
}

function isLater({ about: a }: TurnRequest, { about: b }: TurnRequest): boolean {
  if (a === undefined || b === undefined || a.what !== b.what) return false;
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.comment > b.comment);
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

/**
 * Who goes next, where nobody has the host: who asked first, but others before a sweep, as long as their kind has not had
 * its number.
 */
export function next({ holder, waiting, between, testsBetween }: Turns): TurnRequest | null {
  if (holder !== null) return null;
  const sweep = waiting.find(({ asker }) => asker === 'sweep');
  if (sweep === undefined) return waiting[0] ?? null;
  const mayGo: Readonly<Record<TurnRequest['asker'], boolean>> = {
    sweep: false,
    hand: between < MOST_BETWEEN,
    test: testsBetween < (sweep.tests ?? MOST_BETWEEN),
  };
  return waiting.find(({ asker }) => mayGo[asker]) ?? sweep;
}

/** The one that goes next has the host from then on. */
export function grant(turns: Turns, granted: TurnRequest, nowMs: number): Turns {
  const waiting = turns.waiting.filter((one) => !same(one, granted));
  const sweepWaits = waiting.some(({ asker }) => asker === 'sweep');
  const counts = granted.asker === 'sweep' || !sweepWaits ? NOBODY : turns;
  return {
    holder: granted,
    heldMs: nowMs,
    waiting,
    between: counts.between + (sweepWaits && granted.asker === 'hand' ? 1 : 0),
    testsBetween: counts.testsBetween + (sweepWaits && granted.asker === 'test' ? 1 : 0),
  };
}

/** Whom somebody that waits waits for, in words; null for one that does not wait. */
export function behind(turns: Turns, who: Pick<TurnRequest, 'workflow'>): string | null {
  const { holder, waiting } = turns;
  const place = waiting.findIndex((one) => same(one, who));
  if (place < 0) return null;
  const held =
    holder === null ? [] : [holder.asker === 'sweep' ? 'the recipe that a sweep is at' : holder.what];
  const before = waiting.slice(0, place).filter(({ asker }) => asker !== 'sweep');
  return [...held, ...before.map(({ what }) => what)].join(', ');
}

/** A sweep that has the host is told, once, that somebody waits for it to come between two recipes. */
export function isWanted({ holder, waiting }: Turns): boolean {
  return holder?.asker === 'sweep' && waiting.length > 0;
}
