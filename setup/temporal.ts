import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../domain/fault.ts';
import { ensureGo, GO_ENVIRONMENT, OLDEST_GO } from './go.ts';
import { cacheFolder, logged, machine, which, type Say } from './machine.ts';

/** The newest version that `go install` accepts: later ones replace a dependency locally. */
const VERSION = '1.5.1';
/** The CLI's 1.4 brought server 1.28; a CLI built with `go install` knows only its server's version. */
const OLDEST_SERVER = { major: 1, minor: 28 };

/**
 * The path of a Temporal CLI, whose dev server we run: the one on PATH if it is recent enough, else a cached
 * one, else it is downloaded, else built with Go. Safe to run several times at once.
 */
export async function ensureTemporal(say: Say): Promise<string> {
  const cached = path.join(cacheFolder(), 'bin', `temporal-${VERSION}`);
  for (const candidate of [await which('temporal'), cached]) {
    if (candidate !== null && (await isRecent(candidate))) {
      say(`temporal: found ${candidate}`);
      return candidate;
    }
  }
  await mkdir(path.dirname(cached), { recursive: true });
  const scratch = `${cached}.${randomBytes(4).toString('hex')}`;
  await mkdir(scratch);
  try {
    const tried: string[] = [];
    for (const way of [download, build]) {
      try {
        const binary = await way(say, scratch);
        if (!(await isRecent(binary))) throw new Error(`${binary} --version gives no usable version`);
        await rename(binary, cached);
        return cached;
      } catch (error) {
        tried.push(messageOf(error));
      }
    }
    throw new Error(
      `no Temporal CLI (1.4 or newer): ${tried.join('\n')}\n` +
        `Put one on PATH (https://docs.temporal.io/cli), or install Go ${OLDEST_GO} or newer and run this again.`,
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isRecent(file: string): Promise<boolean> {
  const asked = await machine.run({ file, args: ['--version'], timeoutMs: 30_000 }).catch(() => null);
  const [, major, minor] = /\(Server (\d+)\.(\d+)\./.exec(asked?.stdout ?? '') ?? [];
  if (major === undefined || minor === undefined) return false;
  if (Number(major) !== OLDEST_SERVER.major) return Number(major) > OLDEST_SERVER.major;
  return Number(minor) >= OLDEST_SERVER.minor;
}

/** Gives up quickly where the internet is closed, and on a crawl. */
async function download(say: Say, folder: string): Promise<string> {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  if (arch === undefined) throw new Error(`no download for ${process.arch}`);
  say(`temporal: downloading ${VERSION} (100 MB, about a minute)`);
  const archive = path.join(folder, 'temporal.tar.gz');
  const patience = [
    '--connect-timeout',
    '8',
    '--speed-limit',
    '20000',
    '--speed-time',
    '20',
    '--max-time',
    '900',
  ];
  const url = `https://temporal.download/cli/archive/v${VERSION}?platform=linux&arch=${arch}`;
  await machine.output({
    file: 'curl',
    args: ['--fail', '--silent', '--show-error', '--location', ...patience, '--output', archive, '--', url],
  });
  await machine.output({
    file: 'tar',
    args: [
      '--extract',
      '--gzip',
      `--file=${archive}`,
      `--directory=${folder}`,
      '--no-same-owner',
      'temporal',
    ],
  });
  return path.join(folder, 'temporal');
}

async function build(say: Say, folder: string): Promise<string> {
  const go = await ensureGo(say);
  say(`temporal: building ${VERSION} with Go (4 minutes on 2 cores)`);
  await logged('go-install-temporal', {
    file: go,
    args: ['install', `github.com/temporalio/cli/cmd/temporal@v${VERSION}`],
    // outside of any module
    cwd: folder,
    env: { ...GO_ENVIRONMENT, GOBIN: folder, CGO_ENABLED: '0' },
  });
  return path.join(folder, 'temporal');
}
