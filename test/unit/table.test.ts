import { describe, expect, test } from 'vitest';
import { renderTable } from '../../client/render/table.ts';

/** Tables on a terminal. */

const lines = (text: string): string[] => text.replace(/\u001b\[\d+m/g, '').split('\n');
const green = (text: string): string => `\u001b[32m${text}\u001b[39m`;

describe('a table', () => {
  test('has its columns below their titles, two blanks apart, and nothing after the last', () => {
    expect(
      lines(
        renderTable(
          ['recipe', '', 'why'],
          [
            ['ghost', 'x', ''],
            ['n8n', '', 'red'],
          ],
        ),
      ),
    ).toEqual(['recipe     why', 'ghost   x', 'n8n        red']);
  });

  test('takes colours for nothing, and characters of two columns for two', () => {
    const shown = renderTable(
      ['who', 'why', 'file'],
      [
        [green('ab'), '日本', 'one'],
        ['abcd', 'plain', 'two'],
      ],
    );
    expect(shown.split('\n').slice(1)).toEqual([`${green('ab')}    日本   one`, 'abcd  plain  two']);
  });

  test('that goes to no terminal keeps each row on one line, whatever is in it', () => {
    const why = `${'日本語'.repeat(30)} ${'word '.repeat(30)}end`;
    expect(lines(renderTable(['why'], [[why]], { flexible: 0, columns: null }))).toEqual(['why', why]);
  });
});

describe('the column that is wrapped', () => {
  const wrapped = (why: string): string[] =>
    lines(renderTable(['recipe', 'why', 'z'], [['ghost', why, 'zz']], { flexible: 1, columns: 34 })).slice(1);

  test('breaks between words, with the others beside its first line', () => {
    expect(wrapped('the app exited at once and again')).toEqual([
      'ghost   the app exited at     zz',
      '        once and again',
    ]);
  });

  test('breaks a longer word and loses nothing of it', () => {
    expect(wrapped('/srv/state/sweeps/one/two/three')).toEqual([
      'ghost   /srv/state/sweeps/on  zz',
      '        e/two/three',
    ]);
  });

  test('counts wide characters as two, and leaves no colour open at the end of a line', () => {
    expect(wrapped('日本語日本語日本語日本語')).toEqual(['ghost   日本語日本語日本語日  zz', '        本語']);
    const [first, second] = renderTable(['why'], [[green('one two three four five six')]], {
      flexible: 0,
      columns: 10,
    })
      .split('\n')
      .slice(1);
    expect([first, second]).toEqual([green('one two three four'), green('five six')]);
  });

  test('is not starved by another that is wordy', () => {
    const rows = [['ghost', 'SKIP held '.repeat(8), 'word '.repeat(30)]];
    const shown = lines(renderTable(['recipe', 'outcome', 'why'], rows, { flexible: 2, columns: 80 }));
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(shown[0]?.indexOf('why')).toBeLessThanOrEqual(50);
  });

  test('gets no narrower than can be read', () => {
    const [, ...shown] = lines(
      renderTable(['recipe', 'why'], [['ghost', 'a b c d e f g h i j k']], { flexible: 1, columns: 5 }),
    );
    expect(shown).toEqual(['ghost   a b c d e f g h i', '        j k']);
  });
});
