import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import {
  noneIfMissing,
  newerSchema,
  syncFile,
  syncFolder,
  tryJson,
  writeJson,
} from '../machine/durable-file.ts';
import { runOnDisk } from '../machine/disk-command.ts';
import { differenceFrom, sumOf, sumWhile } from '../machine/file-sum.ts';
import type { ProcessRunner } from '../machine/process.ts';
import type { Volume } from '../engine/volumes.ts';

/**
 * Snapshots of a stack's volumes: one tar each and a manifest of their sums, written beside
 * (`<id>.partial`) and swapped in. Volumes must not be in use. Needs root, to read the engine's volumes
 * and to keep owners, modes, xattrs and ACLs as they are.
 */

const manifestSchema = z.strictObject({
  schema: z.literal(1),
  id: z.string(),
  recipe: z.string(),
  volumes: z.array(
    z.strictObject({
      name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
      sha256: z.string(),
      bytes: z.number().int().nonnegative(),
    }),
  ),
  /** The names (never the values) of the secrets that belong to this data. */
  secrets: z.array(z.string()),
});

export type SnapshotManifest = z.output<typeof manifestSchema>;

/** How a record names its snapshot. */
export interface SnapshotRef {
  id: string;
  sha256: string;
  bytes: number;
}

export interface Snapshots {
  /** Takes one. An unfinished or unreferenced snapshot of the same id is replaced. */
  take(
    folder: string,
    id: string,
    recipe: string,
    volumes: readonly Volume[],
    secrets: readonly string[],
  ): Promise<SnapshotRef>;
  /** Reads everything once and compares all sums. Throws Fault RecordUnreadable on any difference. */
  verify(folder: string, ref: SnapshotRef): Promise<SnapshotManifest>;
  /** What a snapshot holds, from its manifest alone. Throws Fault RecordUnreadable. */
  manifest(folder: string, ref: SnapshotRef): Promise<SnapshotManifest>;
  /** About how many bytes a snapshot of these volumes takes. */
  sizeOf(volumes: readonly Volume[]): Promise<number>;
  /** Replaces what the volumes hold by what the (verified) snapshot holds. */
  unpack(folder: string, manifest: SnapshotManifest, volumes: readonly Volume[]): Promise<void>;
  /** Removes every snapshot but the one to keep. */
  prune(folder: string, keep: string | null): Promise<void>;
}

const FAITHFUL = ['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*'] as const;

/** GNU tar; sparse files stay sparse, and a file that changes meanwhile is an error. */
export function packArguments(folder: string, tar: string, what = '.'): string[] {
  return ['--create', '--sparse', ...FAITHFUL, `--file=${tar}`, `--directory=${folder}`, what];
}

export function unpackArguments(tar: string, folder: string): string[] {
  return [
    '--extract',
    '--same-owner',
    '--same-permissions',
    ...FAITHFUL,
    `--file=${tar}`,
    `--directory=${folder}`,
  ];
}

/** Everything in a folder, but not the folder. */
export function wipeArguments(folder: string): string[] {
  return [folder, '-mindepth', '1', '-xdev', '-delete'];
}

export function createSnapshots(commands: ProcessRunner): Snapshots {
  async function tar(args: string[]): Promise<void> {
    await runOnDisk(commands, { file: 'tar', args });
  }

  return {
    async take(folder, id, recipe, volumes, secrets) {
      const target = path.join(folder, id);
      const partial = `${target}.partial`;
      await rm(partial, { recursive: true, force: true });
      await rm(target, { recursive: true, force: true });
      await mkdir(partial, { recursive: true });
      const entries: SnapshotManifest['volumes'] = [];
      for (const { name, mountpoint } of volumes) {
        const file = path.join(partial, `${name}.tar`);
        // tar opens this very file, so that it can be followed from its first byte.
        await writeFile(file, '');
        const sum = await sumWhile(tar(packArguments(mountpoint, file)), file);
        await syncFile(file);
        entries.push({ name, ...sum });
        passBoundary('promote.mid-snapshot');
      }
      const manifest: SnapshotManifest = { schema: 1, id, recipe, volumes: entries, secrets: [...secrets] };
      const manifestFile = path.join(partial, 'manifest.json');
      await writeJson(manifestFile, manifest);
      const { sha256, bytes } = await sumOf(manifestFile);
      passBoundary('promote.before-swap');
      await rename(partial, target);
      await syncFolder(folder);
      return { id, sha256, bytes: entries.reduce((sum, entry) => sum + entry.bytes, bytes) };
    },

    manifest: readManifest,

    async sizeOf(volumes) {
      if (volumes.length === 0) return 0;
      const folders = volumes.map(({ mountpoint }) => mountpoint);
      const options = ['--summarize', '--total', '--block-size=1', '--one-file-system'];
      const { stdout } = await runOnDisk(commands, { file: 'du', args: [...options, '--', ...folders] });
      return Number.parseInt(stdout.trimEnd().split('\n').at(-1) ?? '', 10);
    },

    async verify(folder, ref) {
      const manifest = await readManifest(folder, ref);
      for (const entry of manifest.volumes) {
        const why = await differenceFrom(entry, path.join(folder, ref.id, `${entry.name}.tar`));
        if (why !== null) throw damaged(folder, ref, why);
      }
      return manifest;
    },

    async unpack(folder, manifest, volumes) {
      const mountpoints = new Map(volumes.map(({ name, mountpoint }) => [name, mountpoint]));
      for (const entry of manifest.volumes) {
        const mountpoint = mountpoints.get(entry.name);
        if (mountpoint === undefined)
          throw new Fault('Daemon', `volume ${entry.name}: missing, cannot be restored into`);
        await runOnDisk(commands, { file: 'find', args: wipeArguments(mountpoint) });
        passBoundary('settle.mid-restore');
        await tar(unpackArguments(path.join(folder, manifest.id, `${entry.name}.tar`), mountpoint));
        // Whoever is told that it is restored may say so on disk; that must not come before the data.
        await runOnDisk(commands, { file: 'sync', args: ['--file-system', mountpoint] });
      }
    },

    async prune(folder, keep) {
      const names = await readdir(folder).catch(noneIfMissing);
      for (const name of names) {
        if (name !== keep) await rm(path.join(folder, name), { recursive: true, force: true });
      }
    },
  };
}

function damaged(folder: string, ref: SnapshotRef, why: string): Fault {
  return new Fault(
    'RecordUnreadable',
    `${path.join(folder, ref.id)}: the snapshot is not the one its record names: ${why}; put back a good copy`,
  );
}

async function readManifest(folder: string, ref: SnapshotRef): Promise<SnapshotManifest> {
  const text = await readFile(path.join(folder, ref.id, 'manifest.json'), 'utf8').catch((error: unknown) => {
    throw damaged(folder, ref, messageOf(error));
  });
  if (createHash('sha256').update(text).digest('hex') !== ref.sha256) {
    throw damaged(folder, ref, 'manifest.json has another sha256');
  }
  const written = tryJson(text);
  const manifest = manifestSchema.safeParse(written);
  if (manifest.success) return manifest.data;
  const file = path.join(folder, ref.id, 'manifest.json');
  throw (
    newerSchema(file, written, manifest.error) ?? damaged(folder, ref, 'manifest.json is of another version')
  );
}
