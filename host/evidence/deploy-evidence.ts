import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { Fault, messageOf } from '../../domain/fault.ts';
import { endOf, printable } from '../../domain/printable.ts';
import type { Observation, ServiceSeen } from '../../domain/convergence.ts';
import { maskerOf, type Masked, type Masker } from '../secrets/masker.ts';
import type { Swarm } from '../engine/swarm.ts';

/** What is kept of a deployment, in the app's evidence folder. */
export interface EvidenceSettings {
  swarm: Swarm;
  app: Masked;
  folder: string;
  /** Nothing older is kept of the logs; null for all that there is. */
  since: Date | null;
}

/** The picture of the app's page, beside the texts. */
export const SCREENSHOT = 'screenshot.png';

/** Of each container's log the end is kept, in characters. */
const LONGEST_LOG = 512 * 1024;

/**
 * Writes one text file, for people: without colours, and with what else steers a terminal written out.
 * Answers its path.
 */
export async function keep(folder: string, name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, printable(stripVTControlCharacters(text)));
  return file;
}

/** A text fit to be kept: without colours, the app's secrets masked, and what else steers a terminal written out. */
export async function fitToKeep(swarm: Swarm, app: Masked, text: string): Promise<string> {
  const masked = await maskerOf(swarm, app);
  return printable(await masked(text));
}

/**
 * Writes tasks.txt and a log per service. Answers the file that an operator should open first: the log of the
 * service that failed, if it printed anything, else the tasks.
 */
export async function keepDeployment(
  settings: EvidenceSettings,
  seen: Observation,
  failedService: string | null,
): Promise<string> {
  return writeDeployment(settings, seen, failedService, await maskerOf(settings.swarm, settings.app));
}

async function writeDeployment(
  { swarm, app: { stack }, folder, since }: EvidenceSettings,
  seen: Observation,
  failedService: string | null,
  masked: Masker,
): Promise<string> {
  const tasks = await keep(folder, 'tasks.txt', await masked(seen.services.map(serviceText).join('\n')));
  const containers = await swarm.containers(stack);
  const order = new Map(
    seen.services.flatMap((service) => service.tasks.map((task) => [task.id, task.created] as const)),
  );
  let first = tasks;
  for (const { name } of seen.services) {
    const logs: string[] = [];
    const own = containers
      .filter(({ service }) => service === name)
      .sort((a, b) => (order.get(a.taskId) ?? 0) - (order.get(b.taskId) ?? 0));
    for (const { id, taskId } of own) {
      const printed = await swarm
        .logs(id, since ?? undefined)
        .catch((error: unknown) => `(no logs: ${messageOf(error)})\n`);
      if (printed === '') continue;
      logs.push(
        `== task ${taskId}, container ${id.slice(0, 12)}\n${await masked(endOf(printed, LONGEST_LOG))}`,
      );
    }
    if (logs.length === 0) continue;
    const file = await keep(folder, `${name.replaceAll(/[^\w.-]/g, '_')}.log`, logs.join('\n'));
    if (name === failedService) first = file;
  }
  return first;
}

export interface AllEvidence extends EvidenceSettings {
  since: Date;
  /** Ends the collecting. */
  signal: AbortSignal;
  /** Writes SCREENSHOT, a picture of the app's page; answers null, or why there is none to be had. */
  picture: () => Promise<string | null>;
}

/**
 * Writes all that is learned of a deployment since then: tasks and logs, events, images, and a picture of its page
 * if it was deployed in this step. What cannot be had is no reason to fail: missing-evidence.txt says what is
 * missing, and why. Throws only what says that the disk is full, and what ended the collecting.
 */
