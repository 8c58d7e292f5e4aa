import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import os from 'node:os';
import Dockerode from 'dockerode';
import type { Environment } from '../domain/environment.ts';
import { quotableLine } from '../domain/printable.ts';
import type { Config } from './config/config.ts';
import {
  declaredEnvironment,
  findTool,
  TOOLS,
  versionArguments,
  WORKER_VARIABLES,
} from './config/environment.ts';
import { sumOf } from './machine/file-sum.ts';
import type { ProcessRunner } from './machine/process.ts';
import { toolsOfSwept } from './recipe-tools.ts';
import type { Recipes } from './recipes/recipes.ts';
import type { Services } from './store/services.ts';
import { BUILT_FROM, VERSION } from './version.ts';

/** What of this host decides verdicts, found anew. What cannot be found out is a part that says so: nothing is thrown. */

const LOOK_MS = 10_000;

export interface FingerprintSettings {
  config: Config;
  commands: ProcessRunner;
  recipes: Recipes;
  services: Pick<Services, 'list' | 'lastGood'>;
}

/**
 * The parts: this program, Node, kernel, engine; each declared program and each that recipes name, with its file and its
 * version; the declared variables, and those of our own that Node reads; the settings by which an app is deployed and judged; and the
 * release of each live service. Nothing that changes by itself, and nothing that only evidence needs, as a browser.
 */
export async function lookAtEnvironment({
  config,
  commands,
  recipes,
  services,
}: FingerprintSettings): Promise<Environment> {
  const { deployer, probe, docker, limits } = config;
  const named = await toolsOfSwept(recipes, config.path);
  const deploying = deployer === 'abra' ? ['script', 'abra'] : [];
  const tools = [...new Set([...TOOLS, ...deploying, ...named.map(({ name }) => name)])];
  const parts: Record<string, string> = {
    'recipe-sweep': BUILT_FROM === null ? VERSION : `${VERSION}, of sources ${BUILT_FROM.slice(0, 12)}`,
    node: process.version,
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    umask: await umask(),
    'docker engine': await engineVersion(docker.socket),
    deployer,
    'probe.via': probe.via,
    'docker.pull': docker.pull,
    ...Object.fromEntries(
      (['tier', 'promote', 'deploy', 'stable'] as const).map((name) => [
        `limits.${name}`,
        `${limits[name]} ms`,
      ]),
    ),
  };
  for (const [name, value] of Object.entries(declaredEnvironment(config))) parts[`variable ${name}`] = value;
  for (const name of WORKER_VARIABLES) {
    const value = process.env[name];
    if (value !== undefined) parts[`variable ${name} of the worker`] = value;
  }
  const found = await Promise.all(tools.map((name) => toolAndVersion(commands, name, config.path)));
  for (const [at, name] of tools.entries()) parts[`tool ${name}`] = found[at] ?? 'unknown';
  for (const service of await services.list().catch(() => [])) {
    parts[`service ${service}`] = await services.lastGood(service).then(
      (good) => good?.version ?? 'none that is known to be healthy',
      () => 'its record cannot be read',
    );
  }
  return { fingerprint: fingerprintOf(parts), parts };
}

/** In hexadecimal, short enough to be told apart by eye. */
function fingerprintOf(parts: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(parts).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 12);
}

async function toolAndVersion(commands: ProcessRunner, name: string, searchPath: string): Promise<string> {
  const found = await findTool(name, searchPath);
  if (found === null) return `not on ${searchPath}`;
  const file = await realpath(found).catch(() => found);
  const said = await commands
    .run({ file: found, args: versionArguments(name), timeoutMs: LOOK_MS })
    .catch(() => null);
  const line = said?.status === 0 ? quotableLine(said.stdout.trim().split('\n')[0] ?? '') : '';
  if (line !== '') return `${file}, ${line}`;
  const sum = await sumOf(file).catch(() => null);
  return `${file}, ${sum === null ? 'which cannot be read' : `sha256 ${sum.sha256.slice(0, 12)}`}`;
}

async function engineVersion(socketPath: string): Promise<string> {
  const docker = new Dockerode({ socketPath, timeout: LOOK_MS });
  return docker.version().then(
    ({ Version }) => Version,
    () => 'does not answer',
  );
}

/** What files are made with, of scripts too. Asking Node for it would set it for a moment, for everybody. */
async function umask(): Promise<string> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return /^Umask:\s+(\d+)$/m.exec(status)?.[1] ?? 'unknown';
}
