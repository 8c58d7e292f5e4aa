import { knownUse, needOf } from '../domain/disk.ts';
import { Fault } from '../domain/fault.ts';
import type { Found } from '../domain/run.ts';
import { lackFor } from '../host/recipe-tools.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { knownBeside } from '../host/room.ts';
import { inAttempt } from './attempt.ts';
import { dependenciesOf } from './dependencies.ts';
import type { World } from './world.ts';

export function resolve(world: World) {
  return {
    /** Looks at this host: the canonical's record, whether the recipe is held, what it needs, and what of that is not here. Throws Fault BadInput for an exception. */
    async resolve({ recipe }: { recipe: string }): Promise<Found> {
      return inAttempt(world, async (attempt) => {
        const [canonical, { hold, exception }, needed, lack] = await Promise.all([
          world.canonicals.read(recipe),
          world.recipes.one(recipe),
          dependenciesOf(world, recipe),
          lackFor(world.recipes, recipe, world.config.path),
        ]);
        if (exception !== null)
          throw new Fault('BadInput', `${recipe} is not enrolled, it is an exception: ${exception}`);
        // Of a canonical from before commits were kept, or one whose copy was lost.
        if (canonical) await world.mirrorsFor(attempt.commands).keep(recipe, canonical.commit);
        const own = canonical && knownUse(canonical);
        const disk = own && needOf(own, await knownBeside(world, needed));
        passBoundary('resolve.after-look');
        return {
          canonical: canonical && { version: canonical.version, commit: canonical.commit },
          dataDropped: canonical?.dropped ?? null,
          hold,
          disk,
          deps: needed,
          ...(lack === null ? {} : { lack }),
        };
      });
    },
  };
}
