import { Fault } from '../domain/fault.ts';
import type { Found } from '../domain/run.ts';
import { withoutPreReleases } from '../domain/version.ts';
import { passBoundary } from '../host/boundary.ts';
import { inAttempt } from './attempt.ts';
import { dependenciesOf } from './dependencies.ts';
import type { Dependencies } from './index.ts';

export function resolve(deps: Dependencies) {
  return {
    /** Looks: the releases on the mirror, the canonical's record, and whether the recipe is held. Throws Fault BadInput for an exception. */
    async resolve({ recipe }: { recipe: string }): Promise<Found> {
      return inAttempt(deps, async (attempt) => {
        const [{ main, releases }, canonical, { hold, exception, preReleases }, needed] = await Promise.all([
          deps.mirrorsFor(attempt.run).releases(recipe),
          deps.canonicals.read(recipe),
          deps.recipes.one(recipe),
          dependenciesOf(deps, recipe),
        ]);
        if (exception !== null)
          throw new Fault('BadInput', `${recipe} is not enrolled, it is an exception: ${exception}`);
        // Of a canonical from before commits were kept, or one whose copy was lost.
        if (canonical) await deps.mirrorsFor(attempt.run).keep(recipe, canonical.commit);
        passBoundary('resolve.after-look');
        return {
          main,
          releases: preReleases ? releases : withoutPreReleases(releases),
          canonical: canonical && { version: canonical.version, commit: canonical.commit },
          hold,
          deps: needed,
        };
      });
    },
  };
}
