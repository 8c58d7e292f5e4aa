import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

/** What systemd itself finds wrong with units in a folder, by name; nothing is started. */
export async function verifyUnits(folder: string, names: readonly string[]): Promise<string> {
  const files = names.map((name) => path.join(folder, name));
  for (const file of files) await makePrograms(await readFile(file, 'utf8'));
  const { all } = await execa('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...files], {
    all: true,
    reject: false,
    env: { SYSTEMD_UNIT_PATH: `${folder}:` },
  });
  return all;
}

/** It looks whether the programs are there. */
async function makePrograms(unit: string): Promise<void> {
  for (const [, program = ''] of unit.matchAll(/^Exec\w+=(\S+)/gm)) {
    await mkdir(path.dirname(program), { recursive: true });
    await writeFile(program, '#!/bin/sh\n', { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await chmod(program, 0o755);
  }
}
