import { createReadStream, existsSync } from 'node:fs';
import { mkdir, rm, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Volume } from '../engine/volumes.ts';
import { runOnDisk } from '../machine/disk-command.ts';
import { sumWhile } from '../machine/file-sum.ts';
import { has, inside, moveInto, openFolder, openInside } from '../machine/inside-folder.ts';
import type { Finished, ProcessRunner } from '../machine/process.ts';
import type { Parent } from './backup-manifest.ts';
import { DATA_MARKER } from './data-marker.ts';
import { packArguments, unpackArguments } from './snapshots.ts';

/**
 * Reads from a volume, and writes into it, while an app has it open and may exchange anything in it: nothing is taken
 * for what it was a moment ago. Needs root.
 */

interface Located {
  folder: FileHandle;
  parents: Parent[];
}

/** The folder that a path of a volume is in, opened, and what leads to it; null when it is not there. */
export async function locate({ mountpoint }: Volume, what: string | null): Promise<Located | null> {
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

/** tar's status when files changed while it read them. */
const CHANGED = 1;

/** Packs something in a folder that may be in use. Answers how it was read, too, if that is worth knowing. */
export async function pack(commands: ProcessRunner, folder: string, what: string, tar: string) {
  const listing = `${tar}.list`;
  const args = ['--verbose', '--verbose', `--index-file=${listing}`, ...packArguments(folder, tar, what)];
  for (let isLast = false; ; isLast = true) {
    // tar opens this very file, so that it can be followed from its first byte.
    await writeFile(tar, '');
    let finished: Finished | undefined;
    const writing = runOnDisk(commands, { file: 'tar', args }, [0, CHANGED]).then(
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

/** Regular files in tar's own list of what it packed, but for our mark. */
async function filesIn(listing: string): Promise<number> {
  let files = 0;
  for await (const line of createInterface({ input: createReadStream(listing) })) {
    // -: a file; h: another name of one.
    if (/^[-h]/.test(line) && !line.endsWith(` ./${DATA_MARKER}`)) files++;
  }
  return files;
}

/** Beside a volume's data, on the same disk and where no container sees it. */
const STAGING = 'recipe-sweep-restore';

/** Where an archive belongs. */
interface Belongs {
  mountpoint: string;
  /** The folders that lead to it, to be made anew where they are missing. */
  parents: readonly Parent[];
  /** It is all of the volume. */
  whole: boolean;
}

/**
 * Unpacks an archive where no container can exchange a folder for a link while tar works, and moves what came into
 * the volume. Answers whether there was a way to where it belongs.
 */
export async function putBack(
  commands: ProcessRunner,
  tar: string,
  { mountpoint, parents, whole }: Belongs,
): Promise<boolean> {
  const staging = path.join(path.dirname(mountpoint), STAGING);
  const coming = path.join(staging, 'new');
  const aside = { folder: path.join(staging, 'old'), count: 0 };
  await clearStaging(commands, staging);
  for (const folder of [staging, coming, aside.folder]) await mkdir(folder, { mode: 0o700 });
  await runOnDisk(commands, { file: 'tar', args: unpackArguments(tar, coming) });
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
  await clearStaging(commands, staging);
  return true;
}

/** What had to make room may still be in use by the app, so it is removed as a volume is wiped. */
async function clearStaging(commands: ProcessRunner, staging: string): Promise<void> {
  if (existsSync(staging)) await runOnDisk(commands, { file: 'find', args: [staging, '-xdev', '-delete'] });
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
