import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { BackupPlan } from '../../domain/backup-plan.ts';
import { Fault } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import { DATA_MARKER } from './data-marker.ts';
import type { Volume } from '../engine/swarm.ts';
import { lackOfDump } from './dump.ts';
import { readJson, syncFolder, writeJson } from '../machine/durable-file.ts';
import { runOnDisk } from '../machine/disk-command.ts';
import { differenceFrom, sumWhile } from '../machine/file-sum.ts';
import {
  has,
  inside,
  moveInto,
  openFileInside,
  openFolder,
  openInside,
  outside,
} from '../machine/inside-folder.ts';
import type { Finished, ProcessRunner } from '../machine/process.ts';
import { packArguments, unpackArguments, wipeArguments } from './snapshots.ts';

/**
 * The archive of a cold test: what the labels name of a stack's volumes, as one tar per volume or path, and a
 * manifest with their sums, in `<state>/backups/<stack>`. It is taken and put back while the app runs, so nothing
 * in a volume is taken for what it was a moment ago. Needs root.
 */

const hook = z.strictObject({ hook: z.string(), service: z.string(), command: z.string() });

const parent = z.strictObject({ name: z.string(), uid: z.number(), gid: z.number(), mode: z.number() });

const archive = z.strictObject({
  /** In the folder of the manifest. */
  file: z.string().regex(/^\d+\.tar$/),
  /** What of the volume; null for all of it. */
  path: z.string().nullable(),
  /** The folders that lead to it. */
  parents: z.array(parent),
  sha256: z.string(),
  bytes: z.number().int().nonnegative(),
  /** Regular files in it, our own mark not counted. */
  files: z.number().int().nonnegative(),
});

const manifestSchema = z.strictObject({
  schema: z.literal(1),
  stack: z.string(),
  hooks: z.strictObject({ beforeRestore: z.array(hook), afterRestore: z.array(hook) }),
  volumes: z.array(
    z.object({
      /** On the engine. */
      name: z.string(),
      /** Our mark was in it, and is in the archive. */
      marked: z.boolean(),
      archives: z.array(archive),
    }),
  ),
});

export type BackupManifest = z.output<typeof manifestSchema>;
export type ArchivedVolume = BackupManifest['volumes'][number];

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
  run: ProcessRunner;
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

/** tar's status when files changed while it read them. */
const CHANGED = 1;
/** What a file is called that a hook dumped a database into. */
const DUMP = /\.(sql|dump)(\.gz)?$/;
/** So many files of one folder are looked into. */
const MOST_DUMPS = 100;
/** Beside a volume's data, on the same disk and where no container sees it. */
const STAGING = 'recipe-sweep-restore';

