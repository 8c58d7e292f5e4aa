import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { Fault } from '../../domain/fault.ts';
import { checkGitUrl } from '../../domain/git-url.ts';
import { checkedRecipe } from '../../domain/names.ts';
import { SETTINGS } from './recipe-folder.ts';

/** The folder that an operator begins with for a recipe of their own. */

const EXAMPLE = fileURLToPath(new URL('../../recipes/recipe.example.yml', import.meta.url));
const SCRIPTS = fileURLToPath(new URL('recipe-template/', import.meta.url));
const SCRIPT_FILES = ['hooks/write-data.sample', 'hooks/check-data.sample', 'checks/answers'];

/**
 * Makes `<recipes>/<recipe>/` with the example's recipe.yml, all of it but `upstream` put out of use, and
 * scripts to begin with. Answers its files. Throws Fault BadInput when it is there already.
 */
export async function createRecipeFolder(
  recipes: string,
  recipe: string,
  upstream: string,
): Promise<{ folder: string; files: string[] }> {
  const folder = path.join(recipes, checkedRecipe(recipe));
  const checked = checkGitUrl(upstream);
  if (!checked.ok) throw new Fault('BadInput', `the upstream URL: ${checked.reason}`);
  if (checked.credentials) {
    const why = 'it holds a password, which stays in the history of a shell';
    throw new Fault('BadInput', `the upstream URL: ${why}; leave it out, and write it into ${SETTINGS}`);
  }
  const settings = settingsFrom(await readFile(EXAMPLE, 'utf8'), recipe, upstream);
  await mkdir(recipes, { recursive: true });
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new Fault('BadInput', `${folder} is there already; nothing was changed`);
  });
  try {
    await writeFile(path.join(folder, SETTINGS), settings);
    for (const file of SCRIPT_FILES) {
      const script = path.join(folder, file);
      await mkdir(path.dirname(script), { recursive: true });
      await copyFile(path.join(SCRIPTS, file), script);
      await chmod(script, 0o755);
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return { folder, files: [SETTINGS, ...SCRIPT_FILES] };
}

/** The example, in which every key but `upstream` has a # before it. Its first paragraph is about itself. */
function settingsFrom(example: string, recipe: string, upstream: string): string {
  const lines = example.slice(example.indexOf('\n\n') + 1).split('\n');
  const ours = lines.map((line) => {
    if (line.startsWith('upstream:')) return stringify({ upstream }, { lineWidth: 0 }).trimEnd();
    return line === '' || line.startsWith('#') ? line : `#${line}`;
  });
  return [
    `# ${recipe}: how its releases are tested. A key right behind a # is put out of use: take the # away to set`,
    `# it. What is wrong with this folder: recipe-sweep recipe check ${recipe}`,
    ...ours,
  ].join('\n');
}
