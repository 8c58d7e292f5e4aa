import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BackupPlan } from '../../domain/backup-plan.ts';
import { Fault } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import { DATA_MARKER } from './data-marker.ts';
import type { Volume } from '../engine/volumes.ts';
import { backupManifest, type ArchivedVolume, type BackupManifest } from './backup-manifest.ts';
import { wrongDumps } from './dump.ts';
import { locate, pack, putBack } from './volume-in-use.ts';
import { readJson, syncFolder, writeJson } from '../machine/durable-file.ts';
import { runOnDisk } from '../machine/disk-command.ts';
import { differenceFrom } from '../machine/file-sum.ts';
import { outside } from '../machine/inside-folder.ts';
import type { ProcessRunner } from '../machine/process.ts';
import { wipeArguments } from './snapshots.ts';

/**
 * The archive of a cold test: what the labels name of a stack's volumes, as one tar per volume or path, and a
 * manifest with their sums, in `<state>/backups/<stack>`. It is taken and put back while the app runs. Needs root.
 */

/** What came of taking one. */
export interface Taken {
  manifest: BackupManifest;
  /** What is not in it and should be; one line each. */
  missing: string[];
  /** What is worth knowing of how it was taken. */
  notes: string[];
}

export interface Backups {
  /**
   * Takes the archive, in place of what an earlier attempt left of one. `unmarked` are volumes that lack our mark;
   * `since` is when the hooks before it began.
   */
  take(
    stack: string,
    plan: BackupPlan,
    volumes: readonly Volume[],
    unmarked: readonly string[],
    since: Date,
  ): Promise<Taken>;
  /** Reads all of it once and compares all sums; null without one. Throws Fault RecordUnreadable. */
  verified(stack: string): Promise<BackupManifest | null>;
  /** Notes that a restore from the archive has begun. */
  begin(stack: string): Promise<void>;
  hasBegun(stack: string): Promise<boolean>;
  /** Removes all that the volumes of a stopped stack hold. */
  wipe(volumes: readonly Volume[]): Promise<void>;
  /**
   * Puts one volume back from the (verified) archive, over what is in it while the app runs. Answers what is in the
   * way of that, or null.
   */
  unpack(stack: string, archived: ArchivedVolume, volume: Volume): Promise<string | null>;
}

export interface BackupsSettings {
  state: string;
  commands: ProcessRunner;
  signal: AbortSignal;
  /** Awaited before each volume is changed. */
  guard(): Promise<void>;
  report(what: string): void;
}

function folderOf(state: string, stack: string): string {
  return path.join(state, 'backups', stack);
}

/** Removes the archive of a stack, whole or half. */
export async function removeBackup(state: string, stack: string): Promise<void> {
  const folder = folderOf(state, stack);
  for (const one of [folder, `${folder}.partial`]) await rm(one, { recursive: true, force: true });
}

/** Removes every archive. */
export async function removeBackups(state: string): Promise<void> {
  await rm(path.join(state, 'backups'), { recursive: true, force: true });
}

export function createBackups({ state, commands, signal, guard, report }: BackupsSettings): Backups {
  const begunFile = (stack: string): string => path.join(folderOf(state, stack), 'restore-has-begun');

  /** Whether a volume has any file that is not ours; what vanishes meanwhile is none. */
  async function holdsFiles({ mountpoint }: Volume): Promise<boolean> {
    const marker = path.join(mountpoint, DATA_MARKER);
    const args = [mountpoint, '-xdev', '-type', 'f', '-not', '-path', marker, '-print', '-quit'];
    return (await runOnDisk(commands, { file: 'find', args }, [0, 1])).stdout !== '';
  }

  return {
    async take(stack, plan, volumes, unmarked, since) {
      const folder = folderOf(state, stack);
      const partial = `${folder}.partial`;
      await removeBackup(state, stack);
      await mkdir(partial, { recursive: true, mode: 0o700 });
      const { beforeRestore, afterRestore } = plan.hooks;
      const hooks = { beforeRestore, afterRestore };
      const taken: Taken = {
        manifest: { schema: 1, stack, hooks, volumes: [] },
        missing: [],
        notes: [],
      };
      let count = 0;
      for (const planned of plan.volumes) {
        const { name } = planned;
        const volume = volumes.find((one) => one.name === name);
        if (volume === undefined) throw new Fault('Daemon', `volume ${name} was removed meanwhile`);
        report(`archiving volume ${name}`);
        const archives: ArchivedVolume['archives'] = [];
        for (const one of planned.paths ?? [null]) {
          const found = await locate(volume, one);
          if (found === null) {
            taken.missing.push(`volume ${name} has no ${one}, or only behind a link`);
            continue;
          }
          try {
            const file = `${count++}.tar`;
            const what = one === null ? '.' : `./${path.basename(one)}`;
            const packed = await pack(commands, outside(found.folder), what, path.join(partial, file));
            const { changed, ...entry } = packed;
            archives.push({ file, path: one, parents: found.parents, ...entry });
            if (changed !== null) taken.notes.push(`volume ${name} changed while it was read: ${changed}`);
            const wrong =
              one !== null && plan.hooks.beforeBackup.length > 0
                ? await wrongDumps(found.folder, one, since, signal)
                : [];
            taken.missing.push(...wrong.map((line) => `volume ${name}: ${line}`));
          } finally {
            await found.folder.close();
          }
          passBoundary('backup.mid-archive');
        }
        if (archives.every(({ files }) => files === 0) && (await holdsFiles(volume))) {
          taken.missing.push(`volume ${name} holds files, and none of them is in the archive`);
        }
        const marked = planned.paths === null && !unmarked.includes(name);
        taken.manifest.volumes.push({ name, marked, archives });
      }
      await writeJson(path.join(partial, 'manifest.json'), taken.manifest);
      await rename(partial, folder);
      await syncFolder(path.dirname(folder));
      return taken;
    },

    async verified(stack) {
      const folder = folderOf(state, stack);
      const manifest = await readJson(path.join(folder, 'manifest.json'), backupManifest);
      for (const entry of manifest?.volumes.flatMap(({ archives }) => archives) ?? []) {
        const tar = path.join(folder, entry.file);
        const why = await differenceFrom(entry, tar);
        if (why === null) continue;
        throw new Fault('RecordUnreadable', `${tar}: not what was archived: ${why}; sweep the recipe again`);
      }
      return manifest;
    },

    async begin(stack) {
      await writeFile(begunFile(stack), '');
    },

    async hasBegun(stack) {
      return existsSync(begunFile(stack));
    },

    async wipe(volumes) {
      for (const { name, mountpoint } of volumes) {
        await guard();
        report(`destroying what volume ${name} holds`);
        await runOnDisk(commands, { file: 'find', args: wipeArguments(mountpoint) });
      }
    },

    async unpack(stack, { name, archives }, { mountpoint }) {
      for (const { file, path: what, parents } of archives) {
        await guard();
        report(`restoring volume ${name}`);
        const tar = path.join(folderOf(state, stack), file);
        if (!(await putBack(commands, tar, { mountpoint, parents, whole: what === null }))) {
          return `volume ${name}: ${what} cannot be put back, since a folder above it is a file or a link now`;
        }
      }
      return null;
    },
  };
}
