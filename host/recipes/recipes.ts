import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Fault, messageOf } from '../../domain/fault.ts';
import { isRecipeName } from '../../domain/names.ts';
import type { RecipeSettings } from '../../domain/recipe-settings.ts';
import { mistakeLines, readRecipeFolder } from './recipe-folder.ts';

/** What a recipe's folder says of its enrolment. */
export interface Enrolment {
  recipe: string;
  /** Why it is not enrolled; null when it is. */
  exception: string | null;
  /** Whether it is a live service, which is never enrolled. */
  live: boolean;
  /** Of a live service, whether an upgrade may change its data; null where its labels say it. */
  stateful: boolean | null;
  /** What is wrong with its folder. Its own run says so and ends; the other recipes do not mind. */
  problem: string | null;
}

/** The recipes folder: enrolment and each recipe's settings. Read anew for every sweep. */
export interface Recipes {
  /** Every recipe with a folder, by name. Throws Fault BadConfig only when there is no such folder. */
  all(): Promise<Enrolment[]>;
  /** Each entry that is taken for no recipe's folder, and why. Files without a recipe's name are not minded. */
  strays(): Promise<{ name: string; what: string }[]>;
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

  /** Each entry by name, and what it is; `nothing` where a link leads nowhere. */
  async function entries(): Promise<{ name: string; is: 'folder' | 'file' | 'nothing' }[]> {
    const names = await readdir(folder).catch((error: unknown) => {
      throw new Fault('BadConfig', `recipes folder ${folder}: ${messageOf(error)}`);
    });
    return Promise.all(
      names.sort().map(async (name) => {
        const found = await stat(path.join(folder, name)).catch(() => null);
        if (found === null) return { name, is: 'nothing' };
        return { name, is: found.isDirectory() ? 'folder' : 'file' };
      }),
    );
  }

  return {
    one,
    async all() {
      const found: Enrolment[] = [];
      for (const { name: recipe, is } of await entries()) {
        if (is !== 'folder' || !isRecipeName(recipe)) continue;
        found.push(
          await one(recipe).then(
            ({ exception, live, stateful }) => ({ recipe, exception, live, stateful, problem: null }),
            (error: unknown) => {
              const unknown = { exception: null, live: false, stateful: null };
              return { recipe, ...unknown, problem: messageOf(error) };
            },
          ),
        );
      }
      return found;
    },
    async strays() {
      return (await entries()).flatMap(({ name, is }) => {
        if (isRecipeName(name) === (is === 'folder')) return [];
        if (is === 'nothing') return [{ name, what: 'a link that leads nowhere; mend it or remove it' }];
        const what =
          is === 'folder'
            ? 'no recipe has such a name (a-z, 0-9 and single hyphens), so it is not swept; move it elsewhere'
            : "a file where a recipe's folder would be; move it elsewhere";
        return [{ name, what }];
      });
    },
  };
}

/** A stray entry as a line of its own. */
export function strayLine(folder: string, { name, what }: { name: string; what: string }): string {
  return `${JSON.stringify(path.join(folder, name))}: ${what}`;
}
