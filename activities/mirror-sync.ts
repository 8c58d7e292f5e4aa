import { Fault } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import { withoutPreReleases } from '../domain/release.ts';
import { runName, type Published, type RunRef } from '../domain/run.ts';
import type { Moved } from '../host/git/ledger.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import { inAttempt, type Attempt } from './attempt.ts';
import type { World } from './world.ts';

/**
 * Brings a recipe's mirror to what upstream has, for a run, and answers that. Throws TagMoved and leaves the mirror as it
 * is when a release's tag has another commit than the ledger knows, which is an alert until the next sync that succeeds;
 * MirrorSync for whatever else went wrong. Without a run it does the same, and raises no alert.
 */
export async function syncMirror(
  world: World,
  attempt: Attempt,
  recipe: string,
  run: RunRef | null,
): Promise<Published> {
  const { upstream, preReleases } = await world.recipes.one(recipe);
  attempt.report(`syncing the mirror of ${recipe}`);
  const mirrors = world.mirrorsFor(attempt.commands);
  const subject = { is: 'recipe', name: recipe } as const;
  try {
    const { main, releases, moved } = await mirrors.sync(recipe, upstream);
    await endAlert(world, 'tag-moved', subject);
    return {
      main,
      releases: preReleases ? releases : withoutPreReleases(releases),
      notes: movedNotes(moved),
    };
  } catch (error) {
    if (run && error instanceof Fault && error.type === 'TagMoved') {
      const alert = { kind: 'tag-moved', subject, message: error.message, evidence: null } as const;
      await raiseAlert(world, { ...alert, run: runName(run) });
    }
    throw error;
  }
}

export function mirrorSync(world: World) {
  return {
    /** Makes the mirror equal to upstream, and answers what upstream has. */
    async mirrorSync({ recipe, run }: { recipe: string; run: RunRef | null }): Promise<Published> {
      return inAttempt(world, (attempt) => syncMirror(world, attempt, recipe, run));
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
