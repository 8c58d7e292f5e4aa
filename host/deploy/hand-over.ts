import type { App } from '../../domain/app.ts';
import { Fault } from '../../domain/fault.ts';
import { saysDaemonUnwell, saysDiskFull } from '../engine/daemon.ts';
import { keep } from '../evidence/deploy-evidence.ts';
import { CommandFailed, type Command, type ProcessRunner } from '../machine/process.ts';
import { Red } from './red.ts';
import { refuseTakenPort } from './taken-ports.ts';

/** The client only hands specs over; it does not wait for tasks. */
const STACK_DEPLOY_MS = 120_000;
const STACK_DEPLOY_ATTEMPTS = 3;

/**
 * The client's arguments. Compose files are named relative to the folder it is run in. As with abra, a service that a
 * release no longer has is not removed.
 */
export function stackDeploy(stack: string, files: readonly string[]): string[] {
  return [
    'stack',
    'deploy',
    '--resolve-image',
    'never',
    ...files.flatMap((file) => ['--compose-file', file]),
    '--',
    stack,
  ];
}

export interface HandOver {
  commands: ProcessRunner;
  guard: () => Promise<void>;
  report: (what: string) => void;
}

/**
 * Hands an app to the swarm. Throws Red when docker refuses the files, Fault when it could not say: Daemon, Disk,
 * PortTaken.
 */
export async function handOver(
  { commands, guard, report }: HandOver,
  app: App,
  files: readonly string[],
): Promise<void> {
  const command: Command = {
    file: 'docker',
    args: stackDeploy(app.stack, files),
    cwd: app.evidence,
    timeoutMs: STACK_DEPLOY_MS,
  };
  for (let attempt = 1; ; attempt++) {
    await guard();
    report('docker stack deploy');
    let finished;
    try {
      finished = await commands.run(command);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new Fault('Daemon', `handing ${app.stack} to the swarm: ${error.message}`, { cause: error });
    }
    if (finished.status === 0) return;
    const said = finished.stderr.trim();
    if (/update out of sequence/i.test(said) && attempt < STACK_DEPLOY_ATTEMPTS) continue;
    if (saysDiskFull(said)) throw new Fault('Disk', `docker stack deploy ${app.stack}: ${said}`);
    if (saysDaemonUnwell(said) || /network \S+ not found/i.test(said)) {
      throw new Fault('Daemon', `docker stack deploy ${app.stack}: ${said}`);
    }
    refuseTakenPort(app.stack, said);
    const text = `${finished.stdout}${finished.stderr}`;
    const file = await keep(app.evidence, 'stack-deploy.txt', text);
    throw new Red(`docker refuses the compose files: ${said.split('\n').at(-1) ?? said}`, file);
  }
}
