import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ProcessRunner } from '../../host/machine/process.ts';
import type { GitRepo } from '../fixtures/git-repo.ts';
import { filledIn, type Places } from './cases/hostile-case.ts';
import { PLAIN_RECIPE, RELEASE, type RecipeFile } from './cases/recipe-files.ts';
import type { RefCase } from './cases/refs.ts';

/** Makes real repositories hostile, by plumbing where git's own commands refuse to. */

/** Releases these files over those of a plain recipe. */
export async function writeRecipe(
  repo: GitRepo,
  files: Readonly<Record<string, RecipeFile>>,
  places: Places,
): Promise<void> {
  for (const [name, file] of Object.entries({ ...PLAIN_RECIPE, ...files })) {
    const at = path.join(repo.folder, name);
    await mkdir(path.dirname(at), { recursive: true });
    if (typeof file === 'string') await writeFile(at, filledIn(file, places));
    else await symlink(filledIn(file.link, places), at);
  }
  await repo.commit({});
  await repo.git('tag', RELEASE);
}

/** Writes the refs and objects of a case; answers the commit of the proper release beside them. */
export async function writeRefCase(
  commands: ProcessRunner,
  repo: GitRepo,
  { refs, packed, tree, bombDepth }: RefCase,
  places: Places,
): Promise<string> {
  /** Objects that git itself would not write. */
  const write = async (type: 'blob' | 'tree', content: Buffer): Promise<string> => {
    const file = path.join(repo.folder, '.git', 'hostile-object');
    await writeFile(file, content);
    return repo.git('hash-object', '-w', '--literally', '-t', type, file);
  };
  const writeTree = async (entries: readonly string[]): Promise<string> =>
    write('tree', Buffer.from(entries.join(''), 'latin1'));

  const blob = await write('blob', Buffer.from('just a file\n'));
  let main = await repo.commit({ 'compose.yml': 'services: {}\n' });
  let root: string | null = null;
  if (tree) {
    const entries = [];
    for (const { mode, name, text } of tree) {
      const id = await write('blob', Buffer.from(filledIn(text, places)));
      entries.push(entry(mode, name, id));
    }
    root = await writeTree(entries);
  }
  if (bombDepth !== undefined) {
    let below = await writeTree([entry('100644', 'f', blob)]);
    for (let depth = 0; depth < bombDepth; depth++) {
      const same = below;
      below = await writeTree(Array.from({ length: 10 }, (_, index) => entry('40000', `d${index}`, same)));
    }
    root = await writeTree([entry('100644', 'compose.yml', blob), entry('40000', 'd', below)]);
  }
  if (root !== null) {
    main = await commitTree(commands, repo, root);
    await repo.git('update-ref', 'refs/heads/main', main);
  }
  await repo.git('update-ref', `refs/tags/${RELEASE}`, main);

  const offMain = await commitTree(commands, repo, await writeTree([]));
  const targets = { blob, 'off main': offMain, release: main };
  const lines = (packed ?? []).map((name) => `${main} ${name}`);
  for (const { name, to = 'release' } of refs ?? []) {
    const ref = filledIn(name, places);
    if (to === 'main by name') await repo.git('symbolic-ref', ref, 'refs/heads/main');
    else if (to === 'missing') lines.push(`${'d'.repeat(40)} ${ref}`);
    else await repo.git('update-ref', ref, targets[to]);
  }
  if (lines.length > 0) {
    const file = path.join(repo.folder, '.git', 'packed-refs');
    const before = await readFile(file, 'latin1').catch(() => '');
    await writeFile(file, Buffer.from(`${before}${lines.join('\n')}\n`, 'latin1'));
  }
  return main;
}

async function commitTree(commands: ProcessRunner, { folder }: GitRepo, tree: string): Promise<string> {
  const who = ['-c', 'user.name=Maintainer', '-c', 'user.email=maintainer@example.org'];
  const args = [...who, 'commit-tree', tree, '-m', 'hostile'];
  return (await commands.output({ file: 'git', args, cwd: folder })).trim();
}

/** As it stands in a tree object. */
function entry(mode: string, name: string, id: string): string {
  return `${mode} ${name}\0${Buffer.from(id, 'hex').toString('latin1')}`;
}
