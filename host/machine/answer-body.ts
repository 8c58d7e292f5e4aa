/**
 * Of an answer's body no more than that many bytes, as text, and whether there was no more: who answers may be a stranger,
 * and never stop.
 */
export async function beginningOf(
  body: AsyncIterable<Buffer>,
  most: number,
): Promise<{ text: string; isWhole: boolean }> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.length;
    if (size > most) break;
  }
  return { text: Buffer.concat(pieces).subarray(0, most).toString('utf8'), isWhole: size <= most };
}
