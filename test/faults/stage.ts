import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { messageOf } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import { outcomeReason, outcomeTitle } from '../../domain/outcome.ts';
import type { RecipeResult } from '../../domain/report.ts';
import { STACK_LABEL } from '../../host/engine/stack-label.ts';
import { processRunner } from '../../host/machine/process.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { ensureProxyNetwork, importBusybox } from '../e2e/engine.ts';
import { errorBody, packImage, startRegistry, type RegistryAnswer } from '../e2e/registry.ts';
import { removeLabelled, startSystem } from '../e2e/system.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';
import { filesOf, versionOf, type Entry, type Folder, type Names } from './entry.ts';
import { judge, type Verdict } from './judge.ts';

/** Sweeps entries of the catalogue on the real system, one after the other. */
export interface Stage {
  play(entry: Entry): Promise<Verdict>;
  close(): Promise<void>;
}

/** What the fixture image can run, besides what is written into it below. */
const PROGRAMS =
  'sh cat cp date echo false grep gzip head httpd kill mkdir mv nc printf rm sleep test touch true wc wget'.split(
    ' ',
  );

/** Scripts of the image, by their place in it. */
const SCRIPTS = {
  // A page at port 8080, or another one.
  'bin/serve': 'exec httpd -f -p "${1:-8080}" -h /www',
  // The same status for every request.
  'bin/answer':
    'while true; do printf "HTTP/1.0 $1\\r\\nContent-Length: 0\\r\\n\\r\\n" | nc -l -p 8080; done',
};

/** The image that the registry has until it leaves. */
const LEAVING = 'leaving';
/** What it says of images other than that it does not know them. */
const REFUSALS: Readonly<Record<string, RegistryAnswer>> = {
  private: { status: 401, body: errorBody('UNAUTHORIZED', 'authentication required') },
  busy: { status: 429, body: errorBody('TOOMANYREQUESTS', 'you have asked too often') },
};

