import { mkdir } from 'node:fs/promises';
import type { StackRef } from '../../domain/lifetime.ts';
import { passBoundary } from '../machine/boundary.ts';
import { freeBytes } from '../machine/headroom.ts';
import type { Stacks } from '../deploy/stacks.ts';
import type { Volume } from '../engine/volumes.ts';
import type { SnapshotManifest, SnapshotRef, Snapshots } from './snapshots.ts';

/** What a stack's volumes take on the disk, in bytes, and why a snapshot of them would not fit; null when it would. */
export interface RoomForSnapshot {
  bytes: number;
  tight: string | null;
}

/** The data of a stopped stack, and its snapshots in a folder. */
export interface StackData {
  /** What of the stack a snapshot can hold: what is kept elsewhere is not in the folder that is packed. */
  volumes(stack: string): Promise<Volume[]>;
  /** Whether a snapshot would fit on the folder's disk. */
  roomFor(folder: string, stack: string): Promise<RoomForSnapshot>;
  snapshot(folder: string, id: string, recipe: string, stack: string): Promise<SnapshotRef>;
  /** Makes the stack's volumes, and the names of its secrets, exactly those of a verified snapshot. */
  putBack(folder: string, manifest: SnapshotManifest, stack: StackRef): Promise<void>;
}

export interface StackDataSettings {
  headroom: number;
  snapshots: Snapshots;
  stacks: Pick<Stacks, 'volumes' | 'secrets' | 'trim' | 'ensureVolume'>;
  /** Throws when this attempt no longer holds the host. */
  guard(): Promise<void>;
}

export function createStackData({ headroom, snapshots, stacks, guard }: StackDataSettings): StackData {
  async function volumes(stack: string): Promise<Volume[]> {
    return (await stacks.volumes(stack)).filter(({ elsewhere }) => elsewhere !== true);
  }

  return {
    volumes,
    async roomFor(folder, stack) {
      await mkdir(folder, { recursive: true });
      const bytes = await snapshots.sizeOf(await volumes(stack));
      const free = await freeBytes(folder);
      const fits = free === null || free - bytes >= headroom;
      const tight = fits
        ? null
        : `${folder}: a snapshot of ${bytes} bytes would leave less than the headroom of ${headroom} bytes of ${free} free; free some space, or do without the data of a canonical: recipe-sweep canonical drop-data <recipe>`;
      return { bytes, tight };
    },
    async snapshot(folder, id, recipe, stack) {
      const packed = await volumes(stack);
      await guard();
      return snapshots.take(folder, id, recipe, packed, await stacks.secrets(stack));
    },
    async putBack(folder, manifest, stack) {
      const names = manifest.volumes.map(({ name }) => name);
      await stacks.trim(stack, { volumes: names, secrets: manifest.secrets });
      passBoundary('settle.after-trim');
      const into = [];
      for (const name of names) into.push(await stacks.ensureVolume(stack, manifest.recipe, name));
      await guard();
      passBoundary('settle.after-volumes');
      await snapshots.unpack(folder, manifest, into);
      passBoundary('settle.after-restore');
    },
  };
}
