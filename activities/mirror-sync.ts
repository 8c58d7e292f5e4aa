import { Fault } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import type { RunRef } from '../domain/run.ts';
import type { Moved } from '../host/git/mirrors.ts';
import { inAttempt } from './attempt.ts';
import type { World } from './world.ts';

export function mirrorSync(world: World) {
  return {
    /**
     * Makes the mirror equal to upstream. Throws TagMoved (with an alert on disk) and leaves the mirror as it
     * is when a release's tag has another commit than the ledger knows; MirrorSync for whatever else went wrong. Other
     * tags that moved are notes for the result.
     */
    async mirrorSync({
      recipe,
      run,
    }: {
      recipe: string;
      run: RunRef | null;
    }): Promise<{ main: string; changed: boolean; notes?: string[] }> {
      return inAttempt(world, async (attempt) => {
        const { upstream } = await world.recipes.one(recipe);
        attempt.report(`syncing the mirror of ${recipe}`);
        try {
          const { main, changed, moved } = await world.mirrorsFor(attempt.run).sync(recipe, upstream);
          return { main, changed, notes: movedNotes(moved) };
        } catch (error) {
          if (run && error instanceof Fault && error.type === 'TagMoved') {
            const alert = {
              kind: 'tag-moved',
              recipe,
              message: error.message,
              run: run.workflow.id,
            } as const;
            await world.alerts.raise(alert, world.now());
          }
          throw error;
        }
      });
    },
  };
}

const TAGS_NAMED = 5;

function movedNotes(moved: readonly Moved[]): string[] {
  const more = moved.length > TAGS_NAMED ? [`and ${moved.length - TAGS_NAMED} more tags that moved`] : [];
  const named = moved
    .slice(0, TAGS_NAMED)
    .map(({ tag, from, commit }) =>
      quotableLine(`tag ${JSON.stringify(tag)}, no release's, moved upstream from ${from} to ${commit}`),
    );
  return [...named, ...more];
}
