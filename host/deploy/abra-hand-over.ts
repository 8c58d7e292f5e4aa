import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { App } from '../../domain/app.ts';
import { Fault } from '../../domain/fault.ts';
import type { Evidence } from '../evidence/evidence.ts';
import type { Finished } from '../machine/process.ts';
import { atTerminal } from '../machine/terminal.ts';
import { envText } from '../recipe-format/env.ts';
import { POST_COMMANDS } from '../recipe-format/post-commands.ts';
import { abraEnv, abraFolder, abraRecipe, appDeployArgs } from './abra.ts';
import { handOverBy, type HandOver, type HandOverSettings } from './hand-over.ts';

/** It asks the registry for each image, too. */
const APP_DEPLOY_MS = 300_000;

/** What abra wrote, in the app's evidence folder. */
const OUTPUT = 'abra-app-deploy.txt';

/** What is known of it by then is that this abra, or how it was called, does not fit; nothing of the package. */
const UNFIT =
  /inappropriate ioctl|unknown (shorthand )?flag|flag provided but not defined|unknown command|abra: not found/i;

export interface AbraSettings extends HandOverSettings {
  fit: Evidence['fit'];
}

/**
 * By `abra app deploy` at a pseudo-terminal, as abra needs one even to ask nothing. It deploys the very files that
 * `docker stack deploy` would be given, which are those that were checked, from a repository of the commit under test.
 */
export function handOverByAbra({ fit, ...settings }: AbraSettings): HandOver {
  return async (app, files, env) => {
    await layOut(app, files, env);
    const saidIn = ({ stdout }: Finished): Promise<string> => fit(app, shown(stdout));
    const keep = async (finished: Finished): Promise<string> => {
      const file = path.join(app.evidence, OUTPUT);
      await writeFile(file, await saidIn(finished));
      return file;
    };
    const finished = await handOverBy(settings, app, {
      name: 'abra app deploy',
      command: atTerminal({
        file: 'abra',
        args: appDeployArgs(app.domain),
        cwd: app.evidence,
        env: { ABRA_DIR: abraFolder(app) },
        timeoutMs: APP_DEPLOY_MS,
      }),
      saidIn,
      refuseUnfit(said) {
        if (!UNFIT.test(said)) return;
        const how = 'recipe-sweep doctor says which abra is wanted; or set "deployer: swarm"';
        throw new Fault('Preflight', `abra app deploy ${app.domain}: ${said}; ${how}`);
      },
      keep,
      refuses: 'abra refuses to deploy it',
    });
    await keep(finished);
  };
}

/** What a terminal shows once all is written: a line that was written over is its last writing. */
function shown(written: string): string {
  return stripVTControlCharacters(written)
    .split('\n')
    .map((line) => line.replace(/\r+$/, '').split('\r').at(-1) ?? '')
    .join('\n');
}

/**
 * Puts into the app's ABRA_DIR what is not of the release: its env, and its compose files beside those of the
 * repository. What was there of an earlier deployment goes.
 */
async function layOut(app: App, files: readonly string[], env: ReadonlyMap<string, string>): Promise<void> {
  const recipe = abraRecipe(app);
  const names = files.map((file) => `recipe-sweep-${file}`);
  for (const [at, file] of files.entries()) {
    const target = path.join(recipe, names[at] ?? file);
    // Whatever the release has there, a link that leads out of it too.
    await rm(target, { recursive: true, force: true });
    await copyFile(path.join(app.evidence, file), target);
  }
  // Its exports are in the env and its functions are ours to call; what else abra may read of it, we did not check.
  await rm(path.join(recipe, 'abra.sh'), { recursive: true, force: true });
  const values = new Map(env);
  for (const variable of Object.values(POST_COMMANDS)) values.delete(variable);
  values.set('TYPE', app.recipe);
  values.set('RECIPE', app.recipe);
  values.set('DOMAIN', app.domain);
  values.set('STACK_NAME', app.stack);
  values.set('COMPOSE_FILE', names.join(':'));
  const file = abraEnv(app);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, envText(values), { mode: 0o600 });
}
