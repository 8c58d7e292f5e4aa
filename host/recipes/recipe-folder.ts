import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { dependencyVariables, secretVariables } from '../../domain/dependency.ts';
import { KEYCLOAK } from '../../domain/realm.ts';
import { messageOf } from '../../domain/fault.ts';
import { isRecipeName } from '../../domain/names.ts';
import { TIERS } from '../../domain/outcome.ts';
import { HOOKS, type Hook, type RecipeSettings } from '../../domain/recipe-settings.ts';
import { startOf } from '../machine/executable.ts';
import { isMapping, parseCompose } from '../recipe-format/compose.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { recipeYml } from './recipe-yml.ts';
import { readRegularFile } from '../machine/regular-file.ts';
import { checkYaml, readYaml, type Mistake } from '../machine/yaml-file.ts';

/**
 * Reads one recipes/<name>/ folder: schema, then normalise, then the rules that keys and files keep together.
 * Whatever is wrong is told at once, so that an operator mends it in one go.
 */

/** One thing that is wrong in a recipe's folder. */
export interface FolderMistake extends Mistake {
  /** Seen from the recipe's folder, as in `recipe.yml` or `hooks/install`. */
  file: string;
}

/** A recipe's settings, or everything that is wrong with them. */
export type RecipeFolder = { ok: true; settings: RecipeSettings } | { ok: false; mistakes: FolderMistake[] };

/** A file in hooks/ or checks/ that ends so is there to be read, and is never run. */
const SAMPLE = '.sample';

/** Says where the recipe comes from, and how it is tested. */
export const SETTINGS = 'recipe.yml';
const OVERLAY = 'overlay.yml';

const isHook = (name: string): name is Hook =>
  [...HOOKS, ...TIERS.flatMap((tier) => [`before-${tier}`, `after-${tier}`])].includes(name);

const KNOWN_HOOKS = `${HOOKS.join(', ')}, and before-<tier> and after-<tier> with ${TIERS.join(', ')}`;

/** What stands in a folder under a name that is nearly one of ours would be passed over in silence. */
const NEARLY: ReadonlyMap<string, string> = new Map([
  ['hook', 'hooks'],
  ['check', 'checks'],
  ['recipe.yaml', SETTINGS],
  ['overlay.yaml', OVERLAY],
  ['compose.overlay.yml', OVERLAY],
]);

/** A part of the folder: what it holds, and what is wrong with that. */
interface Part<T> {
  found: T;
  mistakes: FolderMistake[];
}

/** Reads and checks `<recipes>/<recipe>/`. Throws only what the disk does. */
export async function readRecipeFolder(recipes: string, recipe: string): Promise<RecipeFolder> {
  const folder = path.join(recipes, recipe);
  if (!isRecipeName(recipe)) {
    return { ok: false, mistakes: [inFile('.', 'not called as a recipe can be (a-z, 0-9, single hyphens)')] };
  }
  const entries = (await readdir(folder).catch((): string[] => [])).sort();
  const settings = await readSettings(recipes, recipe);
  const hooks = await readHooks(folder);
  const checks = await readChecks(folder);
  const overlay = entries.includes(OVERLAY) ? await readOverlay(folder) : null;
  const mistakes = [
    ...settings.mistakes,
    ...entries.flatMap((name) => {
      const meant = NEARLY.get(name);
      return meant === undefined ? [] : [inFile(name, `${meant} is meant: no other name is looked at`)];
    }),
    ...hooks.mistakes,
    ...checks.mistakes,
    ...(overlay?.mistakes ?? []),
  ];
  if (mistakes.length > 0 || settings.found === null) return { ok: false, mistakes };
  const own = { hooks: hooks.found, checks: checks.found, overlay: overlay?.found ?? null };
  return { ok: true, settings: { recipe, ...settings.found, ...own } };
}

/** The mistakes of a folder as an operator reads them, a line each. */
export function mistakeLines(mistakes: readonly FolderMistake[]): string[] {
  return mistakes.map((mistake) =>
    [mistake.file, mistake.path, mistake.what].filter((part) => part !== null).join(': '),
  );
}

function inFile(file: string, what: string): FolderMistake {
  return { file, path: null, what };
}

type Written = Omit<RecipeSettings, 'recipe' | 'hooks' | 'checks' | 'overlay'>;

