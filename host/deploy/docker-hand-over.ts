import { keep } from '../evidence/deploy-evidence.ts';
import { handOverBy, type HandOver, type HandOverSettings } from './hand-over.ts';

/** The client only hands specs over; it does not wait for tasks. */
const STACK_DEPLOY_MS = 120_000;

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

/** By `docker stack deploy`, which is what abra does underneath. */
export function handOverByDocker(settings: HandOverSettings): HandOver {
  return async (app, files) => {
    await handOverBy(settings, app, {
      name: 'docker stack deploy',
      command: {
        file: 'docker',
        args: stackDeploy(app.stack, files),
        cwd: app.evidence,
        timeoutMs: STACK_DEPLOY_MS,
      },
      saidIn: async ({ stderr }) => stderr,
      refuseUnfit: () => undefined,
      keep: ({ stdout, stderr }) => keep(app.evidence, 'stack-deploy.txt', `${stdout}${stderr}`),
      refuses: 'docker refuses the compose files',
    });
  };
}
