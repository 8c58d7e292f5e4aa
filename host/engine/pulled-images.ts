import path from 'node:path';
import type Dockerode from 'dockerode';
import { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';
import { engine, engineOrNull, engineStatus } from './daemon.ts';
import { readJson, writeJson } from '../machine/durable-file.ts';
import { digestOf, repositoryOf, shortName } from './image-name.ts';

/**
 * The images that we brought onto the engine, by the names that we brought there: `<state>/images.json`. A name that
 * was there before is somebody else's, and is never removed; nor is one that has another image by now.
 */
export interface PulledImages {
  /** Enters a name that is about to be pulled and that the engine does not have. */
  expect(name: string): Promise<void>;
  /** Enters those names of an image just pulled that are ours. `before` has every name of then, and its image's ID. */
  pulled(image: NamedImage, before: ReadonlyMap<string, string>): Promise<void>;
  /** Says of those that are ours that they are needed now. */
  needed(image: NamedImage): Promise<void>;
  /** Throws Fault RecordUnreadable. */
  list(): Promise<Map<string, PulledImage>>;
  forget(names: readonly string[]): Promise<void>;
}

/** An image as the engine knows it. */
export interface NamedImage {
  /** The engine's ID of it, which containers name. */
  id: string;
  /** As in `redis:7` and `redis@sha256:…`. */
  names: string[];
}

export interface PulledImage {
  /** The engine's ID of it; null when nobody saw the pull end. */
  id: string | null;
  /** When a deployment last needed it, ISO 8601, UTC. */
  needed: string;
}

const schema = z.strictObject({
  schema: z.literal(1),
  images: z.record(z.string(), z.strictObject({ id: z.string().nullable(), needed: z.iso.datetime() })),
});

/** Retention counts days. */
const WORTH_WRITING_MS = 60 * 60_000;

/** Several pulls of this process end at once. */
const writing = new Map<string, Promise<void>>();

export function createPulledImages(state: string, now: () => Date): PulledImages {
  const file = path.join(state, 'images.json');

  async function list(): Promise<Map<string, PulledImage>> {
    return new Map(Object.entries((await readJson(file, schema))?.images ?? {}));
  }

  async function change(edit: (images: Map<string, PulledImage>) => boolean): Promise<void> {
    const before = writing.get(file) ?? Promise.resolve();
    const written = before
      .catch(() => undefined)
      .then(async () => {
        const images = await list().catch((error: unknown) => {
          if (!(error instanceof Fault && error.type === 'RecordUnreadable')) throw error;
          return null;
        });
        // No deployment fails for it: what cannot be entered is never removed, and retention says so.
        if (images && edit(images)) await writeJson(file, { schema: 1, images: Object.fromEntries(images) });
      });
    writing.set(file, written);
    await written;
  }

  const entry = (id: string | null): PulledImage => ({ id, needed: now().toISOString() });

  return {
    list,
    async expect(name) {
      await change((images) => {
        images.set(name, entry(null));
        return true;
      });
    },
    async pulled({ id, names }, before) {
      await change((images) => {
        const halfway = names.filter((name) => before.has(name) && images.get(name)?.id === null);
        const isOurs = (name: string): boolean => {
          const [then, known] = [before.get(name), images.get(name)];
          if (then === undefined || halfway.includes(name)) return true;
          if (known !== undefined) return known.id === then;
          // The process that pulled it died before it could enter the digest.
          return digestOf(name) !== null && halfway.map(repositoryOf).includes(repositoryOf(name));
        };
        const ours = names.filter(isOurs);
        for (const name of names) images.delete(name);
        for (const name of ours) images.set(name, entry(id));
        return true;
      });
    },
    async needed({ id, names }) {
      await change((images) => {
        const stale = names.filter((name) => {
          const known = images.get(name);
          if (known === undefined || (known.id !== null && known.id !== id)) return false;
          return known.id === null || now().getTime() - Date.parse(known.needed) > WORTH_WRITING_MS;
        });
        for (const name of stale) images.set(name, entry(id));
        return stale.length > 0;
      });
    },
    async forget(names) {
      await change((images) => names.map((name) => images.delete(name)).some(Boolean));
    },
  };
}

export interface Removal {
  docker: Dockerode;
  /** Awaited before each removal. */
  guard(): Promise<void>;
  pulled: PulledImages;
}

/** Names that were removed, and why some were not that should have been. */
export interface RemovedImages {
  removed: string[];
  problems: string[];
}

/** Which images may go. */
export interface ImagePolicy {
  /** Those that no deployment has needed since. */
  before: Date;
  /** Of these records, and whatever else, that they stay. */
  digests: ReadonlySet<string>;
  /** While it answers true, the other ones too, whoever was needed longest ago first. */
  isShort(): Promise<boolean>;
}

/** Names that go at once. Nobody waits for hours until a sweep has opened; what is left goes when the next one does. */
const MOST_REMOVED = 500;

/**
 * Removes the names of images that we brought and that no deployment has needed since `before`, or longest ago while room
 * is short, but for those that a container or a service has, whoever's, that have a name which is not ours, or whose digest
 * is among `digests`. The engine itself keeps what is in use.
 */
export async function removeUnneededImages(
  { docker, guard, pulled }: Removal,
  { before, digests, isShort }: ImagePolicy,
): Promise<RemovedImages> {
  const known = await pulled.list();
  const lastNeeded = new Map<string, number>();
  for (const { id, needed } of known.values()) {
    if (id !== null) lastNeeded.set(id, Math.max(lastNeeded.get(id) ?? 0, Date.parse(needed)));
  }
  /** An image is needed when any of its names is. */
  const neededAt = ({ id, needed }: PulledImage): number => lastNeeded.get(id ?? '') ?? Date.parse(needed);
  const isOld = (entry: PulledImage): boolean => neededAt(entry) < before.getTime();
  /** Asked again once something went. */
  let short: Promise<boolean> | null = null;
  const used = await usedImages(docker);
  const gone: string[] = [];
  const result: RemovedImages = { removed: [], problems: [] };
  for (const [name, entry] of [...known].sort(([, a], [, b]) => neededAt(a) - neededAt(b))) {
    if (result.removed.length === MOST_REMOVED) break;
    const mayGo = isOld(entry) || (await (short ??= isShort()));
    if (!mayGo && entry.id !== null) continue;
    const image = await namedImage(docker, name);
    // What has the name by now is not what we brought; nor is what somebody brings after our own pull broke off.
    if (image === null || (entry.id !== null && entry.id !== image.id)) {
      gone.push(name);
      continue;
    }
    const isNeeded = digests.has(image.id) || image.names.some((one) => digests.has(digestOf(one) ?? ''));
    if (!mayGo || isNeeded || isUsed(used, image)) continue;
    // The last tag of a repository takes its digests with it, and an image goes with its last name.
    if (image.names.some((one) => !known.has(one))) continue;
    await guard();
    const problem = await removeName(docker, name);
    short = null;
    if (problem === null) result.removed.push(name);
    else if (problem !== IN_USE) result.problems.push(`image ${name} was not removed: ${problem}`);
  }
  await pulled.forget([...gone, ...result.removed]);
  return result;
}

/** IDs, digests and names of images that containers and services have. */
async function usedImages(docker: Dockerode): Promise<ReadonlySet<string>> {
  const [containers, services] = await engine('looking for the images in use', () =>
    Promise.all([docker.listContainers({ all: true }), docker.listServices()]),
  );
  const specs = services.flatMap((service) => {
    const { Spec, PreviousSpec } = service as { Spec?: ServiceSpec; PreviousSpec?: ServiceSpec };
    return [Spec, PreviousSpec].flatMap((spec) => spec?.TaskTemplate?.ContainerSpec?.Image ?? []);
  });
  const names = [...containers.map(({ Image }) => Image), ...specs];
  return new Set([
    ...containers.map(({ ImageID }) => ImageID),
    ...names.flatMap((name) => [shortName(name), digestOf(name) ?? '']),
  ]);
}

interface ServiceSpec {
  TaskTemplate?: { ContainerSpec?: { Image?: string } };
}

function isUsed(used: ReadonlySet<string>, { id, names }: NamedImage): boolean {
  return used.has(id) || names.some((name) => used.has(name) || used.has(digestOf(name) ?? '-'));
}

/** Null when the engine has none by this name. */
export async function namedImage(docker: Dockerode, name: string): Promise<NamedImage | null> {
  const found = await engineOrNull(`looking for image ${name}`, () => docker.getImage(name).inspect());
  return found && { id: found.Id, names: [...(found.RepoTags ?? []), ...(found.RepoDigests ?? [])] };
}

const IN_USE = 'in use';
const NOT_FOUND = 404;
const CONFLICT = 409;

/** Null when it is gone. Never by force: the engine knows best what still holds on to it. */
async function removeName(docker: Dockerode, name: string): Promise<string | null> {
  try {
    await docker.getImage(name).remove();
    return null;
  } catch (error) {
    if (engineStatus(error) === NOT_FOUND) return null;
    if (engineStatus(error) === CONFLICT) return IN_USE;
    if (error instanceof Fault) throw error;
    return messageOf(error);
  }
}