async function readSettings(recipes: string, recipe: string): Promise<Part<Written | null>> {
  const part = (found: Written | null, mistakes: readonly Mistake[]): Part<Written | null> => ({
    found,
    mistakes: mistakes.map((mistake) => ({ file: SETTINGS, ...mistake })),
  });
  const read = await readYaml(path.join(recipes, recipe, SETTINGS));
  if (!read.ok) return part(null, read.mistakes);
  const checked = checkYaml(read.data, recipeYml);
  const deps = dependenciesIn(read.data);
  const broken = [
    ...(await wrongDependencies(recipes, recipe, deps)),
    ...wrongService(read.data, deps),
    ...unknownVariables(read.data, 'env', deps),
    ...unknownVariables(read.data, 'upgrade_env', deps),
  ];
  if (!checked.ok) return part(null, [...checked.mistakes, ...broken]);
  const {
    upgrade_base: _,
    exception = null,
    stateful = null,
    hold = null,
    upgrade_env: upgradeEnv,
    prereleases: preReleases,
    one_shot: oneShot,
    probe = null,
    ...rest
  } = checked.data;
  const notEnrolled = rest.live ? LIVE : exception;
  const settings = {
    ...rest,
    exception: notEnrolled,
    stateful,
    hold,
    upgradeEnv,
    preReleases,
    oneShot,
    probe,
  };
  return part(settings, broken);
}

/** Why a live service is not enrolled. */
const LIVE = 'a shared live service, which has its own reconcile';

/** What a live service cannot be, and what nothing else can. */
function wrongService(written: unknown, deps: readonly string[]): Mistake[] {
  const isLive = under(written, 'live') === true;
  const mistakes = [
    isLive && under(written, 'exception') !== undefined
      ? { path: 'exception', what: '`live: true` says already that it is not enrolled' }
      : null,
    isLive && deps.length > 0
      ? { path: 'deps', what: 'a live service has nothing that lives and dies with a run' }
      : null,
    !isLive && under(written, 'stateful') !== undefined
      ? { path: 'stateful', what: 'of a live service alone: it needs `live: true`' }
      : null,
  ];
  return mistakes.filter((mistake) => mistake !== null);
}

/** What stands under a key, whatever else is wrong with the file. */
function under(written: unknown, key: string): unknown {
  return isMapping(written) ? written[key] : undefined;
}

function dependenciesIn(written: unknown): string[] {
  const checked = recipeYml.shape.deps.safeParse(under(written, 'deps'));
  return checked.success ? checked.data : [];
}

async function wrongDependencies(
  recipes: string,
  recipe: string,
  deps: readonly string[],
): Promise<Mistake[]> {
  const wrong = deps.map(async (dependency, at): Promise<Mistake[]> => {
    const mistake = (what: string): Mistake[] => [{ path: `deps.${at}`, what }];
    if (dependency === recipe) return mistake('the recipe itself');
    const file = path.join(recipes, dependency, SETTINGS);
    const there = await stat(file).catch(() => null);
    if (there === null) return mistake(`${dependency} has no folder of its own: there is no ${file}`);
    const circle = await circleFrom(recipes, [recipe, dependency]);
    return circle === null ? [] : mistake(`they need each other: ${circle.join(' → ')}`);
  });
  return (await Promise.all(wrong)).flat();
}

/** The way on from the last of these recipes, by what each needs, that comes to one of them again. */
async function circleFrom(recipes: string, way: readonly string[]): Promise<string[] | null> {
  const read = await readYaml(path.join(recipes, way.at(-1) ?? '', SETTINGS));
  for (const next of read.ok ? dependenciesIn(read.data) : []) {
    if (way.includes(next)) return [...way.slice(way.indexOf(next)), next];
    const circle = await circleFrom(recipes, [...way, next]);
    if (circle !== null) return circle;
  }
  return null;
}