export async function keepAll(settings: AllEvidence): Promise<void> {
  const { swarm, app, folder, since, signal, picture } = settings;
  const { stack } = app;
  const missing: string[] = [];
  const collect = async (what: string, work: () => Promise<string | null>): Promise<void> => {
    try {
      const why = await work();
      if (why !== null) missing.push(`${what}: ${why}`);
    } catch (error) {
      signal.throwIfAborted();
      if (isDiskFull(error)) throw error;
      missing.push(`${what}: ${messageOf(error)}`);
    }
  };

  const deployed = (await readdir(folder)).filter((name) => COMPOSE.test(name));
  const masker = maskerOf(swarm, app);
  await collect('tasks.txt, logs, images.json', async () => {
    const masked = await masker;
    const seen = await swarm.observe(stack);
    await writeDeployment(settings, seen, null, masked);
    await keep(folder, 'images.json', await masked(json([await imagesOf(swarm, seen)], 2)));
    return null;
  });
  await collect('events.jsonl', async () => {
    const masked = await masker;
    await keep(folder, 'events.jsonl', await masked(json(await swarm.events(stack, since))));
    return null;
  });
  await collect('compose as deployed, without secrets', async () => {
    const masked = await masker;
    for (const name of deployed) await maskFile(path.join(folder, name), masked);
    return null;
  });
  if (deployed.length > 0) await collect(SCREENSHOT, picture);
  const list = 'missing-evidence.txt';
  if (missing.length > 0) await keep(folder, list, `${missing.join('\n')}\n`);
  else await rm(path.join(folder, list), { force: true });
}

/** The names of writeCompose(), in the folder of a step that deployed. */
const COMPOSE = /^deployed-\d+-/;

const FULL = new Set(['ENOSPC', 'EDQUOT']);

function isDiskFull(error: unknown): boolean {
  if (error instanceof Fault) return error.type === 'Disk';
  return FULL.has(String((error as NodeJS.ErrnoException | null)?.code));
}

/** JSON, one document a line; what steers a terminal is written out in its texts. */
function json(documents: readonly unknown[], indent?: number): string {
  const readable = (_key: string, value: unknown): unknown =>
    typeof value === 'string' ? printable(stripVTControlCharacters(value)) : value;
  return documents.map((one) => `${JSON.stringify(one, readable, indent)}\n`).join('');
}

/** Nothing of ours puts a secret there; what a recipe's env does is not known. */
async function maskFile(file: string, masked: Masker): Promise<void> {
  const text = await readFile(file, 'utf8');
  const without = await masked(text);
  if (without !== text) await writeFile(file, without);
}

/** The image that each service runs: as its spec names it, the engine's ID, and the registry's digests. */
async function imagesOf(
  swarm: Swarm,
  seen: Observation,
): Promise<Record<string, { image: string; id: string | null; digests: string[] }>> {
  const images = await Promise.all(
    seen.services.map(async ({ name, image, tasks }) => {
      const running = tasks.filter(({ current, state }) => current && state === 'running');
      const id = [...running, ...tasks].find(({ imageId }) => imageId !== null)?.imageId ?? null;
      const digests = id === null ? [] : await swarm.imageDigests(id);
      return [name, { image, id, digests }] as const;
    }),
  );
  return Object.fromEntries(images);
}

function serviceText(service: ServiceSeen): string {
  const update = service.update === null ? 'none' : `${service.update.state}: ${service.update.message}`;
  const lines = [...service.tasks]
    .sort((a, b) => a.created - b.created)
    .map((task) =>
      [
        `  ${task.id} slot ${task.slot} desired ${task.desired} is ${task.state}`,
        `since ${new Date(task.since).toISOString()}`,
        ...(task.exitCode ? [`exit code ${task.exitCode}`] : []),
        ...(task.imageId === null ? [] : [`image ${task.imageId}`]),
        ...(task.current ? [] : ['of an earlier spec']),
        ...(task.error === null ? [] : [`error: ${task.error}`]),
      ].join(', '),
    );
  return [
    `${service.name}: ${service.image}, ${service.replicas} wanted, UpdateStatus ${update}`,
    ...lines,
    '',
  ].join('\n');
}
