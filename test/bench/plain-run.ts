import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import * as git from '../../host/git/commands.ts';
import { processRunner } from '../../host/machine/process.ts';
import { labelsOf } from '../../host/recipe-format/labels.ts';
import { packArguments, unpackArguments, wipeArguments } from '../../host/data/snapshots.ts';
import { stackDeploy } from '../../host/deploy/docker-hand-over.ts';
import { SWARM_LAG_MS } from '../../host/engine/observe.ts';
import { SERVICE_LABEL, STACK_LABEL } from '../../host/engine/stack-label.ts';
import { interruption } from './interruption.ts';

/**
 * One recipe's run as somebody would type it, with git and docker commands and nothing else: no server, no
 * records, no lock, no judgement beyond "healthy, and still so after the window". It deploys the very compose
 * files that the measured system deployed, renamed to a zone of its own.
 */
export interface PlainRun {
  /** Syncs, tests the release cold with backup and restore, installs it warm, undeploys it and tars its volumes. */
  firstRelease(release: PlainRelease): Promise<void>;
  /** The same for the release after it: an upgrade of the one before in both places. */
  newerRelease(before: PlainRelease, release: PlainRelease): Promise<void>;
  /** Removes whatever is left. */
  cleanUp(): Promise<void>;
}

export interface PlainRelease {
  commit: string;
  /** Evidence folders of the system's own run, which hold the compose files as deployed. */
  deployed: { cold: string; warm: string };
}

export interface PlainSettings {
  folder: string;
  upstream: string;
  /** What the compose files say of the system's own zone and folders, and what stands there instead. */
  renamed: readonly (readonly [from: string, to: string])[];
  stableMs: number;
  /** What is asked of the app. */
  probePath: string;
}

const TASK_ENDED = /^(Complete|Failed|Shutdown|Rejected|Orphaned|Remove) /;
const POLL_MS = 100;

interface Compose {
  services: Record<string, { image: string; deploy?: { labels?: unknown } }>;
  secrets?: Record<string, { name?: string; external?: boolean }>;
  configs?: Record<string, { file?: string }>;
}

interface Deployable {
  stack: string;
  folder: string;
  files: string[];
  compose: Compose[];
}

