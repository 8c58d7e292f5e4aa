import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tailOf, unframed } from '../../host/engine/exec-output.ts';

function frame(text: string, stream = 1): Buffer {
  const printed = Buffer.from(text);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(printed.length, 4);
  return Buffer.concat([header, printed]);
}

function inPieces(all: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < all.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push(all.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

test('what is short is kept whole, however it is cut into frames and pieces', () => {
  const lines = fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 });
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(lines, sizes, (printed, cuts) => {
      const raw = Buffer.concat(printed.map((text, index) => frame(text, 1 + (index % 2))));
      const tail = tailOf(1_000_000);
      for (const piece of inPieces(raw, cuts)) tail.add(piece);
      expect(tail.text()).toBe(Buffer.from(printed.join('')).toString());
      expect(unframed(raw)).toBe(tail.text());
    }),
  );
});

test('of what is long the last lines are kept, and that they are not all is shown', () => {
  const raw = Buffer.concat(['first\n', 'secret-be', 'gins\nsecond\n', 'thïrd\n'].map((one) => frame(one)));
  const kept = (bytes: number): string => {
    const tail = tailOf(bytes);
    for (const piece of inPieces(raw, [3, 11])) tail.add(piece);
    return tail.text();
  };
  expect(kept(20)).toBe('…\nsecond\nthïrd\n');
  expect(kept(15)).toBe('…\nsecond\nthïrd\n');
  expect(kept(14)).toBe('…\nthïrd\n');
  expect(kept(Buffer.byteLength('first\nsecret-begins\nsecond\nthïrd\n'))).toBe(
    'first\nsecret-begins\nsecond\nthïrd\n',
  );
});

test('what was printed is kept of a frame that was cut, and of any number of small ones', () => {
  const tail = tailOf(1_000_000);
  tail.add(Buffer.concat(Array.from({ length: 20_000 }, () => frame('x'))));
  tail.add(frame('began').subarray(0, 11));
  expect(tail.text()).toBe(`${'x'.repeat(20_000)}beg`);
});

test('a terminal prints without frames', () => {
  expect(unframed(Buffer.from('plain text of some length'))).toBe('plain text of some length');
  expect(unframed(Buffer.from(''))).toBe('');
});
