import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import ms from 'ms';
import { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';
import { checkGitUrl } from '../domain/git-url.ts';
import { isRecipeName } from '../domain/names.ts';
import type { RecipeSettings } from '../domain/recipe-settings.ts';
import { readYamlFile } from './yaml-file.ts';

/** recipes/<name>/recipe.yml, as written. Every key is explained in recipes/recipe.example.yml. */
const variables = z
  .record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/, 'an environment variable in capitals'), z.string())
  .prefault({});

const duration = z
  .string()
  .regex(/^\d+(s|m|h)$/, 'a whole number with a unit: s, m or h, as in 90s')
  .transform((written) => ms(written as ms.StringValue));

const httpProbe = z.strictObject({
  protocol: z.literal('http').prefault('http'),
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'a path that begins with /')
    .prefault('/'),
  status: z.array(z.number().int().min(100).max(599)).min(1).nullable().prefault(null),
  contains: z.string().min(1).nullable().prefault(null),
  redirects: z.enum(['answer', 'follow']).prefault('answer'),
  certificate: z.enum(['any', 'trusted']).prefault('any'),
});

const socketProbe = z.strictObject({
  protocol: z.enum(['tcp', 'udp']),
  port: z.number().int().min(1).max(65_535),
  service: z.string().min(1).prefault('app'),
  tls: z.boolean().prefault(false),
  send: z
    .string()
    .regex(/^([0-9a-f]{2})+$/, 'bytes in hexadecimal, as in 0a1b')
    .nullable()
    .prefault(null),
  expect: z.string().min(1).nullable().prefault(null),
});

const schema = z.strictObject({
  upstream: z.string().superRefine((url, context) => {
    const checked = checkGitUrl(url);
    if (!checked.ok) context.addIssue({ code: 'custom', message: checked.reason });
  }),
  exception: z.string().min(1).optional(),
  hold: z.string().min(1).optional(),
  env: variables,
  upgrade_env: variables,
  deps: z.array(z.string()).prefault([]),
  probe: z.union([httpProbe, socketProbe]).optional(),
  allow: z.array(z.string()).prefault([]),
  timeouts: z.strictObject({ hook: duration.prefault('5m'), check: duration.prefault('10m') }).prefault({}),
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

/** Hooks, checks and the overlay, by what stands in the recipe's folder. */
async function executables(folder: string): Promise<Pick<RecipeSettings, 'hooks' | 'checks' | 'overlay'>> {
  const listed = async (name: string): Promise<string[]> =>
    (await readdir(path.join(folder, name)).catch((): string[] => [])).sort();
  const overlay = path.join(folder, 'overlay.yml');
  return {
    hooks: Object.fromEntries(
      (await listed('hooks')).map((name) => [name, path.join(folder, 'hooks', name)]),
    ),
    checks: (await listed('checks')).map((name) => path.join(folder, 'checks', name)),
    overlay: (await listed('.')).includes('overlay.yml') ? overlay : null,
  };
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
    const { exception, hold, upgrade_env, probe, ...rest } = await readYamlFile(file, schema);
    return {
      ...rest,
      recipe,
      exception: exception ?? null,
      hold: hold ?? null,
      upgradeEnv: upgrade_env,
      probe: probe ?? null,
      ...(await executables(path.join(folder, recipe))),
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
