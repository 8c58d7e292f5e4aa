import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { messageOf } from '../domain/fault.ts';
import { isBuilt, recordInputs } from './built-from.ts';
import { machine } from './machine.ts';

/**
 * `npm run build`: makes dist/, which is all that bin/recipe-sweep runs. It is the command and the worker in plain
 * JavaScript, as tsconfig.build.json says, the files that they find relative to themselves, and the bundle of the
 * workflows, so that nothing is compiled where it runs. Types are not checked here: `npm run types` does.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = path.join(ROOT, 'dist');
const BUNDLE = 'workflow-bundle.js';
/** What the compiled code finds there that the build itself makes. */
const MADE = [BUNDLE, 'built-from.json'];
/** What decides beside the sources: versions of packages, the compiler's settings, and this file. */
const RECIPE = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'setup/build.ts'];

/** Standard output is that of `npm pack --json`, which builds first. */
function say(line: string): void {
  console.error(`build: ${line}`);
}

async function build(): Promise<void> {
  const began = Date.now();
  const fresh = `${DIST}-${randomBytes(4).toString('hex')}`;
  await mkdir(fresh);
  try {
    const compiled = await compile(fresh);
    await writeFile(path.join(fresh, BUNDLE), await workflowBundle());
    const assets = await copyAssets(fresh, compiled);
    const sources = compiled.map((file) => file.replace(/\.js$/, '.ts'));
    const inputs = [...new Set([...RECIPE, ...sources, ...assets])].sort();
    await refuseChanged(inputs, began);
    recordInputs(fresh, ROOT, inputs);
    await putInPlace(fresh);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  say(`dist/ made in ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

/** Answers the files that the compiler wrote, by their paths in the folder. */
async function compile(folder: string): Promise<string[]> {
  const { status, stdout, stderr } = await machine.run({
    file: path.join(ROOT, 'node_modules/.bin/tsc'),
    args: ['-p', path.join(ROOT, 'tsconfig.build.json'), '--outDir', folder],
  });
  if (status !== 0) throw new Error(`tsc failed\n${stdout}${stderr}`);
  return (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'));
}

/** The SDK's bundler leaves its source map in the code. Paths in it are relative, the same wherever it is built. */
async function workflowBundle(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(ROOT, 'workflows/index.ts'),
    logger: new DefaultLogger('WARN', ({ message }) => say(message)),
    webpackConfigHook: (config) => ({
      ...config,
      context: ROOT,
      output: { ...config.output, devtoolModuleFilenameTemplate: '[resource-path]' },
    }),
  });
  return code;
}

/**
 * Copies what the compiled code finds relative to itself, each to the same place in the folder, and answers their
 * paths. The code may say so in one way only, or a file would be missed here and then be missing where it is run.
 */
async function copyAssets(folder: string, compiled: readonly string[]): Promise<string[]> {
  const assets: string[] = [];
  for (const file of compiled) {
    const code = await readFile(path.join(folder, file), 'utf8');
    const found = [...code.matchAll(/new URL\('([^']+)', import\.meta\.url\)/g)];
    if (found.length !== code.split('import.meta').length - 1) {
      throw new Error(`${file}: a file beside it is found by new URL('…', import.meta.url), in these words`);
    }
    for (const [, relative = ''] of found) {
      const asset = path.join(path.dirname(file), relative);
      if (MADE.includes(asset)) continue;
      if (!existsSync(path.join(ROOT, asset)))
        throw new Error(`${file} asks for ${asset}, which is not there`);
      await cp(path.join(ROOT, asset), path.join(folder, asset), { recursive: true });
      assets.push(asset);
    }
  }
  return assets;
}

/** What was changed meanwhile may be in the record and not in what was compiled. */
async function refuseChanged(inputs: readonly string[], since: number): Promise<void> {
  for (const input of inputs) {
    const { mtimeMs } = await stat(path.join(ROOT, input));
    if (mtimeMs >= since) throw new Error(`${input} was changed while it was being built: build again`);
  }
}

/** Whole or not at all, also when two build at once: the last one stays. */
async function putInPlace(fresh: string): Promise<void> {
  const old = `${fresh}-old`;
  for (let placed = false; !placed;) {
    await rename(DIST, old).catch(unless('ENOENT'));
    placed = await rename(fresh, DIST).then(() => true, unless('ENOTEMPTY', 'EEXIST'));
    await rm(old, { recursive: true, force: true });
  }
}

/** Answers false for these errors, and throws any other. */
function unless(...codes: string[]): (error: NodeJS.ErrnoException) => false {
  return (error) => {
    if (codes.includes(error.code ?? '')) return false;
    throw error;
  };
}

try {
  if (isBuilt(ROOT)) say('dist/ is of these sources already');
  else await build();
} catch (error) {
  say(messageOf(error));
  process.exitCode = 1;
}
