import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { App } from '../../domain/app.ts';
import { LONGEST_VALUE } from '../recipe-format/env.ts';
import { hookEvidence, type AppScripts } from '../scripts/app-scripts.ts';
import { inSecretsFolder, type WrittenSecrets } from '../secrets/ensure.ts';
import { Red } from './red.ts';

/** What the hook install brings to one deployment. */
export interface Installed {
  /** By their keys in compose. */
  secrets: WrittenSecrets['values'];
  /** What is set over the app's env: what nobody knows before the hook ran, as what it made in a dependency is called. */
  env: Readonly<Record<string, string>>;
}

/**
 * Runs the recipe's hook install. Answers what it brings; of its secrets nothing is on a disk any more then. Throws Red
 * when it fails.
 */
export async function runInstallHook(scripts: Pick<AppScripts, 'hook'>, app: App): Promise<Installed> {
  if (app.settings.hooks.install === undefined) return { secrets: new Map(), env: {} };
  return inSecretsFolder(app.scratch, async (folder, written) => {
    const variables = await mkdtemp(path.join(app.scratch, 'env-'));
    try {
      const done = await scripts.hook(app, 'install', {
        environment: { SECRETS_DIR: folder, ENV_DIR: variables },
        secrets: async () => [...(await written()).values.values()].map(String),
      });
      if (done?.result === 'fail') throw new Red(done.reason, done.evidence);
      const { values, problem } = await written();
      const { env, problems } = await readVariables(variables);
      for (const wrong of [problem, problems.length > 0 ? `in $ENV_DIR ${problems.join(', ')}` : null]) {
        if (wrong !== null) throw new Red(`hook install: ${wrong}`, hookEvidence(app, 'install'));
      }
      return { secrets: values, env };
    } finally {
      await rm(variables, { recursive: true, force: true });
    }
  });
}

const VARIABLE = /^[A-Z_][A-Z0-9_]*$/;

/** Each file is the value of the variable that it is called after: one line, whose end may be missing. */
async function readVariables(
  folder: string,
): Promise<{ env: Record<string, string>; problems: readonly string[] }> {
  const env: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const file = path.join(folder, name);
    const found = await lstat(file);
    if (!VARIABLE.test(name)) problems.push(`${JSON.stringify(name)} is no variable in capitals`);
    else if (!found.isFile()) problems.push(`${name} is not a file`);
    else if (found.size > LONGEST_VALUE) problems.push(`${name} is larger than ${LONGEST_VALUE} bytes`);
    else {
      const value = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
      if (/[\0\r\n]/.test(value)) problems.push(`${name} is more than a line`);
      else env[name] = value;
    }
  }
  return { env, problems };
}
