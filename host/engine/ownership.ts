import { LABEL } from '../../domain/labels.ts';
import { STACK_LABEL } from './stack-label.ts';
import type { Labelled, Things } from './things.ts';

/** Whose a thing on the engine is, by its labels alone. */

/** A stack that carries our labels, whatever of it still exists. */
export interface OwnedStack {
  stack: string;
  recipe: string;
  /** Null when its labels do not say, or say what this version does not know. Only what is `cold` is removable. */
  lifetime: 'cold' | 'warm' | null;
  /** Containers or services exist: it is not merely retained data. */
  running: boolean;
}

/** The zones of other installations that something on this engine belongs to. */
export async function otherZones(things: Pick<Things, 'labelled'>, zone: string): Promise<string[]> {
  const zones = (await things.labelled(LABEL.zone)).map(({ labels }) => labels[LABEL.zone] ?? '');
  return [...new Set(zones)].filter((other) => other !== zone).sort();
}

/** The stacks that these things are of. */
export function stacksOf(things: readonly Labelled[]): OwnedStack[] {
  const stacks = new Map<string, Labelled[]>();
  for (const thing of things) {
    const stack = thing.labels[STACK_LABEL];
    if (stack !== undefined) stacks.set(stack, [...(stacks.get(stack) ?? []), thing]);
  }
  return [...stacks]
    .map(([stack, its]): OwnedStack => ({
      stack,
      recipe: its[0]?.labels[LABEL.recipe] ?? '',
      lifetime: lifetimeOf(its),
      running: its.some(({ kind }) => kind === 'service' || kind === 'container'),
    }))
    .sort((a, b) => (a.stack < b.stack ? -1 : 1));
}

/** Known only when all of a stack says the same: a word of a later version, or none, is no leave to remove it. */
function lifetimeOf(things: readonly Labelled[]): OwnedStack['lifetime'] {
  const [said, ...others] = new Set(things.map(({ labels }) => labels[LABEL.lifetime]));
  return others.length === 0 && (said === 'cold' || said === 'warm') ? said : null;
}
