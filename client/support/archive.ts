import { chmod, link, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { syncFile, syncFolder } from '../../host/machine/durable-file.ts';
import type { ProcessRunner } from '../../host/machine/process.ts';
import { CommandStopped } from '../failure.ts';
import type { Piece } from './bundle.ts';

/** For some megabytes. */
const TAR_MS = 60_000;

/**
 * Packs the pieces below one folder into a tar.gz that only this user can read, and answers its size in bytes. It is there
 * whole, or not at all; what stands at its place already stays, and stops the command. The tar is the system's, which a
 * host that sweeps has: snapshots are made by it.
 */
export async function pack(
  commands: ProcessRunner,
  file: string,
  folder: string,
  pieces: readonly Piece[],
): Promise<number> {
  // Beside it, since a file is put at its place in one step only on the same disk.
  const work = await mkdtemp(path.join(path.dirname(file), '.recipe-sweep-support-'));
  try {
    for (const { name, text } of pieces) {
      const place = path.join(work, folder, name);
      await mkdir(path.dirname(place), { recursive: true });
      await writeFile(place, text, { mode: 0o600, flag: 'wx' });
    }
    const packed = path.join(work, 'bundle.tar.gz');
    const options = ['--create', '--gzip', '--force-local', '--owner=0', '--group=0', `--file=${packed}`];
    await commands.output({
      file: 'tar',
      args: [...options, `--directory=${work}`, '--', folder],
      timeoutMs: TAR_MS,
    });
    await chmod(packed, 0o600);
    await syncFile(packed);
    await link(packed, file).catch(refuseToReplace(file));
    await syncFolder(path.dirname(file));
    return (await stat(file)).size;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function refuseToReplace(file: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.code !== 'EEXIST') throw error;
    throw new CommandStopped(`${file} is there already, and stays; name another with --output`);
  };
}
