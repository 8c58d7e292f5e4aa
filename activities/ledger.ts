import { Fault } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { inAttempt } from './attempt.ts';
import type { World } from './world.ts';

export function ledger(world: World) {
  /** Throws Fault BadInput for a recipe that no sweep has to do with. */
  async function upstreamOf(recipe: string): Promise<string> {
    const all = await world.recipes.all();
    const found = all.find((one) => one.recipe === recipe);
    if (found === undefined) {
      throw new Fault('BadInput', `${recipe} is not enrolled: it has no folder in ${world.config.recipes}`);
    }
    const { upstream, exception } = await world.recipes.one(recipe);
    if (exception === null) return upstream;
    const others = all.filter((one) => one.recipe !== recipe && one.problem === null);
    const settings = await Promise.all(others.map((one) => world.recipes.one(one.recipe)));
    // A tag of what runs beside others stops them just as well.
    if (settings.some(({ deps: needed }) => needed.includes(recipe))) return upstream;
    throw new Fault('BadInput', `${recipe} is not enrolled, it is an exception: ${exception}`);
  }

  return {
    /**
     * Records that a release's tag, which moved, is to be where upstream has it now. Takes the recipe's turn at its
     * repositories and ledger, and not the host: a run that tests the commit before finds out when it would promote.
     * Answers from where to where, and what is proven. Throws Fault BadInput when there is nothing to accept.
     */
    async acceptTag(asked: {
      recipe: string;
      tag: string;
      by: string;
      reason: string;
      atMs: number;
    }): Promise<string> {
      return inAttempt(world, async (attempt) => {
        const { recipe, tag, by, reason, atMs } = asked;
        const upstream = await upstreamOf(recipe);
        attempt.report(`looking where upstream has ${tag}`);
        const { from, commit } = await world.mirrorsFor(attempt.commands).accept(recipe, upstream, {
          tag,
          by: quotableLine(by),
          reason: quotableLine(reason),
          ts: new Date(atMs).toISOString(),
        });
        const lines = [
          `${recipe}: tag ${tag} is accepted where it is now`,
          `  was  ${from}`,
          `  is   ${commit}`,
          'The next sweep goes on with it. If it moves again before, it is refused again.',
        ];
        // One that cannot be read stops its recipe, and says so there.
        const canonical = await world.canonicals.read(recipe).catch(() => null);
        return [...lines, ...proven(canonical, tag, commit)].join('\n');
      });
    },
  };
}

function proven(canonical: CanonicalRecord | null, tag: string, commit: string): string[] {
  if (canonical?.version !== tag || canonical.commit === commit) return [];
  return [
    `The canonical was proven at ${canonical.commit}, and stays that until a newer release is; no sweep tests ${tag} again. To have it tested where it is now, give the canonical up: recipe-sweep canonical forget ${canonical.recipe}`,
  ];
}
