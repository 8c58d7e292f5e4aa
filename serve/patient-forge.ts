import { Fault } from '../domain/fault.ts';
import type { AskedForge } from './requests.ts';

/**
 * A forge each of whose questions may take so long, by itself, until the signal. Throws Fault Forge for one that takes
 * longer.
 */
export function patientForge(
  forgeUntil: (until: AbortSignal) => AskedForge,
  patienceMs: number,
  signal: AbortSignal,
): AskedForge {
  async function ask<T>(question: (forge: AskedForge) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const fault = new Fault('Forge', `the forge did not answer within ${patienceMs / 1000} s`);
    const timer = setTimeout(() => late.abort(fault), patienceMs);
    try {
      return await question(forgeUntil(AbortSignal.any([signal, late.signal])));
    } finally {
      clearTimeout(timer);
    }
  }
  return {
    login: () => ask((forge) => forge.login()),
    comment: (...asked) => ask((forge) => forge.comment(...asked)),
    commentsOf: (...asked) => ask((forge) => forge.commentsOf(...asked)),
    commentsSince: (...asked) => ask((forge) => forge.commentsSince(...asked)),
    addComment: (...asked) => ask((forge) => forge.addComment(...asked)),
    mayWrite: (...asked) => ask((forge) => forge.mayWrite(...asked)),
    pullRequest: (...asked) => ask((forge) => forge.pullRequest(...asked)),
    pushedSince: (...asked) => ask((forge) => forge.pushedSince(...asked)),
  };
}
