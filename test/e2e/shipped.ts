import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

const CLONE = path.resolve(import.meta.dirname, '../..');

/**
 * Installs what a package of this clone would have: the files that package.json names and nothing else, beside the
 * packages that it depends on in production and no other. Answers the path of its command. Needs dist/.
 */
export async function installShipped(folder: string): Promise<string> {
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await execa('npm', pack, { cwd: CLONE });
  const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  for (const { path: file } of packed.files) await cp(path.join(CLONE, file), path.join(folder, file));
  const { dependencies } = JSON.parse(await readFile(path.join(CLONE, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const link = path.join(folder, 'node_modules', name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(CLONE, 'node_modules', name), link);
  }
  return path.join(folder, 'bin/recipe-sweep');
}
