import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ask,
  behind,
  grant,
  isWanted,
  leave,
  MOST_BETWEEN,
  next,
  NOBODY,
  type TurnRequest,
  type Turns,
} from '../../domain/turn.ts';

function request(id: string, asker: TurnRequest['asker'] = 'hand', number = 1): TurnRequest {
  return { workflow: { id, runId: `run of ${id}` }, asker, what: id, number, sinceMs: 0 };
}

/** Each asks, and whoever may go goes. */
function after(...requests: TurnRequest[]): Turns {
  return requests.reduce((turns, one) => advance(ask(turns, one).turns), NOBODY);
}

function advance(turns: Turns): Turns {
  const first = next(turns);
  return first === null ? turns : grant(turns, first, 0);
}

const holderOf = ({ holder }: Turns): string | undefined => holder?.workflow.id;
const waitingOf = ({ waiting }: Turns): string[] => waiting.map(({ workflow }) => workflow.id);

describe('a turn', () => {
  it('is for whoever asks first, and the others wait in order', () => {
    const turns = after(request('a'), request('b'), request('c'));
    expect([holderOf(turns), waitingOf(turns)]).toEqual(['a', ['b', 'c']]);
    expect(holderOf(advance(leave(turns, request('a'))))).toBe('b');
  });

  it('is for nobody while somebody has it', () => {
    expect(next(after(request('a'), request('b')))).toBeNull();
  });

  it('of one that leaves the queue is passed over', () => {
    const turns = leave(after(request('a'), request('b'), request('c')), request('b'));
    expect(holderOf(advance(leave(turns, request('a'))))).toBe('c');
  });

  it('is told again to a holder that did not hear, or was reset', () => {
    const turns = after(request('sweep', 'sweep', 3));
    const again = ask(turns, request('sweep', 'sweep', 1));
    expect(again.answer).toBe('granted');
    expect(again.turns.holder?.number).toBe(1);
  });

  it('asked for again keeps its place and its time', () => {
    const turns = after(request('a'), request('b'), request('c'));
    const again = ask(turns, { ...request('b', 'hand', 2), sinceMs: 99 });
    expect(waitingOf(again.turns)).toEqual(['b', 'c']);
    expect(again.turns.waiting[0]).toMatchObject({ number: 2, sinceMs: 0 });
  });

  it('of another run of the same workflow is another one', () => {
    const later = { ...request('a'), workflow: { id: 'a', runId: 'later' } };
    expect(waitingOf(after(request('a'), later))).toEqual(['a']);
  });
});

describe('a sweep', () => {
  it('is refused while another one has the host, or waits for it', () => {
    const held = after(request('first', 'sweep'));
    expect(ask(held, request('second', 'sweep'))).toMatchObject({ answer: 'refused', by: { what: 'first' } });
    const waits = after(request('work'), request('first', 'sweep'));
    expect(ask(waits, request('second', 'sweep'))).toMatchObject({
      answer: 'refused',
      by: { what: 'first' },
    });
  });

  it('is wanted as soon as somebody waits, and nobody else ever is', () => {
    expect(isWanted(after(request('sweep', 'sweep')))).toBe(false);
    expect(isWanted(after(request('sweep', 'sweep'), request('a')))).toBe(true);
    expect(isWanted(after(request('a'), request('b')))).toBe(false);
  });

  it('that passes lets who waits go first, and comes next', () => {
    const passed = advance(
      ask(after(request('sweep', 'sweep'), request('a')), request('sweep', 'sweep', 2)).turns,
    );
    expect([holderOf(passed), waitingOf(passed)]).toEqual(['a', ['sweep']]);
    expect(holderOf(advance(leave(passed, request('a'))))).toBe('sweep');
  });

  it('waits for no more than so many others, however many ask, and they get as many between the next two recipes', () => {
    let turns = after(request('sweep', 'sweep'));
    const went: (string | undefined)[] = [];
    for (let asked = 0; asked < 20; asked += 1) turns = ask(turns, request(`test ${asked}`)).turns;
    for (let number = 2; went.length < 2 * (MOST_BETWEEN + 1); number += 1) {
      turns = advance(ask(turns, request('sweep', 'sweep', number)).turns);
      for (; holderOf(turns) !== 'sweep'; turns = advance(leave(turns, turns.holder as TurnRequest))) {
        went.push(holderOf(turns));
      }
      went.push('sweep');
    }
    expect(went.map((who) => (who === 'sweep' ? 'sweep' : 'test'))).toEqual([
      ...Array.from({ length: MOST_BETWEEN }, () => 'test'),
      'sweep',
      ...Array.from({ length: MOST_BETWEEN }, () => 'test'),
      'sweep',
    ]);
    expect(went.slice(0, MOST_BETWEEN)).toEqual(['test 0', 'test 1', 'test 2']);
  });
});

