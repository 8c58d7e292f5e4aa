import { Fault } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import { withoutPreReleases } from '../domain/release.ts';
import { runName, type Published, type RunRef } from '../domain/run.ts';
import type { Moved } from '../host/git/ledger.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import { inAttempt, type Attempt } from './attempt.ts';
import { keepChanges } from './changes.ts';
import { mirrorIn, type MirrorOnForge } from './mirror-on-forge.ts';
import { closeMerged } from './pull-requests.ts';
import type { World } from './world.ts';

/**
 * Brings a recipe's mirror to what upstream has, for a run, and answers that. Throws TagMoved and leaves the mirror as it
 * is when a release's tag has another commit than the ledger knows, which is an alert until the next sync that succeeds;
 * MirrorSync for whatever else went wrong. Where the mirror is on the forge, makes one that is missing, and closes the
 * pull requests that are in main by now. Without a run it raises no alert, and closes nothing.
 */
export async function syncMirror(
  world: World,
  attempt: Attempt,
  recipe: string,
  run: RunRef | null,
): Promise<Published> {
  const { upstream, preReleases } = await world.recipes.one(recipe);
  const onForge = await mirrorIn(world, attempt.signal, recipe);
  attempt.report(`syncing the mirror of ${recipe}`);
  const mirrors = world.mirrorsFor(attempt.commands);
  const subject = { is: 'recipe', name: recipe } as const;
  try {
    if (onForge !== null) await ensureMirror(attempt, onForge);
    const { main, releases, moved } = await mirrors.sync(recipe, upstream);
    await endAlert(world, 'tag-moved', subject);
    const notes = movedNotes(moved);
    if (onForge !== null && run !== null) {
      attempt.report(`looking at the pull requests of ${recipe}`);
      const { forge, repository } = onForge;
      notes.push(...(await closeMerged(forge, mirrors, { recipe, repository, main })));
    }
    return { main, releases: preReleases ? releases : withoutPreReleases(releases), notes };
  } catch (error) {
    if (run && error instanceof Fault && error.type === 'TagMoved') {
      const alert = { kind: 'tag-moved', subject, message: error.message, evidence: null } as const;
      await raiseAlert(world, { ...alert, run: runName(run) });
    }
    throw error;
  }
}

/** A forge that is away is one that the mirror cannot be synced with. */
async function ensureMirror({ report }: Attempt, { forge, repository }: MirrorOnForge): Promise<void> {
  report(`looking for the mirror ${repository.owner}/${repository.name}`);
  const made = await forge.ensureRepository(repository).catch((error: unknown) => {
    if (!(error instanceof Fault && error.type === 'Forge')) throw error;
    throw new Fault('MirrorSync', error.message, { cause: error });
  });
  if (made === 'made') passBoundary('mirror-sync.after-make');
}

export function mirrorSync(world: World) {
  return {
    /** Makes the mirror equal to upstream, and answers what upstream has. */
    async mirrorSync({ recipe, run }: { recipe: string; run: RunRef | null }): Promise<Published> {
      return inAttempt(
        world,
        async (attempt) => {
          const published = await attempt.spend('mirrorSync', () => syncMirror(world, attempt, recipe, run));
          if (run?.asked.by === 'sweep') await keepChanges(world, attempt, run, published);
          return published;
        },
        run,
      );
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