function importFixture(tag: string, page: string): void {
  importBusybox(tag, PROGRAMS, (root) => {
    for (const folder of ['data', 'tmp', 'www']) mkdirSync(path.join(root, folder));
    writeFileSync(path.join(root, 'www/index.html'), page);
    for (const [name, text] of Object.entries(SCRIPTS)) {
      writeFileSync(path.join(root, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
  });
}

/** An app of somebody else's, which is on the network proxy and is called app, as all are. */
function deployNeighbour(stack: string, image: string): void {
  const app = { image, command: ['serve'], networks: ['proxy'], deploy: { endpoint_mode: 'dnsrr' } };
  const compose = { version: '3.8', services: { app }, networks: { proxy: { external: true } } };
  const deploy = ['stack', 'deploy', '--resolve-image', 'never', '--compose-file', '-', stack];
  execFileSync('docker', deploy, { input: stringify(compose), stdio: ['pipe', 'ignore', 'inherit'] });
}

export async function openStage(temporalBinary: string): Promise<Stage> {
  const repository = `localhost/recipe-sweep/faults-${randomBytes(3).toString('hex')}`;
  const image = `${repository}:1.0`;
  const latest = `${repository}:latest`;
  importFixture(image, 'a page\n');
  execFileSync('docker', ['tag', image, latest]);
  // Other contents, so that nothing on the engine has it once it left.
  const local = `${repository}:leaving`;
  importFixture(local, 'a page that leaves\n');
  const packed = packImage(local);
  execFileSync('docker', ['rmi', local]);
  let left = false;
  const registry = await startRegistry((url) => {
    const [, name = '', what] = /^\/v2\/([^/]+)\/(manifests|blobs)\//.exec(url) ?? [];
    const found = name === LEAVING && !left ? packed.get(url.replace(/.*\//, '')) : undefined;
    if (found !== undefined || what !== 'manifests') return found ?? null;
    return REFUSALS[name] ?? { status: 404, body: errorBody('MANIFEST_UNKNOWN', 'manifest unknown') };
  });
  const installed = {
    image,
    latest,
    registry: registry.host,
    leaving: `${registry.host}/${LEAVING}:1`,
    port: registry.host.replace(/.*:/, ''),
  };
  const system = await startSystem(temporalBinary, [], {
    images: 'local',
    limits: { headroom: '1MB', attempts: 2, stable: '1s', deploy: '30s' },
  });
  const removeProxy = await ensureProxyNetwork(system.docker);
  const neighbour = repository.replace(/.*\//, '');
  deployNeighbour(neighbour, image);
  const git = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  let plays = 0;
  let sweeps = 0;

  async function close(): Promise<void> {
    await system.stop();
    registry.close();
    await removeLabelled(system.docker, `com.docker.stack.namespace=${neighbour}`);
    await removeProxy();
    for (const name of [image, latest, installed.leaving]) {
      await system.docker
        .getImage(name)
        .remove({ force: true })
        .catch((error: { statusCode?: number }) => {
          if (error.statusCode !== 404) throw error;
        });
    }
  }

  async function sweep(recipe: string): Promise<RecipeResult> {
    const workflowId = `faults-${++sweeps}`;
    const { client } = system.temporal;
    const { note, problems } = await client.workflow.execute<typeof sweepWorkflow>('sweepWorkflow', {
      workflowId,
      taskQueue: system.taskQueue,
      args: [{ recipes: [recipe] }],
    });
    const told = [...(note === null ? [] : [note]), ...problems];
    if (told.length > 0) throw new Error(told.join('; '));
    const file = path.join(system.state, 'runs', workflowId, recipe, 'result.json');
    return JSON.parse(readFileSync(file, 'utf8')) as RecipeResult;
  }

  async function leave(): Promise<void> {
    left = true;
    await system.docker.getImage(installed.leaving).remove({ force: true });
  }

  async function playReleases(entry: Entry): Promise<Omit<Verdict, 'entry' | 'seconds'>> {
    left = false;
    // Tags of an entry that is played again would have moved.
    const recipe = `${entry.name}-${++plays}`;
    const names: Names = { ...installed, recipe };
    const upstream = await createGitRepo(git, path.join(system.folder, 'upstreams', recipe));
    writeFolder(path.join(system.folder, 'recipes', recipe), upstream.folder, entry.folder);
    for (const [name, value] of Object.entries(entry.leftovers ?? {})) {
      const stack = stackName(warmDomain(recipe, system.zone));
      const labels = { [STACK_LABEL]: stack, [LABEL.zone]: system.zone, [LABEL.recipe]: recipe };
      await system.docker.createSecret({
        Name: `${stack}_${name}`,
        Labels: { ...labels, [LABEL.lifetime]: 'warm' },
        Data: Buffer.from(value).toString('base64'),
      });
    }
    const { releases } = entry;
    for (const [index, release] of releases.entries()) {
      const { tag = versionOf(entry, index), moves = [] } = release;
      await publish(upstream, filesOf(entry, index, names), [tag, ...moves]);
      if (release.unswept) continue;
      const result = await sweep(recipe);
      const isLast = index === releases.length - 1;
      const expected = isLast ? entry.expected : release.comes;
      if (expected) {
        const verdict = judge({ ...entry, expected }, result);
        if (isLast || verdict.mark !== 'right') return verdict;
      } else if (result.outcome.kind !== 'PASS') {
        const seen = `${outcomeTitle(result.outcome)}: ${outcomeReason(result.outcome)}`;
        return { mark: 'wrong outcome', seen, wrong: [`${versionOf(entry, index)}, before it, must pass`] };
      }
      if (release.imageLeaves) await leave();
    }
    throw new RangeError(`${entry.name}: the last release is not swept`);
  }

  try {
    await system.startWorker();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async play(entry) {
      const began = Date.now();
      const verdict = await playReleases(entry).catch((error: unknown) => {
        const wrong = [`the sweep itself: ${messageOf(error)}`];
        return { mark: 'wrong outcome' as const, seen: 'no answer', wrong };
      });
      return { entry, ...verdict, seconds: Math.round((Date.now() - began) / 1000) };
    },
    close,
  };
}

/** A commit whose tree is exactly these files, with these tags. */
async function publish(
  upstream: GitRepo,
  files: Record<string, string>,
  tags: readonly string[],
): Promise<void> {
  for (const name of await readdir(upstream.folder)) {
    if (name !== '.git') await rm(path.join(upstream.folder, name), { recursive: true });
  }
  await upstream.commit(files);
  for (const tag of tags) {
    await upstream.git('tag', '--force', '--annotate', '--message', `publish ${tag}`, '--', tag);
  }
}

function writeFolder(folder: string, upstream: string, { settings, hooks, checks }: Folder = {}): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'recipe.yml'), stringify({ upstream, ...settings }));
  for (const [kind, scripts] of Object.entries({ hooks, checks })) {
    for (const [name, text] of Object.entries(scripts ?? {})) {
      mkdirSync(path.join(folder, kind), { recursive: true });
      writeFileSync(path.join(folder, kind, name), `#!/bin/sh\nset -eu\n${text}\n`, { mode: 0o755 });
    }
  }
}
