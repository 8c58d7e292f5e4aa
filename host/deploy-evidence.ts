import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../domain/fault.ts';
import type { Observation, ServiceSeen } from '../domain/convergence.ts';
import { redact } from './process.ts';
import type { Swarm } from './swarm.ts';

/** What is kept of a red deployment, in the app's evidence folder. */
export interface EvidenceSettings {
  swarm: Swarm;
  stack: string;
  folder: string;
  /** Texts that must not be written down. */
  secrets: readonly string[];
}

/** Writes one text file; answers its path. */
export async function keep(
  { folder, secrets }: Pick<EvidenceSettings, 'folder' | 'secrets'>,
  name: string,
  text: string,
): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, redact(text, secrets));
  return file;
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
  const { swarm, stack } = settings;
  const tasks = await keep(settings, 'tasks.txt', seen.services.map(serviceText).join('\n'));
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
      if (printed !== '') logs.push(`== task ${taskId}, container ${id.slice(0, 12)}\n${printed}`);
    }
    if (logs.length === 0) continue;
    const file = await keep(settings, `${name.replaceAll(/[^\w.-]/g, '_')}.log`, logs.join('\n'));
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
