// The first step of anything typed in a fresh clone: `node setup/bootstrap.mjs <entry.ts> [arguments]`.
// Plain JavaScript, since nothing is installed yet. Installs the npm packages if need be, then runs the entry.

// oxlint-disable-next-line no-restricted-imports -- host/machine/process.ts cannot be loaded before its packages are there
import { spawnSync } from 'node:child_process';
import { statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const OLDEST_NODE = 20;
const clone = fileURLToPath(new URL('..', import.meta.url));

/** @param {string} why @returns {never} */
function fail(why) {
  console.error(why);
  process.exit(1);
}

/** @param {string} file When it was last changed; 0 when there is none. */
function changed(file) {
  return statSync(path.join(clone, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

const [entry, ...rest] = process.argv.slice(2);
if (entry === undefined) fail('usage: node setup/bootstrap.mjs <entry.ts> [arguments]');
if (parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(`this is Node ${process.versions.node}, and ${OLDEST_NODE} or newer is needed`);
}

// npm writes this file last
const INSTALLED = 'node_modules/.package-lock.json';
// Not there when what is installed is for production alone.
const FOR_DEVELOPMENT = 'node_modules/tsx';
if (changed(INSTALLED) < changed('package-lock.json') || changed(FOR_DEVELOPMENT) === 0) {
  console.log('npm packages: installing what package-lock.json says (a minute)');
  const npm = process.env.npm_execpath;
  const [file, ...args] = npm ? [process.execPath, npm] : ['npm'];
  // Not `npm ci`: it refuses a lock file written behind a registry that lacks packages of other platforms.
  const options = ['install', '--no-save', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync(file, [...args, ...options], { cwd: clone, stdio: 'inherit' });
  if (error) fail(`npm could not be started: ${error.message}`);
  if (status !== 0) fail('npm install failed; its last lines are above');
  // unchanged when there was nothing to do
  utimesSync(path.join(clone, INSTALLED), new Date(), new Date());
}

const file = path.resolve(clone, entry);
process.argv = [process.execPath, file, ...rest];
const { register } = await import('tsx/esm/api');
register();
await import(pathToFileURL(file).href);
