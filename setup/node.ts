import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** The Node and npm that run this, and how the person reaches the network with them, for a Debian that has neither. */

const AUTHORITIES = '/usr/local/share/ca-certificates';

/**
 * Copies them to where they are looked for under this root. `update-ca-certificates` in there then has it trust those
 * whom this machine was told to trust.
 */
export async function copyNode(root: string): Promise<void> {
  const bin = path.join(root, 'usr/local/bin');
  const npm = path.join(root, 'usr/local/lib/node_modules/npm');
  await mkdir(bin, { recursive: true });
  await mkdir(path.dirname(npm), { recursive: true });
  await copyFile(await realpath(process.execPath), path.join(bin, 'node'));
  await cp(npmFolder(), npm, { recursive: true });
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, path.join(bin, name));
  await mkdir(path.join(root, AUTHORITIES), { recursive: true });
  for (const name of authorities())
    await copyFile(path.join(AUTHORITIES, name), path.join(root, AUTHORITIES, name));
  await mkdir(path.join(root, 'root'), { recursive: true });
  await writeFile(path.join(root, 'root/.npmrc'), npmSettings());
}

/** Everything that copyNode copies, in so far as it may differ. */
export function whatIsCopied(): readonly string[] {
  const npm = readFileSync(path.join(npmFolder(), 'package.json'), 'utf8');
  const trusted = authorities().map((name) => readFileSync(path.join(AUTHORITIES, name), 'utf8'));
  return [process.version, npm, npmSettings(), ...trusted];
}

function npmFolder(): string {
  const npm = process.env['npm_execpath'];
  if (npm === undefined) throw new Error('npm does not say where it is: type this as npm run …');
  return path.dirname(path.dirname(npm));
}

function authorities(): string[] {
  return existsSync(AUTHORITIES) ? readdirSync(AUTHORITIES).filter((name) => name.endsWith('.crt')) : [];
}

function npmSettings(): string {
  const file = path.join(os.homedir(), '.npmrc');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
