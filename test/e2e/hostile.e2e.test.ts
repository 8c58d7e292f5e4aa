import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import type { SweepReport } from '../../domain/report.ts';
import { noneIfMissing } from '../../host/machine/durable-file.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import { runFolderName, siteRoot } from '../../host/store/places.ts';
import type { Service } from '../../host/machine/child.ts';
import { type SweepResult } from '../../workflows/protocol.ts';
import { createGitRepo } from '../fixtures/git-repo.ts';
import { serveGitOverHttp, type GitOverHttp } from '../fixtures/git-over-http.ts';
import { filledIn, type Places } from '../hostile/cases/hostile-case.ts';
import { OVERLAY_CASES } from '../hostile/cases/overlays.ts';
import { RECIPE_CASES, RELEASE, type RecipeFile } from '../hostile/cases/recipe-files.ts';
import { REF_CASES } from '../hostile/cases/refs.ts';
import { INPUT_CASES } from '../hostile/cases/workflow-input.ts';
import { writeRecipe, writeRefCase } from '../hostile/hostile-repository.ts';
import { expectClear, listing } from '../hostile/surroundings.ts';
import { everyFile, everyHistory, formsOf, watchProcesses, type ProcessWatch } from './secret-search.ts';
import { startSystem, until, type System } from './system.ts';

/**
 * One sweep of hostile recipes, each refused, beside a neighbour whom they are after; then a recipe that prints
 * its secret, and last a good one. Afterwards every planted secret is looked for in all that is left.
 */

/** Their repositories take a minute to write or read; recipe-files and upstreams try them without the swarm. */
const TOO_LARGE = new Set(['tag-20000', 'tree-bomb', 'tree-many-files']);
const SWEPT_FILES = RECIPE_CASES.filter(({ says }) => says !== null);
const SWEPT_REFS = REF_CASES.filter(({ name }) => !TOO_LARGE.has(name));

const LEAKY = 'leaky';
const GOOD = 'zz-plain-text';

const secret = (what: string): string => `${what}-${randomBytes(9).toString('base64url')}`;
/** By what they are. The app's own is read from inside its container. */
const planted = {
  'token of the forge': secret('forge'),
  'token of an upstream': secret('upstream'),
  'variable of the worker': secret('worker'),
};
const appSecrets = new Set<string>();

let system: System;
let worker: Service;
let places: Places;
let forge: GitOverHttp;
let upstreams: GitOverHttp;
let processes: ProcessWatch;
let commands: ProcessRunner;
let neighbour: string;
let before: unknown;
let outsideBefore: string[];
let report: SweepReport;
let printed = '';
const engineSaid: string[] = [];

beforeAll(async () => {
  system = await startSystem(inject('temporal'), [], {
    workerEnv: { WORKER_SECRET: planted['variable of the worker'] },
    limits: { attempts: 2, stable: '2s' },
    images: 'local',
  });
  const { folder } = system;
  neighbour = `neighbour${randomBytes(3).toString('hex')}_example_org`;
  places = { outside: path.join(folder, 'outside'), neighbour };
  await mkdir(places.outside);
  await writeFile(path.join(places.outside, 'secret'), 'of the host\n');
  commands = processRunner({ environment: { PATH: process.env['PATH'] ?? '', HOME: folder } });
  forge = await serveGitOverHttp(path.join(folder, 'forge'), 'bot', planted['token of the forge']);
  upstreams = await serveGitOverHttp(path.join(folder, 'homes'), 'reader', planted['token of an upstream']);
  await publish();
  await system.configure({
    mirrors: `${withUser(forge.origin, 'bot', planted['token of the forge'])}/{recipe}.git`,
  });
  await deployNeighbour();
  before = await lookAtNeighbour();
  worker = await system.startWorker();
  outsideBefore = await besideTheState();
  // The worker was given a secret in its own environment; what it starts must not have it.
  processes = watchProcesses(() => new Set([worker.pid]));
}, 180_000);

afterAll(async () => {
  processes?.stop();
  forge?.close();
  upstreams?.close();
  await removeNeighbour();
  await system?.stop();
}, 180_000);

