import { describe, expect, it } from 'vitest';
import {
  ask,
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
