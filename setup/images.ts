import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprintOf } from './images/cache.ts';
import { reference, type FixtureImage } from './images/catalogue.ts';
import { importFileSystem, type FileSystem } from './images/file-system.ts';
import { machine, type Say } from './machine.ts';

/** Makes images: a file system, and what a Dockerfile adds to it without any network. */

const DOCKERFILES = fileURLToPath(new URL('images/', import.meta.url));
const LABEL = 'recipe-sweep.made-of';

/**
 * Makes those of these images that this engine does not have. What they are made of is kept in the cache
 * folder. Needs an engine, and root when a file system is not cached yet.
 */
export async function ensureFixtureImages(say: Say, images: readonly FixtureImage[]): Promise<void> {
  const missing: FixtureImage[] = [];
  for (const image of images) if (!(await isThere(image))) missing.push(image);
  if (missing.length === 0) {
    say(`fixture images: ${images.length} found`);
    return;
  }
  say(`fixture images: making ${missing.map(reference).join(', ')}`);
  const bases = new Map<string, Promise<string>>();
  const imported = (base: FileSystem): Promise<string> => {
    const id = bases.get(base.fingerprint) ?? importFileSystem(say, base);
    bases.set(base.fingerprint, id);
    return id;
  };
  // beside each other, since some wait for the network
  await together(missing.map((image) => make(say, image, imported)));
}

/** Lets all end before the first failure is told: what the others made is there the next time. */
async function together<T extends readonly unknown[]>(
  works: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(works);
  return Promise.all(works);
}

async function isThere(image: FixtureImage): Promise<boolean> {
  const format = `{{index .Config.Labels "${LABEL}"}}`;
  const args = ['image', 'inspect', '--format', format, '--', reference(image)];
  const { status, stdout } = await machine.run({ file: 'docker', args });
  return status === 0 && stdout.trim() === (await madeOf(image));
}

/** Names all that an image is made of. */
async function madeOf({ name, base, part }: FixtureImage): Promise<string> {
  const folder = path.join(DOCKERFILES, name);
  const files: string[] = [];
  for (const file of (await readdir(folder)).sort()) {
    files.push(file, await readFile(path.join(folder, file), 'utf8'));
  }
  return fingerprintOf(base.fingerprint, part?.fingerprint ?? null, files);
}

/** Builds an image, looks which version it really is, and only then gives it the name that recipes use. */
async function make(
  say: Say,
  image: FixtureImage,
  imported: (base: FileSystem) => Promise<string>,
): Promise<void> {
  const context = await mkdtemp(path.join(os.tmpdir(), 'recipe-sweep-image-'));
  try {
    await cp(path.join(DOCKERFILES, image.name), context, { recursive: true });
    const [base] = await together([imported(image.base), image.part?.putInto(context, say)]);
    const id = await build(context, base, `${LABEL}=${await madeOf(image)}`);
    const version = await versionIn(image, id);
    if (version !== image.tag && !version.startsWith(`${image.tag}.`)) {
      await machine.run({ file: 'docker', args: ['image', 'rm', id] });
      throw new Error(
        `Debian ${image.base.suite} has ${image.name} ${version} now, and the test recipes expect ${image.tag}: ` +
          'change setup/images/catalogue.ts and fixtures/recipes together',
      );
    }
    await machine.output({ file: 'docker', args: ['tag', id, reference(image)] });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Answers the id. The classic builder is in every engine; the newer one is a plugin, and asks registries. */
async function build(context: string, base: string, label: string): Promise<string> {
  const args = ['build', '--quiet', '--force-rm', '--network=none', '--build-arg', `BASE=${base}`];
  const printed = await machine.output({
    file: 'docker',
    args: [...args, '--label', label, '--', context],
    env: { DOCKER_BUILDKIT: '0' },
  });
  return printed.trim();
}

async function versionIn(
  { versionCommand: [program = '', ...args] }: FixtureImage,
  id: string,
): Promise<string> {
  const docker = async (...command: string[]): Promise<string> =>
    (await machine.output({ file: 'docker', args: command })).trim();
  // what a container printed that ended at once is in its log, and not always in the output of docker run
  const options = ['--detach', '--network=none', '--entrypoint', program];
  const container = await docker('run', ...options, id, ...args);
  try {
    await docker('wait', container);
    const printed = await docker('logs', container);
    return /\d+(?:\.\d+)+/.exec(printed)?.[0] ?? printed;
  } finally {
    await docker('rm', '--force', '--volumes', container);
  }
}
