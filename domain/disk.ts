import { formatBytes } from './bytes.ts';

/**
 * How much room a sweep needs, and whose data goes first where there is less. Pure, since what it answers is dropped.
 * All sizes are bytes.
 */

/** Where it is: images and volumes in the engine's folder; snapshots, archives and evidence in the state folder. */
export const PLACES = ['engine', 'state'] as const;
export type Place = (typeof PLACES)[number];

/** A disk as it was seen. Both places may be on one. */
export interface Disk {
  places: Place[];
  /** A folder on it. */
  folder: string;
  size: number;
  free: number;
}

/** What a canonical takes beside its snapshot, as it was seen when it was promoted. */
export interface DiskUse {
  /** Its volumes, as they lie on the disk. */
  volumes: number;
  /** Its images, unpacked. Layers that others have too count in full. */
  images: number;
}

/** What a canonical's record says of its bytes. */
export interface KnownUse {
  recipe: string;
  volumes: number;
  /** Null of a canonical whose images were not observed. */
  images: number | null;
  snapshot: number;
  hasData: boolean;
}

/** What of a record tells of bytes. */
interface Recorded {
  recipe: string;
  snapshot: { bytes: number } | null;
  disk: DiskUse | null;
}

/** Null where nothing is known. A snapshot is about as large as the volumes that are in it. */
export function knownUse({ recipe, snapshot, disk }: Recorded): KnownUse | null {
  const volumes = disk?.volumes ?? snapshot?.bytes;
  if (volumes === undefined) return null;
  return {
    recipe,
    volumes,
    images: disk?.images ?? null,
    snapshot: snapshot?.bytes ?? volumes,
    hasData: snapshot !== null,
  };
}

/** The most that is taken at once: in each place, and in both where they are on one disk. */
export interface Need {
  engine: number;
  state: number;
  together: number;
}

/** What is taken where the headroom alone is minded. */
export const NO_NEED: Need = { engine: 0, state: 0, together: 0 };

/** What a run of a recipe takes at once, beside what is there before it. `beside` deploy a data set of their own with it. */
export function needOf(own: KnownUse, beside: readonly KnownUse[]): Need {
  const images = own.images ?? 0;
  const dependencies = beside.reduce((sum, { volumes }) => sum + volumes, 0);
  const moments = [
    // The cold test: the release's images, a data set of its own, and the archive of its backup.
    { engine: images + own.volumes + dependencies, state: own.volumes },
    // Promote, once that is gone: a snapshot beside the last one; and volumes, where there is nothing to upgrade.
    { engine: images + (own.hasData ? 0 : own.volumes) + dependencies, state: own.snapshot },
  ];
  return {
    engine: Math.max(...moments.map(({ engine }) => engine)),
    state: Math.max(...moments.map(({ state }) => state)),
    together: Math.max(...moments.map(({ engine, state }) => engine + state)),
  };
}

/** A recipe that is to be swept. */
export interface SweptRecipe {
  recipe: string;
  /** Whoever is deployed for its run beside it. */
  beside: string[];
}

/** What a sweep takes at once, as far as that is known: what its largest recipe does, since it has one at a time. */
export interface Most extends Need {
  /** Who takes most; null where nothing is known of any. */
  largest: string | null;
  /** Recipes of which nothing is known. */
  unknown: string[];
}

export function mostOf(needs: readonly { recipe: string; need: Need | null }[]): Most {
  const most: Most = { ...NO_NEED, largest: null, unknown: [] };
  for (const { recipe, need } of needs) {
    if (need === null) {
      most.unknown.push(recipe);
      continue;
    }
    if (most.largest === null || need.together > most.together) most.largest = recipe;
    most.engine = Math.max(most.engine, need.engine);
    most.state = Math.max(most.state, need.state);
    most.together = Math.max(most.together, need.together);
  }
  return most;
}

/** The same of a sweep that is to come. */
export interface Estimate extends Most {
  /** Recipes of whose images nothing is known. */
  withoutImages: string[];
}

export function estimate(swept: readonly SweptRecipe[], known: ReadonlyMap<string, KnownUse>): Estimate {
  const needs = swept.map(({ recipe, beside }) => {
    const own = known.get(recipe);
    const need =
      own &&
      needOf(
        own,
        beside.flatMap((name) => known.get(name) ?? []),
      );
    return { recipe, need: need ?? null };
  });
  const withoutImages = swept.flatMap(({ recipe }) => (known.get(recipe)?.images === null ? [recipe] : []));
  return { ...mostOf(needs), withoutImages };
}

/** What must be free on a disk. */
export function wantedOn({ places }: Pick<Disk, 'places'>, headroom: number, need: Need): number {
  const [place] = places;
  if (place === undefined) return headroom;
  return headroom + (places.length > 1 ? need.together : need[place]);
}

/** Those with less free than is wanted. */
export function shortDisks(disks: readonly Disk[], headroom: number, need: Need): Disk[] {
  return disks.filter((disk) => disk.free < wantedOn(disk, headroom, need));
}

