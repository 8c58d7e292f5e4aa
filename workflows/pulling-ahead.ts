import { CancellationScope } from '@temporalio/workflow';
import type { Run } from './run.ts';
import { stepsAhead } from './steps.ts';

/**
 * While a recipe is tested, the images of the next one that will be are pulled. Whatever comes of that is no news of the
 * run, which never waits for it: the next one looks for its images itself. It is given up when the body ends, so that
 * nothing of it goes on beside whoever goes between two recipes. Runs whose sweep named none of those to come, as older
 * versions' did not, pull none.
 */
export async function pullingAhead<T>(
  run: Run,
  next: readonly string[] = [],
  body: () => Promise<T>,
): Promise<T> {
  if (next.length === 0) return body();
  const ahead = new CancellationScope();
  const pulled = ahead
    .run(() =>
      stepsAhead(run.settings, 'images of the recipe that is tested next').prefetch({
        run: run.ref,
        next: [...next],
      }),
    )
    .catch(() => undefined);
  try {
    return await body();
  } finally {
    ahead.cancel();
    await pulled;
  }
}
