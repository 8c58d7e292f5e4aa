/** How what was made is removed again, in the order it was made. */
export type Undo = (() => Promise<unknown>)[];

/** Undoes everything in the opposite order, whatever fails, and throws what failed first. */
export async function undoAll(undo: Undo): Promise<void> {
  const failed: unknown[] = [];
  for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => failed.push(error));
  if (failed.length > 0) throw failed[0];
}
