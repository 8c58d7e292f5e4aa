import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { stackName } from '../../domain/names.ts';
import { removeLabelled, type System } from './system.ts';

/** What an operator deployed by hand, as abra does it. */
export interface ByHand {
  stack: string;
  domain: string;
  /** Takes away all that was deployed there, whoever did it since. */
  remove(): Promise<void>;
}

export interface ByHandOptions {
  domain: string;
  /** Written into its .env. */
  env?: Readonly<Record<string, string>>;
  /** By their keys, in place of what would be generated. */
  secrets?: Readonly<Record<string, string>>;
  /** The operator's own compose file beside the recipe's. */
  overlay?: string;
}

/** Deploys a published release: a clean checkout of its tag, `.env` of `.env.sample`, secrets, `docker stack deploy`. */
export async function deployByHand(
  { folder, upstreams, docker }: Pick<System, 'folder' | 'upstreams' | 'docker'>,
  recipe: string,
  version: string,
  { domain, env = {}, secrets = {}, overlay }: ByHandOptions,
): Promise<ByHand> {
  const stack = stackName(domain);
  const checkout = path.join(folder, 'by-hand', recipe);
  await mkdir(path.dirname(checkout), { recursive: true });
  await execa('git', ['clone', '--quiet', '--branch', version, upstreams.url(recipe), checkout]);
  const sample = await readFile(path.join(checkout, '.env.sample'), 'utf8');
  const chosen = Object.entries({ ...env, DOMAIN: domain, STACK_NAME: stack });
  const written = [sample, ...chosen.map(([name, value]) => `${name}=${value}`)].join('\n');
  await writeFile(path.join(checkout, '.env'), written);
  for (const [, key = ''] of sample.matchAll(/^SECRET_(\w+)_VERSION=v1/gm)) {
    const name = key.toLowerCase();
    await execa('docker', ['secret', 'create', `${stack}_${name}_v1`, '-'], {
      input: secrets[name] ?? randomBytes(16).toString('hex'),
    });
  }
  // abra puts the whole env into the environment of the service `app`; docker wants the same version in each file
  const all = [written, await readFile(path.join(checkout, 'abra.sh'), 'utf8')].join('\n');
  const names = [...all.matchAll(/^(?:export )?([A-Z_]+)=/gm)].map(([, name = '']) => name);
  const exposed = { version: '3.8', services: { app: { environment: [...new Set(names)] } } };
  await writeFile(path.join(checkout, 'exposed.yml'), stringify(exposed));
  if (overlay !== undefined) {
    await writeFile(path.join(checkout, 'overlay.yml'), `version: '3.8'\n${await readFile(overlay, 'utf8')}`);
  }
  const files = ['compose.yml', 'exposed.yml', ...(overlay === undefined ? [] : ['overlay.yml'])].flatMap(
    (file) => ['-c', file],
  );
  await execa(
    'sh',
    ['-c', 'set -a; . ./.env; . ./abra.sh; exec docker stack deploy "$@"', ...['sh', ...files, stack]],
    { cwd: checkout },
  );
  return {
    stack,
    domain,
    async remove() {
      await removeLabelled(docker, `com.docker.stack.namespace=${stack}`);
      for (const { ID, Spec } of (await docker.listSecrets()) as { ID: string; Spec: { Name: string } }[]) {
        if (Spec.Name.startsWith(`${stack}_`)) await docker.getSecret(ID).remove();
      }
    },
  };
}
