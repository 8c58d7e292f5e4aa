import { describe, expect, test } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { endOf, printable, quotable, quotableLine, quotableMarkdown } from '../../domain/printable.ts';

describe('text that others wrote', () => {
  test.each([
    ['an escape sequence', 'a\u001b[2Jb', 'a\\u{1b}[2Jb'],
    ['writing from right to left', '1.0\u202e0.1', '1.0\\u{202e}0.1'],
    ['a character nobody sees', 'a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
    ['half a character', 'a\ud800', 'a\\u{d800}'],
    ['a line end of Unicode', 'a\u2028b', 'a\\u{2028}b'],
    ['plain words in any script', 'żółw 東京\nb', 'żółw 東京\nb'],
  ])('shows %s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test('is one line where one is due, and says how much was cut', () => {
    expect(quotableLine(' a\r\n\n  b \n')).toBe('a b');
    expect(quotableLine('x'.repeat(10_000))).toMatch(/^x{600}… \(9400 more characters\)$/);
    expect(quotable('x'.repeat(10_000)).length).toBeLessThan(4_100);
  });

  test('is neither a link nor an image nor HTML in Markdown', () => {
    expect(quotableMarkdown('![x](http://evil) <b>`a`</b>\n# h')).toBe(
      '\\!\\[x\\](http://evil) \\<b\\>\\`a\\`\\</b\\> \\# h',
    );
  });

  test('is quoted so by every fault', () => {
    expect(new Fault('MirrorSync', 'remote: \u001b]0;x\u0007').message).toBe('remote: \\u{1b}]0;x\\u{7}');
  });
});

describe('the end of a text', () => {
  test('is all of one that is short enough', () => {
    expect(endOf('one\ntwo\n', 8)).toBe('one\ntwo\n');
  });

  test('begins with a whole line, and says that something is missing before it', () => {
    expect(endOf('my secret\ntwo\nthree\n', 14)).toBe('…\ntwo\nthree\n');
    expect(endOf('a line that is too long', 10)).toBe('…');
  });
});
