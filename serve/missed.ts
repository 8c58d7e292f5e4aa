import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../domain/fault.ts';
import { requestedTest } from '../domain/test-request.ts';
import type { SeenComments } from '../host/store/seen-comments.ts';
import { inWords, isPassing, type Log } from './deliveries.ts';
import type { AskedForge, Became, Mirror } from './requests.ts';
import type { Hint } from './webhook.ts';

/** Comments that no delivery told of: made while this process, the forge's way to it, or the Temporal server was away. */

export interface MissedOptions {
  forge: Pick<AskedForge, 'login' | 'commentsSince'>;
  mirrors(): Promise<Mirror[]>;
  seen: SeenComments;
  /** Looks at one, in its turn; null where too many wait. */
  consider(hint: Hint): Promise<Became> | null;
  now: Date;
  log: Log;
}

/** Of one repository in one go. Who has more than these has a flood, of which the newest count. */
export const MOST_COMMENTS = 200;
/** Where nothing says up to where it was looked. */
const A_DAY_MS = 86_400_000;
/** A forge may tell of a comment a moment after it tells of a newer one. */
const LATE_MS = 60_000;

/**
 * Looks at every comment that was written since it last looked, in each repository. Answers whether that is to be tried
 * again before long: something that passes kept it from it. What else does is said in the log, and stops no other
 * repository.
 */
export async function lookForMissed(options: MissedOptions): Promise<'done' | 'again soon'> {
  const { forge, log } = options;
  try {
    // Whoever is away is so for each of them.
    await forge.login();
    const seen = await options.seen.read();
    for (const mirror of await options.mirrors()) {
      try {
        await lookIn(mirror, seen.get(mirror.recipe), options);
      } catch (error) {
        if (isPassing(error)) throw error;
        log.error({ recipe: mirror.recipe, ...inWords(error) }, 'its comments were not looked at');
      }
    }
    return 'done';
  } catch (error) {
    log.warn(inWords(error), 'missed comments were not looked for');
    return isPassing(error) ? 'again soon' : 'done';
  }
}

async function lookIn(
  { recipe, repository }: Mirror,
  before: { until: string; comments: number[] } | undefined,
  { forge, consider, seen, now, log }: MissedOptions,
): Promise<void> {
  const sinceMs = before === undefined ? now.getTime() - A_DAY_MS : Date.parse(before.until) - LATE_MS;
  const comments = await forge.commentsSince(repository, new Date(sinceMs), MOST_COMMENTS);
  if (comments.length >= MOST_COMMENTS) {
    log.warn({ recipe, most: MOST_COMMENTS }, 'only the newest comments are looked at');
  }
  const known = new Set(before?.comments);
  let wrong: unknown = null;
  // In the order in which they were written.
  for (const { id, body } of comments.toReversed()) {
    if (known.has(id) || requestedTest(body) === null) continue;
    const became = consider({ repository, comment: id });
    if (became === null) throw new Fault('Forge', 'too many comments wait to be looked at');
    try {
      await became;
    } catch (error) {
      if (isPassing(error)) throw error;
      // It hides no later one, and is looked at again.
      wrong ??= error;
    }
  }
  if (wrong !== null) throw wrong;
  const newest = Math.max(...comments.map(({ created }) => Date.parse(created)), sinceMs + LATE_MS);
  const late = comments.filter(({ created }) => Date.parse(created) >= newest - LATE_MS);
  await seen.write(recipe, {
    until: new Date(newest).toISOString(),
    comments: late.map(({ id }) => id).sort((a, b) => a - b),
  });
}

export interface Pace {
  everyMs: number;
  /** After something that passes. */
  soonMs: number;
}

/** Looks at once, then every so often until the signal; sooner when it is to be tried again, or `left` is called. */
export function keepLooking(
  look: () => Promise<'done' | 'again soon'>,
  { everyMs, soonMs }: Pace,
  signal: AbortSignal,
): { left(): void; ended: Promise<void> } {
  let soon = new AbortController();
  const pause = (ms: number, until: AbortSignal): Promise<void> =>
    sleep(ms, undefined, { signal: until }).catch(() => undefined);
  async function looking(): Promise<void> {
    while (!signal.aborted) {
      soon = new AbortController();
      if ((await look()) === 'again soon') soon.abort();
      await pause(everyMs, AbortSignal.any([signal, soon.signal]));
      if (soon.signal.aborted) await pause(soonMs, signal);
    }
  }
  return { left: () => soon.abort(), ended: looking() };
}
