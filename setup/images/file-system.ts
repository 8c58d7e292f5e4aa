import path from 'node:path';
import { rm } from 'node:fs/promises';
import { debianMirror, ensureProgram } from '../apt.ts';
import { isRoot, logged, machine, type Say } from '../machine.ts';
import { cached, fingerprintOf } from './cache.ts';

/** What images begin with: a file system of Debian with some packages, made once and kept as an archive. */

export interface FileSystem {
  suite: 'bookworm' | 'trixie';
  packages: readonly string[];
  fingerprint: string;
}

/** Raised when the making of a file system changes otherwise than by its packages. */
const RECIPE = 2;

/** What nobody reads in a container. */
const WASTE = ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

export function debian(suite: FileSystem['suite'], ...packages: readonly string[]): FileSystem {
  return { suite, packages, fingerprint: fingerprintOf(suite, packages, RECIPE, process.arch) };
}

/** Imports a file system into the engine and answers its image's id. Needs root unless it is cached. */
export async function importFileSystem(say: Say, fileSystem: FileSystem): Promise<string> {
  const name = `${fileSystem.suite}-${fileSystem.fingerprint}`;
  const archive = await cached(`rootfs/${name}.tar.gz`, (scratch) => make(say, fileSystem, name, scratch));
  return (await machine.output({ file: 'docker', args: ['import', archive] })).trim();
}

/** Without a mirror debootstrap uses its own default. */
async function make(say: Say, { suite, packages }: FileSystem, name: string, archive: string): Promise<void> {
  if (!isRoot) {
    throw new Error(
      'the images of the test recipes are made with debootstrap, which wants root. Once: sudo npm run setup',
    );
  }
  await ensureProgram(say, 'debootstrap', ['debootstrap', 'debian-archive-keyring']);
  const mirror = await debianMirror();
  say(`fixture images: installing ${packages.join(', ')} of Debian ${suite} (a minute or two)`);
  const root = `${archive}.d`;
  try {
    const args = ['--variant=minbase', `--include=${packages.join(',')}`, suite, root];
    if (mirror !== null) args.push(mirror);
    const install = (): Promise<void> => logged(`debootstrap-${name}`, { file: 'debootstrap', args });
    // It gives up over a single package of a hundred that a mirror was slow with, and keeps those that it has.
    await install().catch(install);
    for (const waste of WASTE) await rm(path.join(root, waste), { recursive: true, force: true });
    await machine.output({
      file: 'tar',
      args: ['--create', '--gzip', '--numeric-owner', `--file=${archive}`, `--directory=${root}`, '.'],
    });
  } finally {
    // an interrupted debootstrap may leave /proc mounted in there
    await machine.run({ file: 'rm', args: ['-rf', '--one-file-system', '--', root] });
  }
}
