/** Throws what the first of them threw, but only when all have ended: nothing goes on behind a failure. */
export async function all(work: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(work);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