/** What the host has besides what is ours to write. */
async function besideTheState(): Promise<string[]> {
  const names = (await readdir(system.folder)).filter((name) => name !== 'state').sort();
  return [...(await listing(places.outside)), ...names];
}

function withUser(origin: string, user: string, token: string): string {
  return origin.replace('http://', `http://${user}:${token}@`);
}

/** Every recipe's upstream, its recipe.yml, and an empty mirror at the forge. */
async function publish(): Promise<void> {
  const { folder } = system;
  const made = async (recipe: string): Promise<Awaited<ReturnType<typeof createGitRepo>>> => {
    const repo = await createGitRepo(commands, path.join(folder, 'homes', recipe));
    await mkdir(path.join(folder, 'recipes', recipe), { recursive: true });
    await writeFile(
      path.join(folder, 'recipes', recipe, 'recipe.yml'),
      stringify({
        upstream:
          recipe === LEAKY
            ? `${withUser(upstreams.origin, 'reader', planted['token of an upstream'])}/${recipe}/.git`
            : repo.folder,
      }),
    );
    const mirror = path.join(folder, 'forge', `${recipe}.git`);
    await mkdir(mirror, { recursive: true });
    await commands.output({ file: 'git', args: ['init', '--quiet', '--bare', '.'], cwd: mirror });
    return repo;
  };
  for (const { name, files } of SWEPT_FILES) await writeRecipe(await made(name), files, places);
  for (const { name, files, overlay } of OVERLAY_CASES) {
    await writeRecipe(await made(name), files, places);
    await writeFile(path.join(folder, 'recipes', name, 'overlay.yml'), filledIn(overlay, places));
  }
  for (const hostile of SWEPT_REFS) await writeRefCase(commands, await made(hostile.name), hostile, places);
  await writeRecipe(await made(LEAKY), LEAKY_FILES, places);
  await writeRecipe(await made(GOOD), GOOD_FILES, places);
}

const KEY = 'secrets: {key: {external: true, name: "${STACK_NAME}_key_${SECRET_KEY_VERSION}"}}';

/** Prints its secret in colours, steers the terminal, and crashes. */
const LEAKY_FILES: Record<string, RecipeFile> = {
  '.env.sample': 'DOMAIN=leaky.example.com\nSECRET_KEY_VERSION=v1 # length=24\n',
  'compose.yml': `
version: '3.8'
services:
  app:
    image: localhost/recipe-sweep/nginx:1.22
    command:
      - /bin/sh
      - -c
      - |
        key=$$(cat /run/secrets/key)
        printf '\\033[31mredis://:%s@db\\033[0m\\n' "$$key"
        printf 'key=\\033[1m%s\\033[0m \\033]0;owned\\007\\342\\200\\256sdrawkcab\\n' "$$key"
        sleep 2
        exit 1
    secrets: [key]
    deploy:
      restart_policy: {delay: 1s}
      labels: ["coop-cloud.\${STACK_NAME}.version=${RELEASE}", "coop-cloud.\${STACK_NAME}.timeout=8"]
${KEY}
`,
};

/** What is hostile in it is plain text to us, so that it passes. */
const GOOD_FILES: Record<string, RecipeFile> = {
  '.env.sample': [
    'DOMAIN=neighbour.example.org',
    'STACK_NAME=@NEIGHBOUR@',
    'LD_PRELOAD=@OUTSIDE@/evil.so',
    'A=$(touch @CANARY@)',
    'SECRET_KEY_VERSION=v1 # length=24',
    '',
  ].join('\n'),
  'abra.sh': 'touch @CANARY@\nexport B=`touch @CANARY@`\nexport DOCKER_HOST=tcp://evil.invalid:1\n',
  names: 'HOME\nWORKER_SECRET\nDOCKER_CONFIG\n',
  'compose.yml': `
version: '3.8'
services:
  app:
    image: localhost/recipe-sweep/nginx:1.22
    env_file: names
    environment: [HOME, PATH, WORKER_SECRET, GIT_CONFIG_GLOBAL, "TEXT=\${A} <\${B}> \${STACK_NAME}"]
    labels: [recipe-sweep.zone=elsewhere, com.docker.stack.namespace=@NEIGHBOUR@]
    volumes: ["data:/data"]
    secrets: [key]
    deploy:
      restart_policy: {delay: 1s}
      update_config: {monitor: 1s}
      labels:
        - coop-cloud.\${STACK_NAME}.version=${RELEASE}
        - recipe-sweep.zone=elsewhere
        - recipe-sweep.lifetime=warm
        - com.docker.stack.namespace=@NEIGHBOUR@
volumes: {data: {labels: {recipe-sweep.zone: elsewhere, com.docker.stack.namespace: "@NEIGHBOUR@"}}}
${KEY}
`,
};

