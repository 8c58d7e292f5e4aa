import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { findTool, howToGet } from './config/environment.ts';
import type { Recipes } from './recipes/recipes.ts';

/** The programs that recipes name in `tools`, beside those that every host has: whether they are on the declared path. */

/** A program that recipes name. */
export interface RecipeTool {
  name: string;
  /** The recipes that name it: the one that was asked for, or one that it needs. */
  by: string[];
  /** Null where it is not on the path. */
  file: string | null;
}

/**
 * Every program that hooks and checks of these recipes name, and those of whatever these need beside them; each is looked
 * for anew. Throws what reading a folder throws.
 */
export async function recipeTools(
  folders: { one(recipe: string): Promise<Pick<RecipeSettings, 'tools' | 'deps'>> },
  recipes: readonly string[],
  searchPath: string,
): Promise<RecipeTool[]> {
  const read = new Set<string>();
  const namedBy = new Map<string, string[]>();
  const left = [...recipes];
  for (const recipe of left) {
    if (read.has(recipe)) continue;
    read.add(recipe);
    const { tools, deps } = await folders.one(recipe);
    for (const tool of tools) namedBy.set(tool, [...(namedBy.get(tool) ?? []), recipe]);
    left.push(...deps);
  }
  return Promise.all(
    [...namedBy].map(async ([name, by]) => ({ name, by, file: await findTool(name, searchPath) })),
  );
}

/**
 * The same of all recipes that are swept or reconciled, together. A folder that cannot be read names none, which its own
 * run says; a host without recipes has none either.
 */
export async function toolsOfSwept(
  folders: Pick<Recipes, 'all' | 'one'>,
  searchPath: string,
): Promise<RecipeTool[]> {
  const found = new Map<string, RecipeTool>();
  for (const { recipe, exception, live } of await folders.all().catch(() => [])) {
    if (exception !== null && !live) continue;
    for (const tool of await recipeTools(folders, [recipe], searchPath).catch(() => [])) {
      const by = [...new Set([...(found.get(tool.name)?.by ?? []), ...tool.by])];
      found.set(tool.name, { ...tool, by });
    }
  }
  return [...found.values()];
}

/** What this host lacks of what one recipe needs, as one line; null where it has it all. Throws as recipeTools() does. */
export async function lackFor(
  folders: Parameters<typeof recipeTools>[0],
  recipe: string,
  searchPath: string,
): Promise<string | null> {
  return lackOf(await recipeTools(folders, [recipe], searchPath), searchPath);
}

/** What this host lacks of them and what to do, as one line; null where it has them all. */
export function lackOf(tools: readonly RecipeTool[], searchPath: string): string | null {
  const lines = tools.flatMap(({ name, by, file }) =>
    file === null
      ? [`${name}, which ${by.join(' and ')} names in "tools", is not on ${searchPath}: ${howToGet(name)}`]
      : [],
  );
  return lines.length === 0 ? null : lines.join('; ');
}
