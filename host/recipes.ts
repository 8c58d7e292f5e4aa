import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Fault, messageOf } from '../domain/fault.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { mistakeLines, readRecipeFolder } from './recipe-folder.ts';

/** What a recipe's folder says of its enrolment. */
export interface Enrolment {
  recipe: string;
  /** Why it is not enrolled; null when it is. */
  exception: string | null;
  /** What is wrong with its folder. Its own run says so and ends; the other recipes do not mind. */
  problem: string | null;
}

/** The recipes folder: enrolment and each recipe's settings. Read anew for every sweep. */
export interface Recipes {
  /** Every recipe with a folder, by name. Throws Fault BadConfig only when there is no such folder. */
  all(): Promise<Enrolment[]>;
  /** One recipe. Throws Fault BadConfig. */
  one(recipe: string): Promise<RecipeSettings>;
}

export function createRecipes(folder: string): Recipes {
  async function one(recipe: string): Promise<RecipeSettings> {
    const read = await readRecipeFolder(folder, recipe);
    if (read.ok) return read.settings;
    const lines = mistakeLines(read.mistakes).map((line) => `  ${line}`);
    throw new Fault('BadConfig', `${path.join(folder, recipe)}:\n${lines.join('\n')}`);
  }

  return {
    one,
    async all() {
      const entries = await readdir(folder).catch((error: unknown) => {
        throw new Fault('BadConfig', `recipes folder ${folder}: ${messageOf(error)}`);
      });
      const found: Enrolment[] = [];
      for (const recipe of entries.sort()) {
        if (!(await stat(path.join(folder, recipe))).isDirectory()) continue;
        found.push(
          await one(recipe).then(
            ({ exception }) => ({ recipe, exception, problem: null }),
            (error: unknown) => ({ recipe, exception: null, problem: messageOf(error) }),
          ),
        );
      }
      return found;
    },
  };
}
