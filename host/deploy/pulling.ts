/** By state folder, how many deployments of this process bring their images now. */
const going = new Map<string, number>();

/** Whether a deployment brings its images now, for whoever would only take the line from it. */
export function isPulling(state: string): boolean {
  return (going.get(state) ?? 0) > 0;
}

/** Brings images for a deployment. */
export async function whilePulling<T>(state: string, body: () => Promise<T>): Promise<T> {
  going.set(state, (going.get(state) ?? 0) + 1);
  try {
    return await body();
  } finally {
    going.set(state, (going.get(state) ?? 0) - 1);
  }
}