export function createBackups({ state, run, signal, guard, report }: BackupsSettings): Backups {
  const begunFile = (stack: string): string => path.join(folderOf(state, stack), 'restore-has-begun');

  /** Packs something in a folder that may be in use. Answers how it was read, too, if that is worth knowing. */
  async function pack(folder: string, what: string, tar: string) {
    const listing = `${tar}.list`;
    const args = ['--verbose', '--verbose', `--index-file=${listing}`, ...packArguments(folder, tar, what)];
    for (let isLast = false; ; isLast = true) {
      // tar opens this very file, so that it can be followed from its first byte.
      await writeFile(tar, '');
      let finished: Finished | undefined;
      const writing = runOnDisk(run, { file: 'tar', args }, [0, CHANGED]).then(
        (ended) => void (finished = ended),
      );
      const sum = await sumWhile(writing, tar);
      const changed = finished?.status === CHANGED ? (finished.stderr.trim().split('\n')[0] ?? '') : null;
      if (changed !== null && !isLast) continue;
      const files = await filesIn(listing);
      await rm(listing);
      return { ...sum, files, changed };
    }
  }

  /** Whether a volume has any file that is not ours; what vanishes meanwhile is none. */
  async function holdsFiles({ mountpoint }: Volume): Promise<boolean> {
    const marker = path.join(mountpoint, DATA_MARKER);
    const args = [mountpoint, '-xdev', '-type', 'f', '-not', '-path', marker, '-print', '-quit'];
    return (await runOnDisk(run, { file: 'find', args }, [0, 1])).stdout !== '';
  }

  /**
   * Unpacks where no container can exchange a folder for a link while tar works, and moves what came into the
   * volume. Answers whether there was a way to where it belongs.
   */
  async function unpackBeside(
    tar: string,
    mountpoint: string,
    parents: readonly Parent[],
    whole: boolean,
  ): Promise<boolean> {
    const staging = path.join(path.dirname(mountpoint), STAGING);
    const coming = path.join(staging, 'new');
    const aside = { folder: path.join(staging, 'old'), count: 0 };
    await clearStaging(staging);
    for (const folder of [staging, coming, aside.folder]) await mkdir(folder, { mode: 0o700 });
    await runOnDisk(run, { file: 'tar', args: unpackArguments(tar, coming) });
    const folder = await descend(mountpoint, parents.length, async (above, index) => {
      const { name = '', uid = 0, gid = 0, mode = 0 } = parents[index] ?? {};
      const there = await openInside(above, name);
      if (there !== null || (await has(above, name))) return there;
      await mkdir(inside(above, name), { mode: 0o700 });
      const made = await openInside(above, name);
      await made?.chown(uid, gid);
      await made?.chmod(mode);
      return made;
    });
    if (folder === null) return false;
    try {
      await moveInto(coming, folder, aside, whole);
    } finally {
      await folder.close();
    }
    await clearStaging(staging);
    return true;
  }

  /**
   * What is wrong with what a hook dumped at a path, one line each: with the file, or with those that lie in the
   * folder and are called like a dump. A file that is called otherwise and was empty before is no dump.
   */
  async function wrongDumps({ folder }: Located, what: string, since: Date): Promise<string[]> {
    const name = path.basename(what);
    const inFolder = await openInside(folder, name);
    try {
      const names = inFolder === null ? [name] : await readdir(outside(inFolder));
      const dumps = inFolder === null ? names : names.filter((one) => DUMP.test(one)).sort();
      const wrong: string[] = [];
      for (const one of dumps.slice(0, MOST_DUMPS)) {
        const file = await openFileInside(inFolder ?? folder, one);
        try {
          const { size = 0, mtimeMs = 0 } = (await file?.stat()) ?? {};
          const isDump = DUMP.test(one) || size > 0 || mtimeMs >= since.getTime();
          const lack = file !== null && isDump ? await lackOfDump(file, signal) : null;
          if (lack !== null) wrong.push(`${inFolder === null ? what : `${what}/${one}`} ${lack}`);
        } finally {
          await file?.close();
        }
      }
      return wrong;
    } finally {
      await inFolder?.close();
    }
  }

  /** What had to make room may still be in use by the app, so it is removed as a volume is wiped. */
  async function clearStaging(staging: string): Promise<void> {
    if (existsSync(staging)) await runOnDisk(run, { file: 'find', args: [staging, '-xdev', '-delete'] });
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
            const packed = await pack(outside(found.folder), what, path.join(partial, file));
            const { changed, ...entry } = packed;
            archives.push({ file, path: one, parents: found.parents, ...entry });
            if (changed !== null) taken.notes.push(`volume ${name} changed while it was read: ${changed}`);
            const wrong =
              one !== null && plan.hooks.beforeBackup.length > 0 ? await wrongDumps(found, one, since) : [];
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
      const manifest = await readJson(path.join(folder, 'manifest.json'), manifestSchema);
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
        await runOnDisk(run, { file: 'find', args: wipeArguments(mountpoint) });
      }
    },

    async unpack(stack, { name, archives }, { mountpoint }) {
      for (const { file, path: what, parents } of archives) {
        await guard();
        report(`restoring volume ${name}`);
        const tar = path.join(folderOf(state, stack), file);
        if (!(await unpackBeside(tar, mountpoint, parents, what === null))) {
          return `volume ${name}: ${what} cannot be put back, since a folder above it is a file or a link now`;
        }
      }
      return null;
    },
  };
}

type Parent = z.output<typeof parent>;

interface Located {
  folder: FileHandle;
  parents: Parent[];
}

/** The folder that a path of a volume is in, opened, and what leads to it; null when it is not there. */
async function locate({ mountpoint }: Volume, what: string | null): Promise<Located | null> {
  const names = what?.split('/').slice(0, -1) ?? [];
  const parents: Parent[] = [];
  const folder = await descend(mountpoint, names.length, async (above, index) => {
    const name = names[index] ?? '';
    const next = await openInside(above, name);
    if (next === null) return null;
    const { uid, gid, mode } = await next.stat();
    parents.push({ name, uid, gid, mode: mode & 0o7777 });
    return next;
  });
  if (folder === null) return null;
  if (what === null || (await has(folder, path.basename(what)))) return { folder, parents };
  await folder.close();
  return null;
}

/** Opens the folder that so many steps lead to from one whose path is ours; null where a step leads nowhere. */
async function descend(
  root: string,
  steps: number,
  step: (above: FileHandle, index: number) => Promise<FileHandle | null>,
): Promise<FileHandle | null> {
  let folder = await openFolder(root);
  for (let index = 0; index < steps; index++) {
    const above = folder;
    try {
      const next = await step(above, index);
      if (next === null) return null;
      folder = next;
    } finally {
      await above.close();
    }
  }
  return folder;
}

/** Regular files in tar's own list of what it packed, but for our mark. */
async function filesIn(listing: string): Promise<number> {
  let files = 0;
  for await (const line of createInterface({ input: createReadStream(listing) })) {
    // -: a file; h: another name of one.
    if (/^[-h]/.test(line) && !line.endsWith(` ./${DATA_MARKER}`)) files++;
  }
  return files;
}
