import { createHash, randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type Dockerode from 'dockerode';
import { request } from 'undici';
import { stringify } from 'yaml';
import { processRunner } from '../../host/machine/process.ts';
import { createResults } from '../../host/store/results.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { recipeWorkflowId, SWEEP_WORKFLOW } from '../../workflows/protocol.ts';
import { startSystem, type System } from '../e2e/system.ts';
import { createGitRepo } from '../fixtures/git-repo.ts';
import { startSlowRelay } from '../fixtures/slow-relay.ts';
import { median, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';
import { untilReaped } from './up-to-date.ts';

/**
 * Time of a sweep of recipes whose images come over a line of 20 MB/s, over that of the same recipes swept one by one,
 * where nothing can be pulled ahead. From the first run's start to the last one's end, against the sum of the runs: what
 * a sweep does at its edges is in neither. Each run is of a recipe of its own with an image that the engine never had.
 */
export async function pullingAhead(temporalBinary: string, form: Form): Promise<Figure[]> {
  const setting: Setting =
    form === 'short'
      ? { recipes: 2, megabytes: 40, rounds: 1, stableMs: 3_500 }
      : { recipes: 3, megabytes: 300, rounds: 3, stableMs: 5_000 };
  const rounds = await measure(temporalBinary, setting);
  const seconds = (of: (round: Round) => number): string => (median(rounds.map(of)) / 1000).toFixed(1);
  const { recipes, megabytes } = setting;
  return [
    {
      name: 'a sweep that pulls ahead over its recipes one by one: time',
      unit: 'ratio',
      aim: { atMost: 0.85 },
      samples: rounds.map(({ ahead, alone }) => ahead.ms / alone.ms),
      notes: [
        `${recipes} recipes, each with ${megabytes} MB to pull at ${MEGABYTES_PER_SECOND} MB/s: ${seconds(({ ahead }) => ahead.ms)} s, of which pulling ${seconds(({ ahead }) => ahead.pullingMs)} s; one by one ${seconds(({ alone }) => alone.ms)} s, of which pulling ${seconds(({ alone }) => alone.pullingMs)} s`,
      ],
    },
  ];
}

const MEGABYTES_PER_SECOND = 20;
const VERSION = '1.0.0+1.22';
const REPOSITORY = 'recipe-sweep/nginx';
const TREE = fileURLToPath(new URL('../../fixtures/recipes/custom-html/', import.meta.url));
const DOCKER = 'application/vnd.docker';
const MANIFEST = `${DOCKER}.distribution.manifest.v2+json`;

interface Setting {
  recipes: number;
  megabytes: number;
  rounds: number;
  stableMs: number;
}

interface Took {
  ms: number;
  pullingMs: number;
}

interface Round {
  ahead: Took;
  alone: Took;
}

async function measure(temporalBinary: string, setting: Setting): Promise<Round[]> {
  const system = await startSystem(temporalBinary, []);
  const relay = await startSlowRelay(
    Number(system.registry.host.split(':')[1]),
    MEGABYTES_PER_SECOND * 1_000_000,
  );
  try {
    await system.configure({ limits: { headroom: '1GB', stable: `${setting.stableMs}ms` } });
    // The layers that all of them have are on the engine, so that what is pulled is what is fresh.
    const compose = await system.registry.publish(
      await readFile(path.join(TREE, VERSION, 'compose.yml'), 'utf8'),
    );
    await system.startWorker();
    await untilReaped(system);
    const rounds: Round[] = [];
    for (let round = 0; round < setting.rounds; round++) {
      const make = async (kind: string): Promise<string[]> => {
        const names = Array.from({ length: setting.recipes }, (_, n) => `${kind}-${round}-${n}`);
        for (const name of names) await makeRecipe(system, name, compose, relay.host, setting.megabytes);
        return names;
      };
      const together = await make('ahead');
      const ahead = await sweep(system, `ahead-${round}`, together);
      const alone: RecipeResult[] = [];
      for (const name of await make('alone')) alone.push(...(await sweep(system, name, [name])));
      rounds.push({ ahead: spanOf(ahead), alone: sumOf(alone) });
      await removeImages(system.docker, relay.host);
    }
    return rounds;
  } finally {
    await system.stop();
    await removeImages(system.docker, relay.host);
    relay.close();
  }
}

async function sweep(
  { temporal, taskQueue, state }: System,
  workflowId: string,
  recipes: string[],
): Promise<RecipeResult[]> {
  const { client } = temporal;
  await client.withAbortSignal(interruption, () =>
    client.workflow.execute<typeof sweepWorkflow>(SWEEP_WORKFLOW, {
      workflowId: `sweep-${workflowId}`,
      taskQueue,
      args: [{ recipes }],
    }),
  );
  const results = createResults(state);
  const found: RecipeResult[] = [];
  for (const recipe of recipes) {
    const result = await results.read(recipeWorkflowId(`sweep-${workflowId}`, recipe));
    if (result?.outcome.kind !== 'PASS') throw new Error(`${recipe}: ${JSON.stringify(result?.outcome)}`);
    found.push(result);
  }
  return found;
}

const pullingIn = (results: readonly RecipeResult[]): number =>
  results.reduce((sum, { spentMs }) => sum + (spentMs?.pulling ?? NaN), 0);

function spanOf(results: readonly RecipeResult[]): Took {
  const started = Math.min(...results.map((one) => Date.parse(one.started)));
  const ended = Math.max(...results.map((one) => Date.parse(one.ended)));
  return { ms: ended - started, pullingMs: pullingIn(results) };
}

function sumOf(results: readonly RecipeResult[]): Took {
  const ms = results.map(({ started, ended }) => Date.parse(ended) - Date.parse(started));
  return { ms: ms.reduce((sum, one) => sum + one, 0), pullingMs: pullingIn(results) };
}

/** Enrols a recipe whose one release runs an image that is nowhere but in the registry, behind the line. */
async function makeRecipe(
  { folder, registry }: System,
  name: string,
  compose: string,
  line: string,
  megabytes: number,
): Promise<void> {
  await pushFresh(registry.host, name, megabytes);
  const commands = processRunner({
    environment: { PATH: process.env['PATH'] ?? '', HOME: folder },
    signal: interruption,
  });
  const repo = await createGitRepo(commands, path.join(folder, 'recipes-of-bench', name));
  await cp(path.join(TREE, 'base'), repo.folder, { recursive: true });
  const image = `${registry.host}/${REPOSITORY}:1.22`;
  await repo.commit({ 'compose.yml': compose.replace(image, `${line}/${REPOSITORY}:${name}`) });
  await repo.git('tag', VERSION);
  const ours = path.join(folder, 'recipes', name);
  await mkdir(ours, { recursive: true });
  // What it shows is the page that nginx comes with.
  const settings = { upstream: repo.folder, probe: { contains: 'Welcome to nginx!' } };
  await writeFile(path.join(ours, 'recipe.yml'), stringify(settings));
}

/** Gives the registry the image of the recipes under another tag, with a layer more that holds nothing but noise. */
async function pushFresh(host: string, tag: string, megabytes: number): Promise<void> {
  const url = `http://${host}/v2/${REPOSITORY}`;
  const manifest = JSON.parse(
    (await answerOf('GET', `${url}/manifests/1.22`, { accept: MANIFEST })).toString(),
  ) as Manifest;
  const config = JSON.parse((await answerOf('GET', `${url}/blobs/${manifest.config.digest}`)).toString()) as {
    rootfs: { diff_ids: string[] };
    history?: object[];
  };
  const layer = noise(tag, megabytes * 1_000_000);
  config.rootfs.diff_ids.push(digestOf(layer));
  config.history?.push({ created_by: 'noise' });
  const settings = Buffer.from(JSON.stringify(config));
  for (const blob of [layer, settings]) await pushBlob(url, blob);
  const entry = (mediaType: string, blob: Buffer): Manifest['config'] => ({
    mediaType,
    size: blob.length,
    digest: digestOf(blob),
  });
  manifest.config = entry(manifest.config.mediaType, settings);
  // As it is: what is packed for the way would be unpacked on the engine's own time.
  manifest.layers.push(entry(`${DOCKER}.image.rootfs.diff.tar`, layer));
  const body = JSON.stringify(manifest);
  await answerOf('PUT', `${url}/manifests/${tag}`, { 'content-type': MANIFEST }, body);
}

interface Manifest {
  config: { mediaType: string; size: number; digest: string };
  layers: Manifest['config'][];
}

async function pushBlob(url: string, blob: Buffer): Promise<void> {
  const begun = await request(`${url}/blobs/uploads/`, { method: 'POST', signal: interruption });
  await begun.body.dump();
  const to = new URL(String(begun.headers['location']), url);
  to.searchParams.set('digest', digestOf(blob));
  await answerOf('PUT', to.href, { 'content-type': 'application/octet-stream' }, blob);
}

async function answerOf(
  method: 'GET' | 'PUT',
  url: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Buffer> {
  const answer = await request(url, { method, headers, signal: interruption, ...(body ? { body } : {}) });
  const said = Buffer.from(await answer.body.arrayBuffer());
  if (answer.statusCode < 300) return said;
  throw new Error(`${method} ${url}: ${answer.statusCode} ${said.toString().slice(0, 500)}`);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

const BLOCK = 512;

/** A tar of one file. */
function noise(name: string, bytes: number): Buffer {
  const size = Math.ceil(bytes / BLOCK) * BLOCK;
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  head.write(`noise-${name}`, 0);
  head.write(octal(0o644, 8), 100);
  for (const [at, length] of [
    [108, 8],
    [116, 8],
    [136, 12],
  ] as const)
    head.write(octal(0, length), at);
  head.write(octal(size, 12), 124);
  head.write('        ', 148);
  head.write('0', 156);
  head.write('ustar\0' + '00', 257);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([head, randomBytes(size), Buffer.alloc(2 * BLOCK)]);
}

/** Those that came over the line; the last tag of a repository takes its digests with it. */
async function removeImages(docker: Dockerode, line: string): Promise<void> {
  for (const kind of ['RepoTags', 'RepoDigests'] as const) {
    const images = await docker.listImages({ digests: true });
    const names = images.flatMap((image) => image[kind] ?? []);
    for (const name of names.filter((one) => one.startsWith(`${line}/`)))
      await docker.getImage(name).remove();
  }
}
