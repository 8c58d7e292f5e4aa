import { Fault } from '../domain/fault.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { STACK_LABEL } from '../host/engine/stack-label.ts';
import { endAlert } from './alerts.ts';
import { holdingHost } from './attempt.ts';
import type { World } from './world.ts';

/** What an operator does about a canonical by hand, holding the host as a sweep does. */
export interface CanonicalInput {
  recipe: string;
  holder: Holder;
}

/** What is known of a canonical before it is changed, and no more once it is. */
export interface CanonicalFound {
  /** Where its data lives, as its record or its history says; null when neither does. */
  domain: string | null;
}

export function canonical(world: World) {
  async function recordOf(recipe: string): Promise<CanonicalRecord> {
    const record = await world.canonicals.read(recipe);
    if (record === null) throw new Fault('BadInput', `${recipe} has no canonical`);
    return record;
  }

  return {
    /**
     * Looks, before anything is changed, whether there is something to change: a step of its own, since the change may be
     * tried again when it is half done. Throws Fault BadInput when there is nothing to give up, or the record that is to be
     * written anew can be read; RecordUnreadable when nobody knows what data a canonical has.
     */
    async canonicalToChange({
      recipe,
      change,
      holder,
    }: CanonicalInput & { change: 'forget' | 'rebuild' | 'drop-data' }): Promise<CanonicalFound> {
      return holdingHost(world, [holder], `look at the canonical of ${recipe}`, async () => {
        if (change === 'drop-data') {
          const { dropped, version, domain } = await recordOf(recipe);
          if (dropped !== null && !(await world.canonicals.isAttached(recipe)))
            throw new Fault(
              'BadInput',
              `the data of ${recipe} ${version} was dropped already, on ${dropped}`,
            );
          return { domain };
        }
        const record = await world.canonicals.read(recipe).catch(unreadable);
        if (change === 'rebuild' && record !== null && record !== 'unreadable') {
          throw new Fault('BadInput', `the record of ${recipe} can be read: it says ${record.version}`);
        }
        const attached = change === 'forget' && (await world.canonicals.isAttached(recipe));
        if (record === null && !attached) {
          throw new Fault('BadInput', `${recipe} has no canonical, and nothing of one`);
        }
        return { domain: await world.canonicals.writtenDomain(recipe) };
      });
    },

    /**
     * Gives the canonical up: its record goes, and then its volumes, secrets and snapshot; its history is kept beside.
     * What lives in another zone stays, and is named. The next sweep begins anew. Answers what was done in one sentence.
     */
    async forgetCanonical({ recipe, holder, domain }: CanonicalInput & CanonicalFound): Promise<string> {
      return holdingHost(
        world,
        [holder],
        `forget the canonical of ${recipe}`,
        async ({ warm, commands, guard }) => {
          await guard();
          await world.canonicals.forget(recipe, holder.workflowId, world.now());
          await warm.settle(recipe);
          await endAlert(world, 'canonical-unreadable', { is: 'recipe', name: recipe });
          await world.mirrorsFor(commands).keepOnly(recipe, null);
          const kept = `its history is kept as canonicals/${recipe}/history-….jsonl; the next sweep begins anew`;
          if (domain === null || domain === warmDomain(recipe, world.config.zone)) {
            return `${recipe} has no canonical any more: its volumes, secrets and snapshot are gone, ${kept}`;
          }
          const label = `label=${STACK_LABEL}=${stackName(domain)}`;
          return `${recipe} has no canonical any more: its snapshot is gone, ${kept}. Its volumes and secrets at ${domain} are of another zone, and stay: docker volume ls --filter ${label}; docker secret ls --filter ${label}`;
        },
      );
    },

    /**
     * Gives the canonical's data up: its volumes, secrets and snapshot go, its record stays and says so. Answers what was
     * done in one sentence.
     */
    async dropData({ recipe, holder }: CanonicalInput): Promise<string> {
      return holdingHost(world, [holder], `drop the data of ${recipe}`, async ({ warm }) => {
        const record = await recordOf(recipe);
        // What an earlier attempt began is finished.
        if (record.dropped === null) await warm.drop(record, { run: holder.workflowId, why: BY_HAND });
        else await warm.settle(recipe);
        return `${recipe} ${record.version} is the canonical still, without data: its volumes, secrets and snapshot are gone. Until the next release is promoted, by a fresh install, pull requests are tested cold`;
      });
    },

    /**
     * Writes a lost or damaged record anew from the history's last line, once its snapshot is whole, and puts the data
     * to what it says. Throws Fault RecordUnreadable when the history or the snapshot does not do.
     */
    async rebuildCanonical({ recipe, holder }: CanonicalInput): Promise<string> {
      return holdingHost(
        world,
        [holder],
        `rebuild the canonical of ${recipe}`,
        async ({ warm, snapshots, guard }) => {
          const record = await world.canonicals.lastPromotion(recipe);
          const { snapshot, version } = record;
          if (snapshot) await snapshots.verify(world.canonicals.snapshotsFolder(recipe), snapshot);
          await guard();
          await world.canonicals.write(record);
          await warm.settle(recipe);
          await endAlert(world, 'canonical-unreadable', { is: 'recipe', name: recipe });
          const data = snapshot
            ? `its snapshot ${snapshot.id} is whole`
            : `its data was dropped on ${record.dropped}`;
          return `the canonical of ${recipe} is ${version}, as its history says; ${data}`;
        },
      );
    },
  };
}

/** Why data is gone that no want of room took. */
const BY_HAND = 'an operator gave it up';

function unreadable(error: unknown): 'unreadable' {
  if (error instanceof Fault && error.type === 'RecordUnreadable') return 'unreadable';
  throw error;
}