/** A canonical whose data could go. */
export interface Droppable extends KnownUse {
  /** Whether sweeps have it. */
  enrolled: boolean;
  /** When it was promoted, ISO 8601, UTC. */
  ts: string;
}

export interface RoomQuestion<One extends Droppable = Droppable> {
  disks: readonly Disk[];
  headroom: number;
  swept: readonly SweptRecipe[];
  known: ReadonlyMap<string, KnownUse>;
  /** Of no live service, and of none whose record cannot be read. */
  droppable: readonly One[];
}

export interface RoomPlan<One extends Droppable = Droppable> {
  /** Whose data goes, one after the other until there is room. */
  drop: One[];
  /** For what there is room then: the sweep's estimate, the headroom alone, or not even that. */
  reaches: 'estimate' | 'headroom' | 'neither';
}

/**
 * The rule by which canonicals' data goes where room is short. First that of recipes which are not enrolled any more,
 * since no sweep uses it. Then what frees most, so that the fewest lose theirs; of equal ones what was promoted longest
 * ago, then by name. As few as are needed for the estimate; where all together would not do, for the headroom alone; and
 * none where not even that can be reached, since nothing would be gained by it.
 */
export function dataToDrop<One extends Droppable>(question: RoomQuestion<One>): RoomPlan<One> {
  const forEstimate = fewest(question, true);
  if (forEstimate !== null) return { drop: forEstimate, reaches: 'estimate' };
  const forHeadroom = fewest(question, false);
  return forHeadroom === null ? { drop: [], reaches: 'neither' } : { drop: forHeadroom, reaches: 'headroom' };
}

/** Null when all of it would not do. */
function fewest<One extends Droppable>(
  { disks, headroom, swept, known, droppable }: RoomQuestion<One>,
  isForEstimate: boolean,
): One[] | null {
  // Whoever has no data any more is promoted by a fresh install, which takes more.
  const then = new Map(known);
  const freed = { engine: 0, state: 0 };
  const short = (): Disk[] => {
    const seen = disks.map((disk) => ({
      ...disk,
      free: disk.free + disk.places.reduce((sum, place) => sum + freed[place], 0),
    }));
    return shortDisks(seen, headroom, isForEstimate ? estimate(swept, then) : NO_NEED);
  };
  const places = new Set(short().flatMap((disk) => disk.places));
  const drop: One[] = [];
  for (const one of inOrder(droppable, places)) {
    if (short().length === 0) break;
    drop.push(one);
    freed.engine += one.volumes;
    freed.state += one.snapshot;
    then.set(one.recipe, { ...one, hasData: false });
  }
  return short().length === 0 ? drop : null;
}

/** Those that free anything where it is short, the first to go first. */
function inOrder<One extends Droppable>(droppable: readonly One[], places: ReadonlySet<Place>): One[] {
  const frees = ({ volumes, snapshot }: KnownUse): number =>
    (places.has('engine') ? volumes : 0) + (places.has('state') ? snapshot : 0);
  return droppable
    .filter((one) => one.hasData && frees(one) > 0)
    .sort(
      (a, b) =>
        Number(a.enrolled) - Number(b.enrolled) ||
        frees(b) - frees(a) ||
        Date.parse(a.ts) - Date.parse(b.ts) ||
        (a.recipe < b.recipe ? -1 : 1),
    );
}

/** Where room stands, and what the next sweep takes of it: part of a sweep's report. */
export interface DiskReport {
  headroom: number;
  /** Those that could be seen. */
  disks: Disk[];
  /** Of all that are enrolled, for the next sweep. */
  next: Estimate;
  /** Canonicals whose data this sweep dropped for want of room. */
  dropped: { recipe: string; version: string; why: string }[];
}

/** What a sweep takes, with the reasons, for people. */
export function mostText({ engine, state, together, largest, unknown }: Most): string {
  const blank = unknown.length === 0 ? [] : [`nothing is known of ${unknown.join(', ')}`];
  if (largest === null) return blank.join('');
  const parts = `images and the data of a cold test ${formatBytes(engine)}, its archive or a snapshot ${formatBytes(state)}`;
  const takes = `${largest} takes most at once, about ${formatBytes(together)} by what its canonical took: ${parts}`;
  return [takes, ...blank].join('; ');
}

export function estimateText(next: Estimate): string {
  const { withoutImages } = next;
  const blank =
    withoutImages.length === 0 ? [] : [`nothing is known of the images of ${withoutImages.join(', ')}`];
  return [mostText(next), ...blank].filter((part) => part !== '').join('; ');
}

/** What a disk has, and what is wanted there. */
export function diskText(disk: Disk, headroom: number, need: Need): string {
  const { folder, free, size } = disk;
  return `${formatBytes(free)} free of ${formatBytes(size)} at ${folder}, ${formatBytes(wantedOn(disk, headroom, need))} wanted for a sweep`;
}
