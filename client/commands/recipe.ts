import path from 'node:path';
import type { Command } from 'commander';
import { green, red } from 'yoctocolors';
import { checkGitUrl } from '../../domain/git-url.ts';
import type { Probe, RecipeSettings } from '../../domain/recipe-settings.ts';
import { mirrorUrl, type Config } from '../../host/config/config.ts';
import { findTool, howToGet } from '../../host/config/environment.ts';
import {
  mistakeLines,
  readRecipeFolder,
  SETTINGS,
  type FolderMistake,
} from '../../host/recipes/recipe-folder.ts';
import { createRecipeFolder } from '../../host/recipes/recipe-template.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { nearPath } from '../render/outcomes.ts';
import { formatDuration } from '../../domain/quantities.ts';
import { safeLines } from '../render/terminal.ts';
import { configOf, printJson, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

/** The recipes' folders: begins one, says what is wrong with them, and what they come to. */
export function addRecipeCommands(program: Command, session: Session): void {
  const recipe = program.command('recipe').description("the recipes' folders; needs no server");
  const { terminal } = session;

  recipe
    .command('new')
    .description('begin a folder for a recipe, with every setting explained')
    .argument('<name>')
    .requiredOption('--upstream <url>', "the git URL of the recipe's home repository")
    .action(async (name: string, options: { upstream: string }, command: Command) => {
      checkRecipeNames([name]);
      const config = await configOf(session, command);
      const { folder, files } = await createRecipeFolder(config.recipes, name, options.upstream);
      const near = nearPath(folder, session.cwd);
      terminal.out(
        [`made ${near}`, ...files.map((file) => `  ${file}`), '', ...nextSteps(config, name, near)].join(
          '\n',
        ),
      );
    });

  recipe
    .command('check')
    .description("what is wrong with the recipes' folders, all of them or those named")
    .argument('[recipe...]')
    .option('--json')
    .action(async (asked: string[], options: { json?: true }, command: Command) => {
      const checked = await checkFolders(await configOf(session, command), asked);
      if (options.json) printJson(session, checked);
      else terminal.out(renderChecked(checked));
      if (checked.some(({ ok }) => !ok)) session.exitStatus = EXIT.red;
    });

  recipe
    .command('show')
    .description('how a recipe is tested: its settings, hooks and checks, defaults included')
    .argument('<recipe>')
    .option('--json')
    .action(async (name: string, options: { json?: true }, command: Command) => {
      checkRecipeNames([name]);
      const { recipes } = await configOf(session, command);
      const settings = shown(await createRecipes(recipes).one(name));
      if (options.json) printJson(session, settings);
      else terminal.out(renderSettings(settings, path.join(recipes, name), session.cwd));
    });
}

function nextSteps({ mirrors }: Config, recipe: string, folder: string): string[] {
  const mirror = mirrorUrl({ mirrors }, recipe);
  const checked = checkGitUrl(mirror);
  const made =
    checked.ok && checked.folder !== null ? 'is made by the first sweep' : 'must exist, for us to push to';
  return [
    'next:',
    `  its mirror ${checked.ok ? checked.url : mirror} ${made}`,
    `  set what ${path.join(folder, 'recipe.yml')} explains, and fit the scripts to the app`,
    `  recipe-sweep recipe check ${recipe}`,
    '  recipe-sweep doctor',
    `  recipe-sweep sweep ${recipe}`,
    `  recipe-sweep results --recipe ${recipe}`,
    'It is enrolled from now on: the weekly sweep takes it too, unless its recipe.yml has a hold.',
    'docs/recipes.md explains each step.',
  ];
}

/** A recipe's entry in `recipe check --json`. */
export interface CheckedFolder {
  recipe: string;
  ok: boolean;
  /** Empty when it is ok. */
  mistakes: FolderMistake[];
}

async function checkFolders(
  { recipes, path: searchPath }: Pick<Config, 'recipes' | 'path'>,
  asked: readonly string[],
): Promise<CheckedFolder[]> {
  const folder = createRecipes(recipes);
  const there = (await folder.all()).map(({ recipe }) => recipe);
  if (there.length === 0)
    throw new CommandStopped(`no recipe has a folder in ${recipes}; begin one: recipe-sweep recipe new`);
  const strange = asked.filter((name) => !there.includes(name));
  if (strange.length > 0) {
    const quoted = strange.map((name) => JSON.stringify(name)).join(', ');
    throw new CommandStopped(`no folder in ${recipes}: ${quoted}`);
  }
  const checked = await Promise.all(
    (asked.length > 0 ? asked : there).map(async (recipe): Promise<CheckedFolder> => {
      const read = await readRecipeFolder(recipes, recipe);
      const mistakes = read.ok ? await lackingTools(read.settings, searchPath) : read.mistakes;
      return { recipe, ok: mistakes.length === 0, mistakes };
    }),
  );
  const strays = asked.length > 0 ? [] : await folder.strays();
  return [
    ...checked,
    ...strays.map(({ name, what }) => ({
      recipe: name,
      ok: false,
      mistakes: [{ file: '.', path: null, what }],
    })),
  ];
}

/** Hooks and checks of the recipe would end for want of them, here. */
async function lackingTools({ tools }: RecipeSettings, searchPath: string): Promise<FolderMistake[]> {
  const looked = tools.map(async (name, at): Promise<FolderMistake[]> => {
    if ((await findTool(name, searchPath)) !== null) return [];
    const what = `${name} is not on ${searchPath}: ${howToGet(name)}`;
    return [{ file: SETTINGS, path: `tools.${at}`, what }];
  });
  return (await Promise.all(looked)).flat();
}

function renderChecked(checked: readonly CheckedFolder[]): string {
  return checked
    .flatMap(({ recipe, ok, mistakes }) => [
      `${ok ? green('ok   ') : red('WRONG')}  ${safeLines(recipe)}`,
      ...mistakeLines(mistakes).map((line) => `         ${safeLines(line)}`),
    ])
    .join('\n');
}

/** The shape of `recipe show --json`: a password in the upstream's URL is not shown. */
export type ShownRecipe = Omit<RecipeSettings, 'timeouts'> & {
  timeouts: { hookMs: number; checkMs: number };
};

function shown({ timeouts, upstream, ...rest }: RecipeSettings): ShownRecipe {
  const checked = checkGitUrl(upstream);
  return {
    ...rest,
    upstream: checked.ok ? checked.url : '',
    timeouts: { hookMs: timeouts.hook, checkMs: timeouts.check },
  };
}

function renderSettings(settings: ShownRecipe, folder: string, cwd: string): string {
  const { exception, hold, env, upgradeEnv, preReleases, oneShot, deps, tools } = settings;
  const { allow, timeouts, hooks, checks } = settings;
  const variables = (values: Readonly<Record<string, string>>): string[] =>
    Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const rows: [string, readonly string[]][] = [
    ['folder', [nearPath(folder, cwd)]],
    ['upstream', [settings.upstream]],
    ['enrolled', [exception === null ? 'yes' : `no: ${exception}`]],
    ['held', [hold === null ? 'no' : `yes: ${hold}`]],
    ['env', variables(env)],
    ['upgrade env', variables(upgradeEnv)],
    ['prereleases', [preReleases ? 'tested too' : 'not tested']],
    ['one-shot', oneShot],
    ['deps', deps],
    ['tools', tools],
    ['probe', [probeWords(settings.probe)]],
    ['allow', allow],
    ['timeouts', [`hook ${formatDuration(timeouts.hookMs)}, check ${formatDuration(timeouts.checkMs)}`]],
    ['hooks', Object.keys(hooks)],
    ['checks', checks.map((file) => path.basename(file))],
    ['overlay', settings.overlay === null ? [] : [path.basename(settings.overlay)]],
  ];
  const lines = rows.flatMap(([name, values]) =>
    (values.length === 0 ? ['none'] : values).map(
      (value, index) => `${(index === 0 ? name : '').padEnd(13)}${value}`,
    ),
  );
  return safeLines([settings.recipe, ...lines].join('\n'));
}

function probeWords(probe: Probe | null): string {
  if (probe === null) {
    return 'GET / answers a 2xx or 3xx, where compose has a service for the proxy; else its tasks are judged';
  }
  if (probe.protocol === 'http') {
    const { path: asked, status, contains, redirects, certificate } = probe;
    return [
      `GET ${asked} answers ${status === null ? 'a 2xx or 3xx' : status.join(' or ')}`,
      ...(contains === null ? [] : [`with ${JSON.stringify(contains)} in its body`]),
      ...(redirects === 'follow' ? ['where redirects end'] : []),
      ...(certificate === 'trusted' ? ['with a certificate that is trusted'] : []),
    ].join(', ');
  }
  const { protocol, port, service, tls, send, expect } = probe;
  return [
    `${protocol} port ${port} of service ${service}${tls ? ', in TLS' : ''}`,
    ...(send === null ? [] : [`is sent ${send}`]),
    `answers ${expect === null ? 'anything' : `what matches ${expect}`}`,
  ].join(', ');
}
