import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { messageOf } from '../domain/fault.ts';
import { printable } from '../domain/printable.ts';
import type { Observation, ServiceSeen } from '../domain/convergence.ts';
import { LABEL } from './recipe-format/render.ts';
import { maskSecrets } from './secret-fingerprint.ts';
import { STACK_LABEL, type Swarm } from './swarm.ts';

/** What is kept of a red deployment, in the app's evidence folder. */
export interface EvidenceSettings {
  swarm: Swarm;
  stack: string;
  folder: string;
}

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

async function fingerprintsOf(swarm: Swarm, stack: string): Promise<string[]> {
  return (await swarm.labelled(`${STACK_LABEL}=${stack}`)).flatMap(({ kind, labels }) => {
    const fingerprint = labels[LABEL.fingerprint];
    return kind === 'secret' && fingerprint !== undefined ? [fingerprint] : [];
  });
}

/** The text with the secrets of a stack masked that carry a fingerprint. */
export async function maskedFor(swarm: Swarm, stack: string, text: string): Promise<string> {
  return maskSecrets(text, await fingerprintsOf(swarm, stack));
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
  const { swarm, stack, folder } = settings;
  const fingerprints = await fingerprintsOf(swarm, stack);
  // Colours go first, so that none stands inside a secret.
  const masked = async (text: string): Promise<string> =>
    maskSecrets(stripVTControlCharacters(text), fingerprints);
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
      const printed = await swarm.logs(id).catch((error: unknown) => `(no logs: ${messageOf(error)})\n`);
      if (printed === '') continue;
      const end = await masked(printed.slice(-LONGEST_LOG));
      logs.push(`== task ${taskId}, container ${id.slice(0, 12)}\n${end}`);
    }
    if (logs.length === 0) continue;
    const file = await keep(folder, `${name.replaceAll(/[^\w.-]/g, '_')}.log`, logs.join('\n'));
    if (name === failedService) first = file;
  }
  return first;
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