async function deployNeighbour(): Promise<void> {
  const compose = path.join(system.folder, 'neighbour.yml');
  await writeFile(path.join(system.folder, 'neighbour.txt'), 'ours\n');
  await commands.output({
    file: 'docker',
    args: ['secret', 'create', `${neighbour}_key_v1`, '-'],
    input: 'neighbourly',
  });
  await writeFile(
    compose,
    `version: '3.8'
services:
  app:
    image: localhost/recipe-sweep/nginx:1.22
    networks: [internal]
    volumes: ["data:/data"]
    secrets: [key]
    configs: [conf]
    deploy: {labels: ["traefik.http.routers.${neighbour}.rule=Host(\`${neighbour}.example.org\`)"]}
networks: {internal: {name: ${neighbour}_internal}}
volumes: {data: }
secrets: {key: {external: true, name: ${neighbour}_key_v1}}
configs: {conf: {name: ${neighbour}_conf_v1, file: neighbour.txt}}
`,
  );
  await commands.output({
    file: 'docker',
    args: ['stack', 'deploy', '--resolve-image', 'never', '-c', compose, neighbour],
  });
  await until(
    async () =>
      (
        await system.docker.listContainers({
          filters: { label: [`com.docker.stack.namespace=${neighbour}`] },
        })
      ).length === 1,
  );
}

/** All of the neighbour that docker knows, but for what changes by itself. */
async function lookAtNeighbour(): Promise<unknown> {
  const { docker } = system;
  const filters = { label: [`com.docker.stack.namespace=${neighbour}`] };
  const json = JSON.stringify(filters);
  const [services, containers, networks, { Volumes }, configs, secrets] = await Promise.all([
    docker.listServices({ filters: json }),
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters: json }),
    docker.listVolumes({ filters: json }),
    docker.listConfigs({ filters: json }),
    docker.listSecrets(),
  ]);
  return {
    services: services.map(({ ID, Version, Spec }) => ({ ID, Version, Spec })),
    containers: containers.map(({ Id, State }) => ({ Id, State })),
    networks: networks.map(({ Id, Name, Labels }) => ({ Id, Name, Labels })),
    volumes: Volumes,
    configs,
    secrets: secrets.filter(({ Spec }) => Spec?.Name === `${neighbour}_key_v1`),
    files: await Promise.all(Volumes.map(({ Mountpoint }) => listing(Mountpoint))),
  };
}

async function removeNeighbour(): Promise<void> {
  if (commands === undefined || neighbour === undefined) return;
  await commands.run({ file: 'docker', args: ['stack', 'rm', neighbour] });
  const filters = { label: [`com.docker.stack.namespace=${neighbour}`] };
  await until(async () => (await system.docker.listContainers({ all: true, filters })).length === 0);
  await commands.run({ file: 'docker', args: ['secret', 'rm', `${neighbour}_key_v1`] });
  await commands.run({ file: 'docker', args: ['volume', 'rm', `${neighbour}_data`] });
}

/** Notes what containers of ours have: the secret inside, and what the engine says of them. */
async function lookInside(): Promise<void> {
  const { docker, zone } = system;
  const label = [`recipe-sweep.zone=${zone}`];
  for (const service of await docker.listServices({ filters: JSON.stringify({ label }) })) {
    engineSaid.push(JSON.stringify(service.Spec));
  }
  for (const { Id } of await docker.listContainers({ filters: { label } })) {
    const exec = await docker
      .getContainer(Id)
      .exec({ Cmd: ['cat', '/run/secrets/key'], AttachStdout: true, Tty: true });
    const stream = await exec.start({ Tty: true });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    // Before it stands what ld.so has to say of the recipe's LD_PRELOAD.
    const last = text.trim().split(/\s+/).at(-1) ?? '';
    if (/^\w{24}$/.test(last)) appSecrets.add(last);
  }
}

