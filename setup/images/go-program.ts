import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureProgram } from '../apt.ts';
import { ensureGo, GO_ENVIRONMENT } from '../go.ts';
import { logged, machine, type Say } from '../machine.ts';
import { createQueue } from '../../host/machine/queue.ts';
import { cached, fingerprintOf } from './cache.ts';
import type { Part } from './part.ts';

/** Programs that are published as Go modules, built as their makers build them, without any library of the host. */

export interface GoProgram {
  name: string;
  module: string;
  version: string;
  /** The module's sum, as the sum database has it; the module's own go.sum answers for all it needs. */
  sum: string;
  /** How long it takes, for the person who waits. */
  takes: string;
  /** What is built: a package of the module, and the file that becomes of it. */
  programs: Readonly<Record<string, string>>;
  /** The variable that holds the version; null where its source has it. */
  versionVariable: string | null;
  tags: readonly string[];
  /** Whether some of it is C. */
  cgo: boolean;
  /** Files the module's repository lacks, since its makers generate them: path and content. */
  files: Readonly<Record<string, string>>;
  /** Packages whose `go generate` is run before. */
  generate: readonly string[];
  /** Folders of the module that are wanted too, and their names. */
  folders: Readonly<Record<string, string>>;
}

/** Raised when the build changes otherwise than by what a GoProgram says. */
const RECIPE = 1;

/** Each build uses all processors, and two images may be made of one. */
const inTurn = createQueue();

/** A part of an image: the programs and folders of a Go module. */
export function goProgram(program: GoProgram): Part {
  return {
    fingerprint: fingerprint(program),
    async putInto(context, say) {
      const built = await ensureGoProgram((line) => say(`fixture images: ${line}`), program);
      await cp(built, context, { recursive: true });
    },
  };
}

/** The folder of the cache with the programs and folders of a Go module, which are built unless they are there. */
function ensureGoProgram(say: Say, program: GoProgram): Promise<string> {
  const folder = `${program.name}-${program.version}-${fingerprint(program)}`;
  return inTurn(() => cached(`go/${folder}`, (scratch) => build(say, program, scratch)));
}

/** The path of one of its programs, with a line about whether it was found; `what` is what the person knows it as. */
export async function ensureGoProgramFile(
  say: Say,
  what: string,
  program: GoProgram,
  name: string,
): Promise<string> {
  let built = false;
  const folder = await ensureGoProgram((line) => {
    built = true;
    say(`${what}: ${line}`);
  }, program);
  const file = path.join(folder, name);
  if (!built) say(`${what}: found ${file}`);
  return file;
}

function fingerprint(program: GoProgram): string {
  return fingerprintOf(program, RECIPE, process.arch);
}

async function build(say: Say, program: GoProgram, folder: string): Promise<void> {
  const go = await ensureGo(say);
  if (program.cgo) await ensureProgram(say, 'gcc', ['gcc', 'libc6-dev']);
  const name = `${program.name}-${program.version}`;
  say(`building ${program.name} ${program.version} with Go (${program.takes} on 2 cores)`);
  const source = `${folder}.source`;
  try {
    await mkdir(folder);
    await copySource(go, program, source);
    const run = (step: string, args: readonly string[]): Promise<void> =>
      logged(`go-${step}-${name}`, {
        file: go,
        args,
        cwd: source,
        env: { ...GO_ENVIRONMENT, CGO_ENABLED: program.cgo && step === 'build' ? '1' : '0' },
      });
    const tags = `-tags=${program.tags.join(',')}`;
    for (const package_ of program.generate) await run('generate', ['generate', tags, package_]);
    const linker = ['-s', '-w'];
    if (program.versionVariable !== null) linker.push(`-X ${program.versionVariable}=${program.version}`);
    if (program.cgo) linker.push('-linkmode external', '-extldflags "-static"');
    const options = ['-mod=readonly', '-trimpath', '-buildvcs=false', tags, `-ldflags=${linker.join(' ')}`];
    for (const [package_, file] of Object.entries(program.programs)) {
      await run('build', ['build', ...options, '-o', path.join(folder, file), package_]);
    }
    for (const [from, to] of Object.entries(program.folders)) {
      await cp(path.join(source, from), path.join(folder, to), { recursive: true });
    }
  } finally {
    await rm(source, { recursive: true, force: true });
  }
}

/** The module in a folder of its own, where it is the main module: its go.mod and go.sum hold as they are. */
async function copySource(go: string, program: GoProgram, source: string): Promise<void> {
  const asked = await machine.output({
    file: go,
    args: ['mod', 'download', '-json', `${program.module}@v${program.version}`],
    // outside of any module
    cwd: path.dirname(source),
    env: GO_ENVIRONMENT,
  });
  const { Dir: downloaded, Sum: sum } = JSON.parse(asked) as { Dir: string; Sum: string };
  if (sum !== program.sum) {
    throw new Error(`${program.module} ${program.version} has the sum ${sum} and should have ${program.sum}`);
  }
  await machine.output({ file: 'cp', args: ['--recursive', '--', downloaded, source] });
  // the module cache is read-only
  await machine.output({ file: 'chmod', args: ['--recursive', 'u+w', '--', source] });
  for (const [file, content] of Object.entries(program.files)) {
    await mkdir(path.dirname(path.join(source, file)), { recursive: true });
    await writeFile(path.join(source, file), content);
  }
}
