import { stat } from 'node:fs/promises';
import Dockerode from 'dockerode';
import {
  knownUse,
  PLACES,
  type Disk,
  type Droppable,
  type KnownUse,
  type RoomQuestion,
} from '../domain/disk.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import type { Config } from './config/config.ts';
import { sizesOf } from './machine/headroom.ts';
import type { Recipes } from './recipes/recipes.ts';
import type { CanonicalRecord, Canonicals } from './store/canonicals.ts';
import type { Services } from './store/services.ts';

/** What is known of this host's room: the disks as they are now, and what records say of their bytes. */

/** The disks of the engine's folder and of the state folder, one where they are on one. What cannot be seen is left out. */
export async function lookAtDisks({ state, docker }: Pick<Config, 'state' | 'docker'>): Promise<Disk[]> {
  const disks = new Map<number, Disk>();
  const folders = { engine: await engineFolder(docker.socket), state };
  for (const place of PLACES) {
    const folder = folders[place];
    if (folder === null) continue;
    const [sizes, found] = await Promise.all([
      sizesOf(folder).catch(() => null),
      stat(folder).catch(() => null),
    ]);
    if (sizes === null || found === null) continue;
    const known = disks.get(found.dev);
    if (known === undefined) disks.set(found.dev, { places: [place], folder, ...sizes });
    else known.places.push(place);
  }
  return [...disks.values()];
}

/** Null when the engine does not say. */
async function engineFolder(socketPath: string): Promise<string | null> {
  const docker = new Dockerode({ socketPath, timeout: 10_000 });
  const info = (await docker.info().catch(() => null)) as { DockerRootDir?: string } | null;
  return info?.DockerRootDir ?? null;
}

export interface RoomRecords {
  canonicals: Pick<Canonicals, 'list' | 'read'>;
  recipes: Pick<Recipes, 'all' | 'one'>;
  services: Pick<Services, 'list'>;
}

/** What is known of recipes that are deployed beside another one: of live services there is no second one. */
export async function knownBeside(
  { canonicals, services }: Pick<RoomRecords, 'canonicals' | 'services'>,
  recipes: readonly string[],
): Promise<KnownUse[]> {
  const live = await services.list();
  const found: KnownUse[] = [];
  for (const recipe of recipes.filter((one) => !live.includes(one))) {
    const record = await canonicals.read(recipe).catch(() => null);
    const use = record && knownUse(record);
    if (use !== null) found.push(use);
  }
  return found;
}

/** A canonical whose data could go, with its record. */
export interface DroppableRecord extends Droppable {
  record: CanonicalRecord;
}

/**
 * What records say of the room that a sweep of these recipes takes, by default of all that are enrolled, and whose data
 * could go. Of what cannot be read nothing is known, and nothing goes.
 */
export async function knownRoom(
  { canonicals, recipes, services }: RoomRecords,
  wanted: readonly string[] | null,
): Promise<Omit<RoomQuestion<DroppableRecord>, 'disks' | 'headroom'>> {
  const all = await recipes.all();
  const settings = new Map<string, RecipeSettings>();
  for (const { recipe, problem } of all) {
    if (problem === null) settings.set(recipe, await recipes.one(recipe));
  }
  const live = new Set([
    ...all.filter((one) => one.live).map(({ recipe }) => recipe),
    ...(await services.list()),
  ]);
  const enrolled = all.filter(({ exception }) => exception === null).map(({ recipe }) => recipe);

  const known = new Map<string, Droppable>();
  const droppable: DroppableRecord[] = [];
  for (const recipe of await canonicals.list()) {
    const record = await canonicals.read(recipe).catch(() => null);
    const use = record && knownUse(record);
    if (record === null || use === null) continue;
    const one = { ...use, enrolled: enrolled.includes(recipe), ts: record.ts };
    known.set(recipe, one);
    if (!live.has(recipe)) droppable.push({ ...one, record });
  }
  // Of one that is held no run comes.
  const swept = (wanted ?? enrolled)
    .filter((recipe) => (settings.get(recipe)?.hold ?? null) === null)
    .map((recipe) => ({ recipe, beside: beside(recipe) }));
  return { swept, known, droppable };

  /** Whoever is deployed for its run, its dependencies' own included: of live services there is no second one. */
  function beside(recipe: string): string[] {
    const found = new Set<string>();
    const visit = (name: string): void => {
      for (const needed of settings.get(name)?.deps ?? []) {
        if (found.has(needed) || live.has(needed)) continue;
        found.add(needed);
        visit(needed);
      }
    };
    visit(recipe);
    found.delete(recipe);
    return [...found];
  }
}
