/**
 * Names derive from what they name, so that a second attempt of a step finds what the first one made.
 */

/** A recipe's name as Co-op Cloud writes it; also a folder, a part of a domain and of a workflow ID. */
const RECIPE_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const LONGEST_RECIPE_NAME = 40;

export function isRecipeName(text: string): boolean {
  return text.length <= LONGEST_RECIPE_NAME && RECIPE_NAME.test(text);
}

/** Throws RangeError unless the text is a recipe's name, and so no path. */
export function checkedRecipe(text: string): string {
  if (!isRecipeName(text)) throw new RangeError(`not a recipe name: ${JSON.stringify(text.slice(0, 100))}`);
  return text;
}

/** The workflow ID of a recipe's run: that of who asked for it, say a sweep, and the recipe. */
export function recipeRunId(asker: string, recipe: string): string {
  return `${asker}/${recipe}`;
}

/** Whose run a workflow of that ID is, and the workflow ID of who asked; null for one that is no recipe's run. */
export function parseRecipeRunId(id: string): { asker: string; recipe: string } | null {
  const slash = id.lastIndexOf('/');
  const recipe = id.slice(slash + 1);
  return slash < 0 || !isRecipeName(recipe) ? null : { asker: id.slice(0, slash), recipe };
}

/** The stable domain at which a recipe's canonical is installed. */
export function warmDomain(recipe: string, zone: string): string {
  return `warm-${recipe}.${zone}`;
}

/**
 * By what the names of a run end: six hex digits from the end of the workflow's run ID, which is random there (its
 * beginning may be a time). The same for every attempt of a run.
 */
export function runDigits(runId: string): string {
  return runId.replace(/[^0-9a-f]/g, '').slice(-6);
}

/** A run in one short word: the recipe's first four letters and the run's six hex digits. */
export function runShortName(recipe: string, runId: string): string {
  return `${recipe.replace(/-/g, '').slice(0, 4)}-${runDigits(runId)}`;
}

/** The throw-away domain of one run. */
export function coldDomain(recipe: string, zone: string, runId: string): string {
  return `${runShortName(recipe, runId)}.${zone}`;
}

/** abra's rule: the domain with its dots as underscores. */
export function stackName(domain: string): string {
  return domain.replaceAll('.', '_');
}
