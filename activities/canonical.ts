import { Fault } from '../domain/fault.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import { STACK_LABEL } from '../host/engine/stack-label.ts';
import { endAlert } from './alerts.ts';
import { holdingHost } from './attempt.ts';
import type { World } from './world.ts';

/** What an operator does about a canonical by hand, holding the host as a sweep does. */
export interface CanonicalInput {
  recipe: string;
  holder: Holder;
}

export function canonical(world: World) {
  return {
    /**
     * Gives the canonical up: its record goes, and then its volumes, secrets and snapshot; its history is kept beside.
     * What lives in another zone stays, and is named.
     * The next sweep begins anew. Answers what was done in one sentence. Throws Fault BadInput when there is nothing
     * to give up.
     */
    async forgetCanonical({ recipe, holder }: CanonicalInput): Promise<string> {
      return holdingHost(world, [holder], `forget the canonical of ${recipe}`, async ({ warm, commands }) => {
        const nothing =
          !(await world.canonicals.isAttached(recipe)) &&
          (await world.canonicals.read(recipe).catch(unreadable)) === null;
        if (nothing) throw new Fault('BadInput', `${recipe} has no canonical, and nothing of one`);
        const written = await world.canonicals.writtenDomain(recipe);
        await world.canonicals.forget(recipe, holder.workflowId, world.now());
        await warm.settle(recipe);
        await endAlert(world, 'canonical-unreadable', { is: 'recipe', name: recipe });
        await world.mirrorsFor(commands).keepOnly(recipe, null);
        const kept = `its history is kept as canonicals/${recipe}/history-….jsonl; the next sweep begins anew`;
        if (written === null || written === warmDomain(recipe, world.config.zone)) {
          return `${recipe} has no canonical any more: its volumes, secrets and snapshot are gone, ${kept}`;
        }
        const label = `label=${STACK_LABEL}=${stackName(written)}`;
        return `${recipe} has no canonical any more: its snapshot is gone, ${kept}. Its volumes and secrets at ${written} are of another zone, and stay: docker volume ls --filter ${label}; docker secret ls --filter ${label}`;
      });
    },

    /**
     * Writes a lost or damaged record anew from the history's last line, once its snapshot is whole, and puts the data
     * to what it says. Throws Fault RecordUnreadable when the history or the snapshot does not do, BadInput when the
     * record can be read.
     */
    async rebuildCanonical({ recipe, holder }: CanonicalInput): Promise<string> {
      return holdingHost(
        world,
        [holder],
        `rebuild the canonical of ${recipe}`,
        async ({ warm, snapshots, guard }) => {
          const readable = await world.canonicals.read(recipe).catch(unreadable);
          if (readable === null)
            throw new Fault('BadInput', `${recipe} has no canonical, and nothing of one`);
          if (readable !== 'unreadable') {
            throw new Fault('BadInput', `the record of ${recipe} can be read: it says ${readable.version}`);
          }
          const record = await world.canonicals.lastPromotion(recipe);
          await snapshots.verify(world.canonicals.snapshotsFolder(recipe), record.snapshot);
          await guard();
          await world.canonicals.write(record);
          await warm.settle(recipe);
          await endAlert(world, 'canonical-unreadable', { is: 'recipe', name: recipe });
          return `the canonical of ${recipe} is ${record.version}, as its history says; its snapshot ${record.snapshot.id} is whole`;
        },
      );
    },
  };
}

function unreadable(error: unknown): 'unreadable' {
  if (error instanceof Fault && error.type === 'RecordUnreadable') return 'unreadable';
  throw error;
}
