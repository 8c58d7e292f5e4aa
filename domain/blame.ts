import type { Outcome } from './outcome.ts';
import type { Asker } from './run.ts';

export const BLAMED = [
  'the package',
  'the package or this host',
  'upstream',
  'this host',
  'an operator',
  'nobody',
] as const;

/** Whose it is that an outcome is no PASS, as far as one run can tell: who is to look, and for what. */
export interface Blame {
  who: (typeof BLAMED)[number];
  /** What to do about it, and when it is tried again; empty where there is nothing to do. */
  next: string;
}

/** Sweeps come again by themselves, a test when somebody asks. */
const AGAIN: Readonly<Record<Asker['by'], string>> = {
  sweep: 'the next sweep tries it again',
  test: 'then it can be asked for again',
};

const NOTHING_NEW: Blame = { who: 'nobody', next: 'it is tested when there is a newer release' };

const SKIPPED: Readonly<Record<Extract<Outcome, { kind: 'SKIP' }>['because'], Blame>> = {
  held: { who: 'an operator', next: 'it is tested again once "hold" is out of its recipe.yml' },
  superseded: { who: 'nobody', next: 'a later test of the same took its place' },
  'no-new-version': NOTHING_NEW,
  'never-released': NOTHING_NEW,
};

/** Of a recipe that never ran, nobody's. `by` is who asked for the run. */
export function blameOf(outcome: Outcome | null, by: Asker['by'] = 'sweep'): Blame {
  if (outcome === null) return { who: 'nobody', next: 'the next sweep tests it' };
  const again = AGAIN[by];
  switch (outcome.kind) {
    case 'PASS':
      return { who: 'nobody', next: '' };
    case 'FAIL':
      // What the platform does wrong is tried again, and is no FAIL.
      return {
        who: 'the package',
        next:
          by === 'sweep'
            ? `its maintainer mends it in a new release; ${again}`
            : `its author mends it; ${again}`,
      };
    case 'GREEN-BUT-PROMOTE-FAILED':
      return {
        who: 'the package or this host',
        next: `it passed its cold test; what its promote said tells which, and ${again}`,
      };
    case 'SKIP':
      return SKIPPED[outcome.because];
    case 'ERROR':
      switch (outcome.cause) {
        case 'tag-moved':
          return {
            who: 'upstream',
            next: 'it is blocked until upstream puts the tag back, or an operator accepts where it is now',
          };
        case 'mirror-sync':
          return { who: 'upstream', next: `upstream or the mirror did not answer as it should; ${again}` };
        case 'infrastructure':
          return { who: 'this host', next: `an operator looks at what it names; ${again}` };
        case 'cancelled':
          return { who: 'an operator', next: `somebody ended it; ${again}` };
        case 'out-of-time':
          return { who: 'this host', next: 'the sweep had no time left; it goes first in the next one' };
      }
  }
}

/** As a line: whose it is, and what comes next. */
export function blameText({ who, next }: Blame): string {
  return next === '' ? who : `${who}: ${next}`;
}
