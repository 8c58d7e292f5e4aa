import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';
import { checkGitUrl } from '../domain/git-url.ts';
import { isRecipeName } from '../domain/names.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { readYamlFile } from './yaml-file.ts';

/** recipes/<name>/recipe.yml, as written. Every key is explained in recipes/recipe.example.yml. */
const schema = z.strictObject({
  upstream: z.string().superRefine((url, context) => {
    const checked = checkGitUrl(url);
    if (!checked.ok) context.addIssue({ code: 'custom', message: checked.reason });
  }),
  exception: z.string().min(1).optional(),
  hold: z.string().min(1).optional(),
  env: z
    .record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/, 'an environment variable in capitals'), z.string())
    .prefault({}),
  probe: z
    .strictObject({
      path: z
        .string()
        .regex(/^\/[\x21-\x7e]*$/, 'a path that begins with /')
        .prefault('/'),
      status: z.array(z.number().int().min(100).max(599)).min(1).optional(),
      contains: z.string().min(1).optional(),
    })
    .prefault({}),
});

/** What a recipe's folder says of its enrolment. */
export interface Enrolment {
  recipe: string;
  /** Why it is not enrolled; null when it is. */
  exception: string | null;
  /** What is wrong with its recipe.yml. Its own run says so and ends; the other recipes do not mind. */
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
    const file = path.join(folder, recipe, 'recipe.yml');
    if (!isRecipeName(recipe)) {
      throw new Fault(
        'BadConfig',
        `${path.join(folder, recipe)}: not a recipe name (a-z, 0-9 and single hyphens)`,
      );
    }
    const { upstream, exception, hold, env, probe } = await readYamlFile(file, schema);
    return {
      recipe,
      upstream,
      exception: exception ?? null,
      hold: hold ?? null,
      env,
      probe: { path: probe.path, status: probe.status ?? null, contains: probe.contains ?? null },
    };
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
