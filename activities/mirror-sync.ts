import { Fault } from '../domain/fault.ts';
import type { RunRef } from '../domain/run.ts';
import { inAttempt } from './attempt.ts';
import type { Dependencies } from './index.ts';

export function mirrorSync(deps: Dependencies) {
  return {
    /**
     * Makes the mirror equal to upstream. Throws TagMoved (with an alert on disk) and leaves the mirror as it
     * is when a release tag has another commit than the ledger knows; MirrorSync for whatever else went wrong.
     */
    async mirrorSync({
      recipe,
      run,
    }: {
      recipe: string;
      run: RunRef | null;
    }): Promise<{ main: string; changed: boolean }> {
      return inAttempt(deps, async (attempt) => {
        const { upstream } = await deps.recipes.one(recipe);
        attempt.report(`syncing the mirror of ${recipe}`);
        try {
          const { main, changed } = await deps.mirrorsFor(attempt.run).sync(recipe, upstream);
          return { main, changed };
        } catch (error) {
          if (run && error instanceof Fault && error.type === 'TagMoved') {
            const alert = {
              kind: 'tag-moved',
              recipe,
              message: error.message,
              run: run.workflow.id,
            } as const;
            await deps.alerts.raise(alert, deps.now());
          }
          throw error;
        }
      });
    },
  };
}
