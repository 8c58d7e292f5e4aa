import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';
import { checkGitUrl } from '../domain/git-url.ts';
import { isRecipeName } from '../domain/names.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { problems } from './config.ts';

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

/** The recipes folder: enrolment and each recipe's settings. Read anew for every sweep. */
export interface Recipes {
  /** Every recipe with a folder, by name. Throws Fault BadConfig listing all that is wrong in any of them. */
  all(): Promise<RecipeSettings[]>;
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
    let written: unknown;
    try {
      written = parse(await readFile(file, 'utf8'), { prettyErrors: false });
    } catch (error) {
      throw new Fault('BadConfig', `${file}: cannot be read: ${messageOf(error)}`);
    }
    const checked = schema.safeParse(written);
    if (!checked.success) throw new Fault('BadConfig', `${file}:\n${problems(checked.error)}`);
    const { upstream, exception, hold, env, probe } = checked.data;
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
      const names: string[] = [];
      for (const entry of entries.sort()) {
        if ((await stat(path.join(folder, entry))).isDirectory()) names.push(entry);
      }
      const read = await Promise.allSettled(names.map(one));
      const wrong = read
        .filter((result) => result.status === 'rejected')
        .map(({ reason }) => messageOf(reason));
      if (wrong.length > 0) throw new Fault('BadConfig', wrong.join('\n'));
      return read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    },
  };
}
