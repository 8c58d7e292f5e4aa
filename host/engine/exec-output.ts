/**
 * What the engine hands on of a container's two streams: each piece in a frame with 8 bytes before it, which say
 * the stream, three zeros, and the piece's length. What a container with a terminal prints comes as it is.
 *
 * docker-modem's demuxStream is no match for it: it holds each frame back until it is whole, so that what a command
 * printed before it was ended is lost with the frame that was cut, and it calls itself once a frame, so that a command
 * that prints single bytes exhausts the stack, outside of any await, and ends the worker.
 */

const HEADER = 8;

/** A whole answer of the engine, as text. */
export function unframed(raw: Buffer): string {
  const pieces: Buffer[] = [];
  let at = 0;
  while (at + HEADER <= raw.length) {
    if ((raw[at] ?? 9) > 2 || raw.readUIntBE(at + 1, 3) !== 0) return raw.toString('utf8');
    const length = raw.readUInt32BE(at + 4);
    pieces.push(raw.subarray(at + HEADER, at + HEADER + length));
    at += HEADER + length;
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Takes an answer as it comes, in pieces of any size, and keeps the last so many bytes of what was printed. */
export function tailOf(bytes: number): { add(piece: Buffer): void; text(): string } {
  const kept: Buffer[] = [];
  let size = 0;
  let isCut = false;
  let header = Buffer.alloc(0);
  let leftInFrame = 0;

  const keep = (printed: Buffer): void => {
    // A copy: the piece's own memory may be a large buffer.
    kept.push(Buffer.from(printed));
    size += printed.length;
    while (size - (kept[0]?.length ?? 0) >= bytes) {
      size -= kept.shift()?.length ?? 0;
      isCut = true;
    }
  };

  return {
    add(piece) {
      let rest = piece;
      while (rest.length > 0) {
        if (leftInFrame > 0) {
          const printed = rest.subarray(0, leftInFrame);
          keep(printed);
          leftInFrame -= printed.length;
          rest = rest.subarray(printed.length);
          continue;
        }
        const missing = HEADER - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length === HEADER) {
          leftInFrame = header.readUInt32BE(4);
          header = Buffer.alloc(0);
        }
      }
    },

    text() {
      const all = Buffer.concat(kept);
      if (!isCut && all.length <= bytes) return all.toString('utf8');
      const end = all.subarray(-bytes);
      // A line that was cut could begin with half a character, or with half a secret.
      return `…${end.subarray(Math.max(0, end.indexOf('\n'))).toString('utf8')}`;
    },
  };
}
