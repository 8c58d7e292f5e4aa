import { Fault } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import { parseLifetime, type Lifetime, type StackRef } from '../../domain/lifetime.ts';
import { STACK_LABEL } from './stack-label.ts';
import type { Labelled, Things } from './things.ts';

/** Whose a thing on the engine is, by its labels alone. */

/** A stack that carries our labels, whatever of it still exists. */
export interface OwnedStack {
  stack: string;
  recipe: string;
  /** Null when its labels do not say, or say what this version does not know. Only what is `cold` is removable. */
  lifetime: Lifetime | null;
  /** Containers or services exist: it is not merely retained data. */
  running: boolean;
}

/** What a reconcile may change, and nobody else: the stack of its one service. */
export interface ReconciledStack {
  stack: string;
  /** It was adopted: what carries no zone's label there, since somebody else deployed it, is the service's as well. */
  adopted: boolean;
}

/**
 * The one guard of all that changes a stack, or what is kept of it; `things` are all of it. Throws Fault NotOurs, naming
 * what stands in the way, unless each carries our zone's label and the very lifetime that it is taken for: nothing of
 * the stack may be touched then. A live service is refused to everybody but its own reconcile. But a network that has no
 * label beside the stack's, in a stack of which other things carry ours, is one that `docker stack deploy` made for us
 * without being told to.
 */
export function checkOurs(
  things: readonly Labelled[],
  zone: string,
  { stack, lifetime }: StackRef,
  reconciled: ReconciledStack | null = null,
): void {
  const isReconciled = lifetime === 'live' && reconciled?.stack === stack;
  const isAdopted = ({ labels }: Labelled): boolean =>
    isReconciled && reconciled.adopted && labels[LABEL.zone] === undefined;
  const isOurs = ({ labels }: Labelled): boolean => labels[LABEL.zone] === zone;
  const someAreOurs = things.some(isOurs);
  const foreign = things.find(
    (thing) => !isOurs(thing) && !isAdopted(thing) && !(someAreOurs && madeByDocker(stack, thing)),
  );
  const refuse = (why: string): Fault => new Fault('NotOurs', `${why}; nothing of the stack is touched`);
  if (foreign) {
    const what = `${foreign.kind} ${foreign.name} of stack ${stack}`;
    throw refuse(`${what} lacks the label ${LABEL.zone}=${zone}: it is not ours`);
  }
  const ours = things.filter(isOurs);
  const isLive = ours.some(({ labels }) => parseLifetime(labels[LABEL.lifetime]) === 'live');
  if (!isReconciled && (lifetime === 'live' || isLive)) {
    throw refuse(`stack ${stack} is a live service, which nothing but its own reconcile changes`);
  }
  const other = ours.find(({ labels }) => labels[LABEL.lifetime] !== lifetime);
  if (other === undefined) return;
  const said = other.labels[LABEL.lifetime];
  const says = said === undefined ? 'does not say how long it lives' : `says ${LABEL.lifetime}=${said}`;
  throw refuse(`${other.kind} ${other.name} of stack ${stack} ${says}, and is taken for ${lifetime}`);
}

/** What a stack deployment makes by itself is called after the stack, and has the stack's label alone. */
export function madeByDocker(stack: string, { kind, name, labels }: Labelled): boolean {
  const plain = Object.keys(labels).join() === STACK_LABEL;
  return kind === 'network' && plain && name.startsWith(`${stack}_`);
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

/** Known only when all of a stack says the same. */
function lifetimeOf(things: readonly Labelled[]): OwnedStack['lifetime'] {
  const [said, ...others] = new Set(things.map(({ labels }) => labels[LABEL.lifetime]));
  return others.length === 0 ? parseLifetime(said) : null;
}
