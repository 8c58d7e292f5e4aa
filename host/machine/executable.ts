import { open } from 'node:fs/promises';

/** What the kernel looks at to run a file. */

/** A file that begins so is a program. */
const ELF = '\u007fELF';
const LOOKED_AT = 256;

export interface ExecutableStart {
  isProgram: boolean;
  /** As it is written, without its line end. */
  firstLine: string;
}

export async function startOf(file: string): Promise<ExecutableStart> {
  const opened = await open(file);
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(LOOKED_AT), 0, LOOKED_AT, 0);
    const start = buffer.toString('latin1', 0, bytesRead);
    return { isProgram: start.startsWith(ELF), firstLine: start.split('\n')[0] ?? '' };
  } finally {
    await opened.close();
  }
}