/** `${DEP_…}` in the values of a key that stands for nothing, since no dependency has that name. */
function unknownVariables(written: unknown, key: 'env' | 'upgrade_env', deps: readonly string[]): Mistake[] {
  const nowhere = { version: null, domain: '', stack: '', url: '' };
  const realm = { name: '', issuer: '', clientId: '', user: '' };
  const known = Object.keys(
    dependencyVariables(
      deps.map((recipe) => ({ recipe, ...nowhere, ...(recipe === KEYCLOAK ? { realm } : {}) })),
    ),
  );
  const secret = new Set(Object.keys(secretVariables(KEYCLOAK, { clientSecret: '', password: '' })));
  const values = under(written, key);
  return Object.entries(isMapping(values) ? values : {}).flatMap(([name, value]): Mistake[] => {
    const written = [...String(value).matchAll(/\$\{?DEP_\w*\}?/g)].map(([reference]) => reference);
    const secrets = written.filter((reference) => secret.has(reference.replaceAll(/[${}]/g, '')));
    if (secrets.length > 0) {
      const what = `${secrets.join(', ')} is a secret, and everybody reads env: have the hook install write it into $SECRETS_DIR/<key>, as a secret of the stack`;
      return [{ path: `${key}.${name}`, what }];
    }
    const unknown = written.filter((reference) => !known.some((variable) => reference === `\${${variable}}`));
    if (unknown.length === 0) return [];
    const forms = known.map((variable) => `\${${variable}}`).join(', ');
    const what = `${unknown.join(', ')} stands for nothing; known here: ${forms || 'none, since deps names no recipe'}`;
    return [{ path: `${key}.${name}`, what }];
  });
}

async function readHooks(folder: string): Promise<Part<RecipeSettings['hooks']>> {
  const { found, mistakes } = await readExecutables(folder, 'hooks');
  const unknown = found.filter((name) => !isHook(name));
  const unheard = found.includes('write-data') && !found.includes('check-data');
  return {
    found: Object.fromEntries(found.map((name) => [name, path.join(folder, 'hooks', name)])),
    mistakes: [
      ...unknown.map((name) => inFile(`hooks/${name}`, `no hook is called so; known are ${KNOWN_HOOKS}`)),
      ...(unheard ? [inFile('hooks/write-data', 'needs a hook check-data that looks for the data')] : []),
      ...mistakes,
    ],
  };
}

const CHECK_NAME = /^[a-z0-9][a-z0-9._-]*$/;

async function readChecks(folder: string): Promise<Part<string[]>> {
  const { found, mistakes } = await readExecutables(folder, 'checks');
  const misnamed = found.filter((name) => !CHECK_NAME.test(name));
  return {
    found: found.map((name) => path.join(folder, 'checks', name)),
    mistakes: [
      ...misnamed.map((name) =>
        inFile(`checks/${name}`, "a check's name is of a-z, 0-9, dot, underscore and hyphen"),
      ),
      ...mistakes,
    ],
  };
}

/** The names of the files in hooks/ or checks/ that are to be run, and why some of them cannot be. */
async function readExecutables(folder: string, kind: 'hooks' | 'checks'): Promise<Part<string[]>> {
  let entries: string[];
  try {
    entries = await readdir(path.join(folder, kind));
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { found: [], mistakes: absent ? [] : [inFile(kind, messageOf(error))] };
  }
  const found = entries.filter((name) => !name.startsWith('.') && !name.endsWith(SAMPLE)).sort();
  const wrong = found.map(async (name) => {
    const why = await whyNotRunnable(path.join(folder, kind, name));
    return why === null ? [] : [inFile(`${kind}/${name}`, why)];
  });
  return { found, mistakes: (await Promise.all(wrong)).flat() };
}

const INTERPRETED = '#!';

async function whyNotRunnable(file: string): Promise<string | null> {
  const found = await stat(file).catch(() => null);
  if (found === null) return 'a link that leads nowhere';
  if (!found.isFile()) return 'not a regular file';
  if ((found.mode & 0o111) === 0) return `not executable: chmod +x ${file}`;
  const { isProgram, firstLine } = await startOf(file);
  if (isProgram) return null;
  if (!firstLine.startsWith(INTERPRETED)) return 'begins with no #! line, so nothing says what runs it';
  return firstLine.endsWith('\r') ? 'its lines end in CRLF, so its interpreter is not found' : null;
}

async function readOverlay(folder: string): Promise<Part<string>> {
  const found = path.join(folder, OVERLAY);
  try {
    parseCompose(await readRegularFile(found), OVERLAY);
    return { found, mistakes: [] };
  } catch (error) {
    if (!(error instanceof RecipeProblem)) return { found, mistakes: [inFile(OVERLAY, messageOf(error))] };
    const { line } = error.place;
    return { found, mistakes: [inFile(line === null ? OVERLAY : `${OVERLAY}:${line}`, error.what)] };
  }
}
