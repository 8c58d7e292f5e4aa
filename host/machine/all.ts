/** What each came to. Throws what the first of them threw, but only when all have ended: nothing goes on behind a failure. */
export async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const ended = await Promise.allSettled(work);
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
