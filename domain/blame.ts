import type { Outcome } from './outcome.ts';

/** Whose it is that an outcome is no PASS, as far as one run can tell: who is to look, and for what. */
export interface Blame {
  who: 'the package' | 'the package or this host' | 'upstream' | 'this host' | 'an operator' | 'nobody';
  /** What to do about it, and when it is tried again; empty where there is nothing to do. */
  next: string;
}

const AGAIN = 'the next sweep tries it again';

/** Of a recipe that never ran, nobody's. */
export function blameOf(outcome: Outcome | null): Blame {
  if (outcome === null) return { who: 'nobody', next: 'the next sweep tests it' };
  switch (outcome.kind) {
    case 'PASS':
      return { who: 'nobody', next: '' };
    case 'FAIL':
      // What the platform does wrong is tried again, and is no FAIL.
      return { who: 'the package', next: `its maintainer mends it in a new release; ${AGAIN}` };
    case 'GREEN-BUT-PROMOTE-FAILED':
      return {
        who: 'the package or this host',
        next: `it passed its cold test; what its promote said tells which, and ${AGAIN}`,
      };
    case 'SKIP':
      return outcome.because === 'held'
        ? { who: 'an operator', next: 'it is tested again once "hold" is out of its recipe.yml' }
        : { who: 'nobody', next: 'it is tested when there is a newer release' };
    case 'ERROR':
      switch (outcome.cause) {
        case 'tag-moved':
          return {
            who: 'upstream',
            next: 'it is blocked until upstream puts the tag back, or an operator accepts where it is now',
          };
        case 'mirror-sync':
          return { who: 'upstream', next: `upstream or the mirror did not answer as it should; ${AGAIN}` };
        case 'infrastructure':
          return { who: 'this host', next: `an operator looks at what it names; ${AGAIN}` };
        case 'cancelled':
          return { who: 'an operator', next: `somebody ended it; ${AGAIN}` };
        case 'out-of-time':
          return { who: 'this host', next: 'the sweep had no time left; it goes first in the next one' };
      }
  }
}
