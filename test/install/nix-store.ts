import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';

/** Nix with a store, a state and settings of its own, so that nothing is left on this machine and no daemon is asked. */
export interface NixStore {
  /** Where else a test may put things, until it is removed. */
  folder: string;
  /** Whether nix takes a file for an expression; else what it says. */
  parse(file: string): Promise<string>;
  /** The value of an expression in a file, or what nix says is wrong. Arguments are files and texts. */
  evaluate(
    file: string,
    given?: { files?: Record<string, string>; texts?: Record<string, string> },
  ): Promise<{ value: unknown; error: string }>;
  /** The text that evaluations put into the store under that name, where it is the only one. */
  stored(name: string): Promise<string>;
  /** The text at a path of the store, as an evaluation names it. */
  read(file: string): Promise<string>;
  remove(): Promise<void>;
}

export async function openNixStore(): Promise<NixStore> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'nix-store-'));
  // Nothing is built, so nobody builds.
  await writeFile(path.join(folder, 'nix.conf'), 'build-users-group =\n');
  const root = path.join(folder, 'root');
  const nix = (...args: string[]) =>
    execa('nix-instantiate', args, {
      reject: false,
      env: {
        NIX_STATE_DIR: path.join(folder, 'var'),
        NIX_LOG_DIR: path.join(folder, 'log'),
        NIX_CONF_DIR: folder,
        NIX_REMOTE: root,
        HOME: folder,
      },
    });
  return {
    folder,
    async parse(file) {
      const { exitCode, stderr } = await nix('--parse', file);
      return exitCode === 0 ? 'ok' : stderr;
    },
    async evaluate(file, { files = {}, texts = {} } = {}) {
      const { exitCode, stdout, stderr } = await nix(
        ...['--eval', '--read-write-mode', '--strict', '--json', file],
        ...Object.entries(files).flatMap(([name, one]) => ['--arg', name, one]),
        ...Object.entries(texts).flatMap(([name, text]) => ['--argstr', name, text]),
      );
      if (exitCode === 0) return { value: JSON.parse(stdout) as unknown, error: '' };
      return {
        value: null,
        error: stderr
          .split('\n')
          .filter((line) => line.startsWith('error:'))
          .join('\n'),
      };
    },
    async stored(name) {
      const store = path.join(root, 'nix/store');
      const found = (await readdir(store)).filter((each) => each.endsWith(`-${name}`));
      if (found.length !== 1) throw new Error(`${found.length} texts named ${name}`);
      return readFile(path.join(store, found[0] ?? ''), 'utf8');
    },
    read: (file) => readFile(path.join(root, file), 'utf8'),
    async remove() {
      // What nix puts into its store is only read, for all but root.
      await execa('chmod', ['-R', 'u+w', folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