describe('a sweep of hostile recipes', () => {
  test('refuses each in one line and goes on to the good one', async () => {
    let over = false;
    const looking = (async () => {
      while (!over) {
        await lookInside().catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    })();
    const { status, stdout, stderr } = await system.cli('sweep');
    over = true;
    await looking;
    printed += stdout + stderr;
    expect(status).toBe(1);
    report = JSON.parse((await system.cli('results', '--json')).stdout) as SweepReport;
    const outcomes = new Map(report.recipes.map(({ recipe, outcome }) => [recipe, outcome]));
    expect(outcomes.size).toBe(SWEPT_FILES.length + OVERLAY_CASES.length + SWEPT_REFS.length + 2);
    expect(outcomes.get(GOOD)).toEqual({ kind: 'PASS', promoted: RELEASE });
    expect(outcomes.get(LEAKY)).toMatchObject({ kind: 'FAIL', tier: 'install' });
  });

  test.each(SWEPT_FILES)('$name: FAIL, and why', ({ name, says }) => {
    const outcome = report.recipes.find(({ recipe }) => recipe === name)?.outcome;
    expect(outcome).toMatchObject({ kind: 'FAIL', tier: 'install', canonical: null });
    const why = outcome?.kind === 'FAIL' ? outcome.why : '';
    expectClear(why, filledIn(says ?? '', places));
    expect(why).not.toContain('\n');
  });

  test.each(OVERLAY_CASES)('$name: ERROR, and why', ({ name, says }) => {
    const outcome = report.recipes.find(({ recipe }) => recipe === name)?.outcome;
    expect(outcome).toMatchObject({ kind: 'ERROR', cause: 'infrastructure' });
    expectClear(outcome?.kind === 'ERROR' ? outcome.why : '', says ?? '');
  });

  test.each(SWEPT_REFS)('$name: the right release, or ERROR mirror-sync and why', ({ name, says }) => {
    const found = report.recipes.find(({ recipe }) => recipe === name);
    if (says === null) {
      expect(found).toMatchObject({
        release: { version: RELEASE },
        outcome: { kind: 'FAIL', tier: 'install' },
      });
    } else {
      expect(found?.outcome).toMatchObject({ kind: 'ERROR', cause: 'mirror-sync' });
      expectClear(found?.outcome.kind === 'ERROR' ? found.outcome.why : '', says);
    }
  });

  test('leaves the neighbour, the host and nothing of its own behind', async () => {
    expect(await lookAtNeighbour()).toEqual(before);
    expect(await besideTheState()).toEqual(outsideBefore);
    const left = (await system.ours()).filter((thing) => !thing.includes(' warm-zz-plain-text_'));
    expect(left).toEqual([]);
  });

  test('gave the app nothing of the worker, and labels that are ours', () => {
    const specs = engineSaid.filter((spec) => spec.includes('zz-plain-text') || spec.includes('zzpl'));
    expect(specs.length).toBeGreaterThan(0);
    for (const spec of specs) {
      expect(spec).toContain(`"recipe-sweep.zone":"${system.zone}"`);
      expect(spec).not.toContain('elsewhere');
      expect(spec).not.toContain(`"com.docker.stack.namespace":"${neighbour}"`);
      expect(spec).not.toMatch(/HOME=\/|PATH=\/|DOCKER_CONFIG|GIT_CONFIG/);
      // What its own env says is its own, and goes nowhere else.
      expect(spec).toContain('evil.so');
    }
  });
});

describe('what somebody types', () => {
  test.each(INPUT_CASES)('$name: $hostile', async ({ name, workflow, input, says }) => {
    const handle = await system.temporal.client.workflow.start(workflow, {
      workflowId: `typed-${name}`,
      taskQueue: system.taskQueue,
      args: [...input],
    });
    const failure = await handle.result().then(
      () => 'it was not refused',
      (error: { cause?: { message?: string } }) => error.cause?.message ?? '',
    );
    expectClear(failure, says ?? '');
  });

  test('a workflow ID that climbs out of a folder, and two long ones that begin alike', async () => {
    const long = '../'.repeat(300);
    for (const workflowId of ['../../../hostile-canary', `${long}a`, `${long}b`]) {
      const handle = await system.temporal.client.workflow.start('sweepWorkflow', {
        workflowId,
        taskQueue: system.taskQueue,
        args: [{ recipes: ['image-option'] }],
      });
      const result = (await handle.result()) as SweepResult;
      expect(path.dirname(path.dirname(result.report ?? ''))).toBe(path.join(system.state, 'sweeps'));
      const read = JSON.parse(await readFile(result.report ?? '', 'utf8')) as SweepReport;
      expect(read.sweep).toBe(workflowId);
    }
    expect(await besideTheState()).toEqual(outsideBefore);
  });

  test.each([
    [['sweep', '../../etc'], 'not a recipe name'],
    [['canonical', 'show', '../../../etc/passwd'], 'not a recipe name'],
    [['results', '../../../../etc/passwd'], 'no report at'],
    [['results', '\u001b[2J\u202e'], 'no report at'],
  ])('%j is refused in one line', async (args, words) => {
    const { status, stdout, stderr } = await system.cli(...args);
    expect(status).not.toBe(0);
    printed += stdout + stderr;
    expectClear(`${stdout}${stderr}`.trim(), words);
  });
});

/** The worker itself (a child looks like it until it is another program), and what loads its TypeScript. */
function isOfTheWorker(where: string): boolean {
  return /^process (\S+ \S+\/bin\/recipe-sweep --config \S+ worker $|\S+\/esbuild --service=)/.test(where);
}

describe('planted secrets', () => {
  test('are in no history, file, terminal or process listing', async () => {
    expect(appSecrets.size).toBeGreaterThan(1);
    for (const [index, value] of [...appSecrets].entries())
      Object.assign(planted, { [`app's ${index}`]: value });
    // The site tells of all of it, too.
    const { workflow } = report.recipes.find(({ recipe }) => recipe === LEAKY) ?? {};
    const leaky = path.join(siteRoot(system.state), 'runs', runFolderName(workflow?.id ?? ''));
    const pagesOf = (): Promise<string[]> => readdir(leaky).catch(noneIfMissing);
    await until(async () => (await pagesOf()).includes('index.html'), 60_000);
    // The operator wrote two of them into these.
    const given = new Set([system.configFile, path.join(system.folder, 'recipes', LEAKY, 'recipe.yml')]);
    const shown = new Map([
      ...(await everyHistory(system.temporal.client)),
      ...(await everyFile(system.folder, given)),
      [
        'terminal',
        printed + (await system.cli('results')).stdout + (await system.cli('status')).stdout,
      ] as const,
      ...[...processes.seen].map(([line, text]) => [`process ${line}`, text] as const),
    ]);
    // The search finds what is there.
    const all = [...shown.values()].join('\n');
    for (const there of [forge.origin, 'image-option', 'redis://:***@db', '--git-dir=.', 'http-backend']) {
      expect(all).toContain(there);
    }
    const pages = [...shown].filter(([where]) => where.startsWith(leaky)).map(([, text]) => text);
    expect(pages.join('\n')).toContain('key=***');
    const ofGit = [...processes.seen].filter(([line]) => line.startsWith('git '));
    expect(ofGit.some(([, text]) => text.includes('credential.http://127.0.0.1'))).toBe(true);

    const hits = [...shown].flatMap(([where, text]) =>
      Object.entries(planted)
        .filter(([what]) => !(what === 'variable of the worker' && isOfTheWorker(where)))
        .filter(([, value]) => formsOf(value).some((form) => text.includes(form)))
        .map(([what]) => `${what} in ${where}`),
    );
    expect(hits).toEqual([]);
  });

  test('are masked in the log that is kept as evidence, which steers no terminal', async () => {
    const outcome = report.recipes.find(({ recipe }) => recipe === LEAKY)?.outcome;
    const log = await readFile(outcome?.kind === 'FAIL' ? outcome.evidence : '', 'utf8');
    expect(log).toContain('key=***');
    expect(log).toContain('\\u{202e}sdrawkcab');
    expect(log).not.toMatch(/[^\P{C}\n\t]/u);
  });
});