export function plainRun({ folder, upstream, renamed, stableMs, probePath }: PlainSettings): PlainRun {
  const environment = { PATH: process.env['PATH'] ?? '', HOME: folder, LANG: 'C.UTF-8' };
  let { output, run } = processRunner({ environment, signal: interruption });
  const [work, mirror] = [path.join(folder, 'work.git'), path.join(folder, 'mirror.git')];
  const stacks = new Set<string>();
  let snapshots = 0;

  const renameIn = (text: string): string =>
    renamed.reduce((result, [from, to]) => result.replaceAll(from, to), text);
  const docker = async (...args: string[]): Promise<string> =>
    (await output({ file: 'docker', args })).trim();
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  const ofStack = (stack: string): string => `label=${STACK_LABEL}=${stack}`;
  const inWork = (args: string[], more: { input?: string; env?: Record<string, string> } = {}) =>
    output({ file: 'git', args, cwd: work, ...more });
  const remote = (url: string): Promise<string> => output({ file: 'git', args: git.listRemoteArgs(url) });

  async function syncMirror(commit: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    const isNew = !(await readdir(folder)).includes('work.git');
    if (isNew) {
      for (const bare of [work, mirror]) await output({ file: 'git', args: git.initBareArgs(bare, commit) });
      await remote(upstream);
    } else await Promise.all([remote(upstream), remote(mirror)]);
    await inWork(git.fetchArgs(upstream));
    await inWork(git.pushArgs(mirror, commit));
    await remote(mirror);
    await inWork(git.refsOnMainArgs());
    await inWork(git.objectsArgs(), { input: `${commit}\n` });
  }

  /** Checks out where the renamed compose files look for their configs. */
  async function prepare(deployed: string, commit: string): Promise<Deployable> {
    const target = path.join(folder, `compose-${path.basename(deployed)}-${randomBytes(3).toString('hex')}`);
    await mkdir(target, { recursive: true });
    const files = (await readdir(deployed)).filter((name) => name.startsWith('deployed-')).sort();
    const compose: Compose[] = [];
    for (const file of files) {
      const text = renameIn(await readFile(path.join(deployed, file), 'utf8'));
      await writeFile(path.join(target, file), text);
      compose.push(parse(text.replaceAll('$$', '$')) as Compose);
    }
    const stack = stackOf(compose);
    const config = compose.flatMap((one) => Object.values(one.configs ?? {})).find(({ file }) => file);
    const checkout = checkoutOf(config?.file ?? path.join(target, 'checkout', 'x'), commit);
    await rm(checkout, { recursive: true, force: true });
    await mkdir(checkout, { recursive: true });
    const env = { GIT_INDEX_FILE: path.join(target, 'index') };
    await inWork(git.readTreeArgs(commit), { env });
    await inWork(git.checkoutIndexArgs(checkout), { env });
    stacks.add(stack);
    return { stack, folder: target, files, compose };
  }

  async function makeSecrets({ stack, compose }: Deployable): Promise<void> {
    const present = lines(await docker('secret', 'ls', '--format', '{{.Name}}'));
    for (const { name } of compose.flatMap((one) => Object.values(one.secrets ?? {}))) {
      if (name === undefined || present.includes(name)) continue;
      const args = ['secret', 'create', '--label', `${STACK_LABEL}=${stack}`, '--', name, '-'];
      await output({ file: 'docker', args, input: randomBytes(16).toString('hex') });
    }
  }

  async function deploy(deployed: string, commit: string): Promise<void> {
    const app = await prepare(deployed, commit);
    await makeSecrets(app);
    await output({ file: 'docker', args: stackDeploy(app.stack, app.files), cwd: app.folder });
    // The window begins when what is new is healthy; what is old may take until its end to go.
    while (!(await isHealthy(app, 'beside others'))) await sleep(POLL_MS);
    await sleep(stableMs, undefined, { signal: interruption });
    while (!(await isHealthy(app, 'alone'))) await sleep(POLL_MS);
    await untilAnswers(app);
  }

  async function isHealthy({ stack, compose }: Deployable, how: 'beside others' | 'alone'): Promise<boolean> {
    const wanted = compose.flatMap((one) => Object.values(one.services).map(({ image }) => image));
    const format = '{{.Image}} {{.Status}}';
    const running = lines(await docker('ps', '--filter', ofStack(stack), '--format', format));
    const healthy = running.filter((line) => line.endsWith('(healthy)'));
    const runs = (image: string): boolean => healthy.some((line) => line.startsWith(`${image} `));
    return wanted.every(runs) && (how === 'beside others' || running.length === wanted.length);
  }

  async function untilAnswers({ stack, compose }: Deployable): Promise<void> {
    const labels = compose.flatMap((one) => [...labelsOf(one.services['app']?.deploy?.labels)]);
    const port = labels.find(([name]) => name.endsWith('.loadbalancer.server.port'))?.[1] ?? '80';
    const service = `label=${SERVICE_LABEL}=${stack}_app`;
    const id = await docker('ps', '--quiet', '--no-trunc', '--filter', service);
    const format = `{{(index .Containers "${id}").IPv4Address}}`;
    const address = (await docker('network', 'inspect', '--format', format, 'docker_gwbridge')).split('/')[0];
    const url = `http://${address}:${port}${probePath}`;
    const curl = ['--fail', '--silent', '--max-time', '5', '--output', '/dev/null', '--', url];
    while ((await run({ file: 'curl', args: curl })).status !== 0) await sleep(POLL_MS);
  }

  /** Networks that go before keep their addresses on the proxy's (host/engine/stack-removal.ts). */
  async function hasLiveTasks(stack: string): Promise<boolean> {
    // Without any it ends with 1.
    const args = ['stack', 'ps', '--no-resolve', '--format', '{{.CurrentState}}', '--', stack];
    const { stdout } = await run({ file: 'docker', args });
    return lines(stdout).some((state) => !TASK_ENDED.test(state));
  }

  async function undeploy(stack: string): Promise<void> {
    const containers = async (): Promise<[id: string, service: string][]> => {
      const format = `{{.ID}} {{.Label "${SERVICE_LABEL}"}}`;
      const listed = lines(await docker('ps', '--all', '--filter', ofStack(stack), '--format', format));
      return listed.map((line) => line.split(' ') as [string, string]);
    };
    // What the swarm removes meanwhile is not there to be stopped, so the answer does not matter.
    const stop = (id: string) => run({ file: 'docker', args: ['stop', '--', id] });
    const running = await containers();
    const services = await docker('service', 'ls', '--filter', ofStack(stack), '--format', '{{.Name}}');
    await Promise.all(
      lines(services).map(async (service) => {
        await Promise.all(running.filter(([, of]) => of === service).map(([id]) => stop(id)));
        await docker('service', 'rm', '--', service);
      }),
    );
    await Promise.all(
      (await containers()).map(async ([id]) => {
        await stop(id);
        await run({ file: 'docker', args: ['rm', '--force', '--', id] });
      }),
    );
    while ((await containers()).length > 0 || (await hasLiveTasks(stack))) await sleep(POLL_MS);
    const listed = async (kind: string): Promise<string[]> =>
      lines(await docker(kind, 'ls', '--quiet', '--filter', ofStack(stack)));
    for (const kind of ['network', 'config']) {
      for (let ids = await listed(kind); ids.length > 0; ids = await listed(kind)) {
        const { status } = await run({ file: 'docker', args: [kind, 'rm', '--', ...ids] });
        if (status !== 0) await sleep(POLL_MS);
      }
    }
  }

  async function remove(stack: string): Promise<void> {
    await undeploy(stack);
    for (const kind of ['secret', 'volume']) {
      const left = lines(await docker(kind, 'ls', '--quiet', '--filter', ofStack(stack)));
      if (left.length > 0) await docker(kind, 'rm', '--', ...left);
    }
    stacks.delete(stack);
  }

  /** Answers what was taken of which folder. */
  async function snapshot(stack: string): Promise<[mountpoint: string, tar: string][]> {
    const taken: [mountpoint: string, tar: string][] = [];
    const target = path.join(folder, `snapshot-${++snapshots}`);
    await mkdir(target);
    for (const name of lines(await docker('volume', 'ls', '--quiet', '--filter', ofStack(stack)))) {
      const mountpoint = await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', '--', name);
      const tar = path.join(target, `${name}.tar`);
      await output({ file: 'tar', args: packArguments(mountpoint, tar) });
      await output({ file: 'sync', args: [tar] });
      await output({ file: 'openssl', args: ['dgst', '-sha256', tar] });
      taken.push([mountpoint, tar]);
    }
    return taken;
  }

  /** The backup by the recipe's own labels, put over a fresh deployment that runs, which is then restarted. */
  async function backUpAndRestore(deployed: string, commit: string): Promise<void> {
    const app = await prepare(deployed, commit);
    const { stack } = app;
    const runHooks = async (label: string): Promise<boolean> => {
      let ran = false;
      for (const [service, { deploy: { labels } = {} }] of app.compose.flatMap((one) =>
        Object.entries(one.services),
      )) {
        const hook = labelsOf(labels).get(label);
        if (hook === undefined) continue;
        const name = `label=${SERVICE_LABEL}=${stack}_${service}`;
        await docker('exec', '--', await docker('ps', '--quiet', '--filter', name), 'sh', '-c', hook);
        ran = true;
      }
      return ran;
    };
    const ran = await runHooks('backupbot.backup.pre-hook');
    const archive = await snapshot(stack);
    // Whether a hook's container is still there is known only then.
    if (ran) await sleep(SWARM_LAG_MS);
    await undeploy(stack);
    for (const [mountpoint, tar] of archive) {
      await output({ file: 'openssl', args: ['dgst', '-sha256', tar] });
      await output({ file: 'find', args: wipeArguments(mountpoint) });
    }
    await deploy(deployed, commit);
    for (const [mountpoint, tar] of archive)
      await output({ file: 'tar', args: unpackArguments(tar, mountpoint) });
    await runHooks('backupbot.restore.post-hook');
    await undeploy(stack);
    await deploy(deployed, commit);
  }

  async function stackIn(deployed: string): Promise<string> {
    const [file] = (await readdir(deployed)).filter((name) => name.startsWith('deployed-'));
    const text = await readFile(path.join(deployed, file ?? ''), 'utf8');
    return stackOf([parse(renameIn(text)) as Compose]);
  }

  return {
    async firstRelease({ commit, deployed }) {
      await syncMirror(commit);
      await deploy(deployed.cold, commit);
      await backUpAndRestore(deployed.cold, commit);
      await remove(await stackIn(deployed.cold));
      await deploy(deployed.warm, commit);
      const stack = await stackIn(deployed.warm);
      await undeploy(stack);
      await snapshot(stack);
    },
    async newerRelease(before, release) {
      await syncMirror(release.commit);
      await deploy(before.deployed.cold, before.commit);
      await deploy(release.deployed.cold, release.commit);
      await backUpAndRestore(release.deployed.cold, release.commit);
      await remove(await stackIn(release.deployed.cold));
      await deploy(before.deployed.warm, before.commit);
      await deploy(release.deployed.warm, release.commit);
      const stack = await stackIn(release.deployed.warm);
      await undeploy(stack);
      await snapshot(stack);
    },
    async cleanUp() {
      ({ output, run } = processRunner({ environment }));
      for (const stack of stacks) await remove(stack);
    },
  };
}

/** The stack's name, from the label that every recipe's app carries. */
function stackOf(compose: readonly Compose[]): string {
  for (const { services } of compose) {
    for (const [name] of labelsOf(services['app']?.deploy?.labels)) {
      const stack = /^coop-cloud\.(.+)\.version$/.exec(name)?.[1];
      if (stack !== undefined) return stack;
    }
  }
  throw new Error('no label coop-cloud.<stack>.version in the compose files');
}

/** The folder of a commit's checkout on the way to one of its files. */
function checkoutOf(file: string, commit: string): string {
  const parts = path.dirname(file).split(path.sep);
  const at = parts.indexOf(commit.slice(0, 12));
  return at < 0 ? path.dirname(file) : parts.slice(0, at + 1).join(path.sep);
}
