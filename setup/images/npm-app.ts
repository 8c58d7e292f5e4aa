import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { createQueue } from '../../host/machine/queue.ts';
import { ensureProgram } from '../apt.ts';
import { logged, machine, type Say } from '../machine.ts';
import { cached, fingerprintOf } from './cache.ts';
import type { Part } from './part.ts';

/** Apps that are published on npm, on a Node that is published there as well. */

export interface NpmApp {
  package: string;
  version: string;
  /** Nothing newer than this day is installed for it, so that what it needs stays the same. */
  before: string;
  /** What it needs in other versions than it says. */
  overrides: Readonly<Record<string, string>>;
  /** Packages among those it needs that are C++, and are built for its Node. */
  builds: readonly string[];
  /** The version of its Node. */
  node: string;
  /** How long it takes, for the person who waits. */
  takes: string;
}

const packageFile = z.looseObject({
  dependencies: z.record(z.string(), z.string()).prefault({}),
  devDependencies: z.unknown().optional(),
  overrides: z.record(z.string(), z.unknown()).prefault({}),
});

/** Raised when an app is put together otherwise than by what an NpmApp says. */
const RECIPE = 1;

/** Two at once would only wait for each other, and for the network. */
const inTurn = createQueue();

/** A part of an image: `app.tar.gz`, with the unpacked package and all it needs as /app, and its Node. */
export function npmApp(app: NpmApp): Part {
  const fingerprint = fingerprintOf(app, RECIPE, process.arch);
  const name = `${app.package.replace(/^@/, '').replaceAll('/', '-')}-${app.version}`;
  return {
    fingerprint,
    async putInto(context, say) {
      const archive = await inTurn(() =>
        cached(`npm/${name}-${fingerprint}.tar.gz`, (scratch) => make(say, app, name, scratch)),
      );
      await copyFile(archive, path.join(context, 'app.tar.gz'));
    },
  };
}

async function make(say: Say, app: NpmApp, name: string, archive: string): Promise<void> {
  const root = `${archive}.d`;
  const folder = path.join(root, 'app');
  const node = `${archive}.node`;
  try {
    say(`fixture images: installing ${app.package} ${app.version} with npm (${app.takes} on 2 cores)`);
    await unpack(`node-linux-${process.arch}@${app.node}`, node);
    await unpack(`${app.package}@${app.version}`, folder);
    await settle(path.join(folder, 'package.json'), app);
    const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
    // scripts would download what is built for other systems as well, and from elsewhere
    const args = ['install', '--ignore-scripts', '--legacy-peer-deps', `--before=${app.before}`, ...quiet];
    await logged(`npm-install-${name}`, {
      file: 'npm',
      args,
      cwd: folder,
      toolsFirst: path.join(node, 'bin'),
    });
    if (app.builds.length > 0) await build(say, name, folder, node, app.builds);
    await mkdir(path.join(root, 'usr/local/bin'), { recursive: true });
    await rename(path.join(node, 'bin/node'), path.join(root, 'usr/local/bin/node'));
    const ownership = ['--owner=0', '--group=0', '--numeric-owner'];
    await machine.output({
      file: 'tar',
      args: ['--create', '--gzip', ...ownership, `--file=${archive}`, `--directory=${root}`, 'app', 'usr'],
    });
  } finally {
    for (const made of [root, node]) await rm(made, { recursive: true, force: true });
  }
}

/** Puts what is in a package of that version there. */
async function unpack(specifier: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const args = ['pack', '--silent', '--ignore-scripts', `--pack-destination=${folder}`, '--', specifier];
  const file = path.join(folder, (await machine.output({ file: 'npm', args, cwd: folder })).trim());
  await machine.output({
    file: 'tar',
    args: ['--extract', '--strip-components=1', '--no-same-owner', `--file=${file}`, `--directory=${folder}`],
  });
  await rm(file);
}

/** Strikes what only its makers need, and says the versions that it shall have instead, its own and those further down. */
async function settle(file: string, { overrides }: NpmApp): Promise<void> {
  const { devDependencies: _, ...rest } = packageFile.parse(JSON.parse(await readFile(file, 'utf8')));
  const direct = Object.entries(overrides).filter(([name]) => name in rest.dependencies);
  const dependencies = { ...rest.dependencies, ...Object.fromEntries(direct) };
  const settled = { ...rest, dependencies, overrides: { ...rest.overrides, ...overrides } };
  await writeFile(file, JSON.stringify(settled, null, 2));
}

/** Builds C++ with the headers that come with the Node. */
async function build(
  say: Say,
  name: string,
  folder: string,
  node: string,
  modules: readonly string[],
): Promise<void> {
  await ensureProgram(say, 'g++', ['g++', 'libc6-dev']);
  for (const program of ['make', 'python3']) await ensureProgram(say, program);
  await logged(`npm-build-${name}`, {
    file: 'npm',
    args: ['rebuild', '--foreground-scripts', '--', ...modules],
    cwd: folder,
    env: { npm_config_build_from_source: 'true', npm_config_nodedir: node },
    toolsFirst: path.join(node, 'bin'),
  });
}
