import { statfs } from 'node:fs/promises';

/** Free bytes on the disk of a folder; null when it cannot be seen from here. */
export async function freeBytes(folder: string): Promise<number | null> {
  return (await sizesOf(folder))?.free ?? null;
}

/** The bytes of a folder's disk, and those that are free; null when it cannot be seen from here. */
export async function sizesOf(folder: string): Promise<{ size: number; free: number } | null> {
  try {
    const { blocks, bavail, bsize } = await statfs(folder);
    return { size: blocks * bsize, free: bavail * bsize };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
