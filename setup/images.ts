import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { aptInstall, debianMirror } from './apt.ts';
import { cacheFolder, isRoot, logged, machine, which, type Say } from './machine.ts';

/**
 * The images of the fixture recipes: real software, out of two releases of Debian, so that an upgrade really
 * changes versions without any image registry.
 */

const SUITES = ['bookworm', 'trixie'] as const;
type Suite = (typeof SUITES)[number];

const PACKAGES = ['nginx-light', 'redis-server', 'webdis', 'curl', 'procps'];

/** What running each program in a container takes. */
const PROGRAMS = {
  nginx: {
    package: 'nginx',
    changes: ['CMD ["nginx", "-g", "daemon off;"]', 'EXPOSE 80'],
  },
  redis: { package: 'redis-server', changes: ['CMD ["redis-server"]', 'WORKDIR /data', 'EXPOSE 6379'] },
  webdis: { package: 'webdis', changes: ['CMD ["webdis", "/etc/webdis/webdis.json"]', 'EXPOSE 7379'] },
} as const;

interface FixtureImage {
  suite: Suite;
  program: keyof typeof PROGRAMS;
  /** The beginning of the upstream version; a point release of Debian's must not change what recipes name. */
  tag: string;
}

const IMAGES: readonly FixtureImage[] = [
  { suite: 'bookworm', program: 'nginx', tag: '1.22' },
  { suite: 'bookworm', program: 'redis', tag: '7.0' },
  { suite: 'bookworm', program: 'webdis', tag: '0.1.9' },
  { suite: 'trixie', program: 'nginx', tag: '1.26' },
  { suite: 'trixie', program: 'redis', tag: '8.0' },
  { suite: 'trixie', program: 'webdis', tag: '0.1.22' },
];

/** Raised when the making of a file system changes otherwise than by its packages. */
const RECIPE = 1;
const LABEL = 'recipe-sweep.rootfs';

function reference({ program, tag }: FixtureImage): string {
  return `localhost/recipe-sweep/${program}:${tag}`;
}

/** Names what a suite's file system is made of, so that an old one is not taken for it. */
function fingerprint(suite: Suite): string {
  return createHash('sha256')
    .update(JSON.stringify([suite, PACKAGES, RECIPE, process.arch]))
    .digest('hex')
    .slice(0, 12);
}

/**
 * Makes the images of the fixture recipes, unless this engine has them: nginx, redis and webdis, each as
 * Debian 12 and as Debian 13 have it. Needs an engine, and root when no file system is cached yet.
 */
export async function ensureFixtureImages(say: Say): Promise<void> {
  const missing: FixtureImage[] = [];
  for (const image of IMAGES) if (!(await isThere(image))) missing.push(image);
  if (missing.length === 0) {
    say(`fixture images: ${IMAGES.length} found`);
    return;
  }
  const suites = SUITES.filter((suite) => missing.some((image) => image.suite === suite));
  const uncached: Suite[] = [];
  for (const suite of suites) if (!(await exists(archiveOf(suite)))) uncached.push(suite);
  if (uncached.length > 0) await makeFileSystems(say, uncached);
  say(`fixture images: importing ${missing.map(reference).join(', ')} (half a minute)`);
  for (const image of missing) await importImage(image);
}

async function isThere(image: FixtureImage): Promise<boolean> {
  const args = [
    'image',
    'inspect',
    '--format',
    `{{index .Config.Labels "${LABEL}"}}`,
    '--',
    reference(image),
  ];
  const { status, stdout } = await machine.run({ file: 'docker', args });
  return status === 0 && stdout.trim() === fingerprint(image.suite);
}

function archiveOf(suite: Suite): string {
  return path.join(cacheFolder(), 'rootfs', `${suite}-${fingerprint(suite)}.tar.gz`);
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function makeFileSystems(say: Say, suites: readonly Suite[]): Promise<void> {
  if (!isRoot) {
    throw new Error(
      'the images of the test recipes are made with debootstrap, which wants root. Once: sudo npm run setup',
    );
  }
  if ((await which('debootstrap')) === null) {
    await aptInstall(say, ['debootstrap', 'debian-archive-keyring'], 'debootstrap');
  }
  const mirror = await debianMirror();
  say(`fixture images: installing ${PACKAGES.join(', ')} of Debian ${suites.join(' and ')} (two minutes)`);
  await mkdir(path.join(cacheFolder(), 'rootfs'), { recursive: true });
  await Promise.all(suites.map((suite) => makeFileSystem(suite, mirror)));
}

/** Without a mirror debootstrap uses its own default. */
async function makeFileSystem(suite: Suite, mirror: string | null): Promise<void> {
  const archive = archiveOf(suite);
  const scratch = `${archive}.${randomBytes(4).toString('hex')}`;
  const root = `${scratch}.d`;
  const within = (...below: string[]): string => path.join(root, ...below);
  try {
    const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, suite, root];
    if (mirror !== null) args.push(mirror);
    await logged(`debootstrap-${suite}`, { file: 'debootstrap', args });
    for (const waste of [
      'var/cache/apt',
      'var/lib/apt/lists',
      'usr/share/doc',
      'usr/share/man',
      'usr/share/locale',
    ]) {
      await rm(within(waste), { recursive: true, force: true });
    }
    await rm(within('etc/nginx/sites-enabled/default'));
    const chroot = (...command: string[]): Promise<string> =>
      machine.output({ file: 'chroot', args: [root, ...command] });
    await chroot('ln', '-sf', '/dev/stdout', '/var/log/nginx/access.log');
    await chroot('ln', '-sf', '/dev/stderr', '/var/log/nginx/error.log');
    await chroot('install', '-d', '-o', 'redis', '-g', 'redis', '/data');
    await machine.output({
      file: 'tar',
      args: ['--create', '--gzip', '--numeric-owner', `--file=${scratch}`, `--directory=${root}`, '.'],
    });
    await rename(scratch, archive);
  } finally {
    // an interrupted debootstrap may leave /proc mounted in there
    await machine.run({ file: 'rm', args: ['-rf', '--one-file-system', '--', root, scratch] });
  }
}

/** Imports, looks which version it really is, and only then gives it the name that recipes use. */
async function importImage(image: FixtureImage): Promise<void> {
  const program = PROGRAMS[image.program];
  const changes = [...program.changes, `LABEL ${LABEL}=${fingerprint(image.suite)}`];
  const imported = await machine.output({
    file: 'docker',
    args: ['import', ...changes.flatMap((change) => ['--change', change]), archiveOf(image.suite)],
  });
  const id = imported.trim();
  const query = ['dpkg-query', '--show', '--showformat=${source:Upstream-Version}', program.package];
  const version = await machine.output({
    file: 'docker',
    args: ['run', '--rm', '--network=none', id, ...query],
  });
  if (version !== image.tag && !version.startsWith(`${image.tag}.`) && !version.startsWith(`${image.tag}+`)) {
    await machine.run({ file: 'docker', args: ['image', 'rm', id] });
    throw new Error(
      `Debian ${image.suite} has ${image.program} ${version} now, and the test recipes expect ${image.tag}: ` +
        'change setup/images.ts and test/fixtures/recipes together',
    );
  }
  await machine.output({ file: 'docker', args: ['tag', id, reference(image)] });
}