describe('tests', () => {
  const sweepOf = (number: number, tests: number): TurnRequest => ({
    ...request('sweep', 'sweep', number),
    tests,
  });
  const testOf = (id: string, what?: string, atMs = 0, comment = 1): TurnRequest => ({
    ...request(id, 'test'),
    ...(what === undefined ? {} : { about: { what, atMs, comment } }),
  });

  it('go so many between two recipes as the sweep says, and who asks by hand goes beside them', () => {
    let turns = after(sweepOf(1, 2));
    for (let asked = 0; asked < 5; asked += 1) {
      turns = ask(turns, testOf(`test ${asked}`)).turns;
      turns = ask(turns, request(`hand ${asked}`)).turns;
    }
    const went: string[] = [];
    turns = advance(ask(turns, sweepOf(2, 2)).turns);
    for (; holderOf(turns) !== 'sweep'; turns = advance(leave(turns, turns.holder as TurnRequest))) {
      went.push(holderOf(turns) ?? '');
    }
    expect(went).toEqual(['test 0', 'hand 0', 'test 1', 'hand 1', 'hand 2']);
  });

  it('of one pull request wait as one: the newest, in the place of the first', () => {
    const turns = after(request('a'), testOf('old', 'x#1', 1), testOf('other', 'x#2', 1));
    const newer = ask(turns, testOf('new', 'x#1', 2));
    expect(newer).toMatchObject({ answer: 'waits', supersedes: [{ workflow: { id: 'old' } }] });
    expect(waitingOf(newer.turns)).toEqual(['new', 'other']);
  });

  it('that were asked for earlier and come later are superseded', () => {
    const turns = after(request('a'), testOf('new', 'x#1', 2));
    const late = ask(turns, testOf('old', 'x#1', 1));
    expect(late).toMatchObject({ answer: 'superseded', by: { workflow: { id: 'new' } } });
    expect(waitingOf(late.turns)).toEqual(['new']);
    // Of two comments of one second the later one has the greater number.
    expect(ask(turns, testOf('same second', 'x#1', 2, 0)).answer).toBe('superseded');
    expect(ask(turns, testOf('same second', 'x#1', 2, 2)).answer).toBe('waits');
  });

  it('that have the host go on, whatever is asked for later', () => {
    const turns = after(testOf('first', 'x#1', 1));
    const newer = ask(turns, testOf('second', 'x#1', 2));
    expect([holderOf(newer.turns), waitingOf(newer.turns)]).toEqual(['first', ['second']]);
    expect(newer).toMatchObject({ answer: 'waits', supersedes: [] });
  });

  it('that nobody asked for in a comment wait beside each other', () => {
    const turns = after(request('a'), testOf('b'), testOf('c'));
    expect(waitingOf(turns)).toEqual(['b', 'c']);
  });

  it('are told whom they wait for', () => {
    const turns = after(sweepOf(1, 2), testOf('b'), testOf('c'));
    expect(behind(turns, testOf('c'))).toBe('the recipe that a sweep is at, b');
    expect(behind(turns, testOf('d'))).toBeNull();
    expect(behind(after(request('a'), testOf('b')), testOf('b'))).toBe('a');
  });

  /** Requests of a few pull requests in any order, among whom somebody leaves now and then. */
  const deliveries = fc.array(
    fc.record({
      pr: fc.integer({ min: 1, max: 3 }),
      atMs: fc.integer({ min: 1, max: 50 }),
      leaves: fc.boolean(),
    }),
    { maxLength: 40 },
  );

  it('of one pull request never wait twice, and the newest that was asked for is never lost', () => {
    fc.assert(
      fc.property(deliveries, (asked) => {
        let turns = after(request('holder'));
        const here = new Map<string, { what: string; atMs: number; comment: number }>();
        for (const [comment, { pr, atMs, leaves }] of asked.entries()) {
          const about = { what: `x#${pr}`, atMs, comment };
          const one: TurnRequest = { ...request(`t${comment}`, 'test'), about };
          const answer = ask(turns, one);
          turns = answer.turns;
          if (answer.answer === 'waits') {
            here.set(one.workflow.id, about);
            for (const older of answer.supersedes) here.delete(older.workflow.id);
          }
          const gone = leaves ? turns.waiting[0] : undefined;
          if (gone !== undefined) {
            turns = leave(turns, gone);
            here.delete(gone.workflow.id);
          }
          expect(waitingOf(turns).toSorted()).toEqual([...here.keys()].toSorted());
          const abouts = turns.waiting.map((waits) => waits.about?.what);
          expect(new Set(abouts).size).toBe(abouts.length);
        }
      }),
    );
  });

  it('starve no sweep, and a sweep starves none', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom<'hand' | 'test'>('hand', 'test'), { minLength: 1, maxLength: 30 }),
        (tests, askers) => {
          let turns = after(sweepOf(1, tests));
          for (const [at, asker] of askers.entries()) turns = ask(turns, request(`${at}`, asker)).turns;
          for (let number = 2; turns.waiting.length > 0; number += 1) {
            turns = advance(ask(turns, sweepOf(number, tests)).turns);
            const went = { hand: 0, test: 0, sweep: 0 };
            for (; holderOf(turns) !== 'sweep'; turns = advance(leave(turns, turns.holder as TurnRequest))) {
              went[turns.holder?.asker ?? 'sweep'] += 1;
            }
            expect(went.hand).toBeLessThanOrEqual(MOST_BETWEEN);
            expect(went.test).toBeLessThanOrEqual(tests);
            expect(went.hand + went.test).toBeGreaterThan(0);
          }
        },
      ),
    );
  });
});
