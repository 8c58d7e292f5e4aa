import { cp } from 'node:fs/promises';
import path from 'node:path';
import { ensureProgram } from '../apt.ts';
import { logged } from '../machine.ts';
import { cached, fingerprintOf } from './cache.ts';
import type { Part } from './part.ts';

/** Programs that are published on PyPI, with all that they need, as wheels: nothing is compiled. */

export interface PythonPackages {
  name: string;
  version: string;
  /** Everything that is installed, each at one version. */
  requirements: readonly string[];
  /** The Python that Debian has, as in 3.11. */
  python: string;
  /** How much is downloaded, for the person who waits. */
  size: string;
}

/** Raised when the making changes otherwise than by what a PythonPackages says. */
const RECIPE = 1;

/** What wheels for glibc 2.28 and later may be called. */
const PLATFORMS = ['manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17', 'manylinux2014'];
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** A part of an image: the folder `python`, with the packages and, in its `bin`, their programs. */
export function pythonPackages(packages: PythonPackages): Part {
  const fingerprint = fingerprintOf(packages, RECIPE, process.arch);
  const { name, version, requirements, python, size } = packages;
  return {
    fingerprint,
    async putInto(context, say) {
      const built = await cached(`python/${name}-${version}-${fingerprint}`, async (scratch) => {
        await ensureProgram(say, 'pip3', ['python3-pip']);
        say(`fixture images: downloading ${name} ${version} from PyPI (${size})`);
        const machine = MACHINES[process.arch] ?? process.arch;
        const wheels = ['--only-binary=:all:', '--implementation=cp', `--python-version=${python}`];
        const platforms = PLATFORMS.map((platform) => `--platform=${platform}_${machine}`);
        const quiet = ['--quiet', '--disable-pip-version-check', '--no-compile', '--no-deps'];
        await logged(`pip-${name}-${version}`, {
          file: 'pip3',
          args: ['install', ...quiet, ...wheels, ...platforms, `--target=${scratch}`, '--', ...requirements],
        });
      });
      await cp(built, path.join(context, 'python'), { recursive: true });
    },
  };
}
