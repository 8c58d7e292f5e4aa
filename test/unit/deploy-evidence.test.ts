import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { fitToKeep, keepAll, type AllEvidence } from '../../host/evidence/deploy-evidence.ts';
import { LABEL } from '../../domain/labels.ts';
import { fingerprintOf } from '../../host/secrets/fingerprint.ts';
import type { Swarm } from '../../host/engine/swarm.ts';

const SECRET = 'Tr0ub4dour-and-3-more';
const SINCE = new Date('2025-03-02T03:00:00.000Z');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'evidence-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** One service that runs, prints its secret, and was started since. */
const swarm: Partial<Swarm> = {
  observe: async () => ({
    at: 0,
    services: [
      {
        name: 'app',
        labels: {},
        image: 'nginx:1.26',
        replicas: 1,
        restarts: 'any',
        memoryLimited: false,
        restartDelayMs: 0,
        updateMonitorMs: 0,
        update: null,
        tasks: [
          {
            id: 'task',
            slot: '1',
            desired: 'running',
            state: 'running',
            since: 0,
            created: 0,
            error: null,
            exitCode: null,
            imageId: 'sha256:1',
            current: true,
          },
        ],
      },
    ],
  }),
  labelled: async () => [
    { kind: 'secret', id: 's', name: 's', labels: { [LABEL.fingerprint]: fingerprintOf(SECRET) } },
  ],
  containers: async () => [
    { id: 'c'.repeat(64), service: 'app', taskId: 'task', imageId: 'sha256:1', runs: true },
  ],
  logs: async (_id, since) => `${since?.toISOString() ?? 'all'} started with ${SECRET}\u001b[0m\n`,
  imageDigests: async () => ['nginx@sha256:abc'],
  events: async () => [
    {
      time: SINCE.toISOString(),
      type: 'container',
      action: `die ${SECRET}`,
      name: 'app.1\u202e',
      more: { exitCode: '1' },
    },
  ],
};

function keep(changes: Partial<Swarm> = {}, rest: Partial<AllEvidence> = {}): Promise<void> {
  return keepAll({
    swarm: { ...swarm, ...changes } as Swarm,
    app: { stack: 'gite-1_test', secrets: {}, env: {} },
    folder,
    since: SINCE,
    signal: new AbortController().signal,
    picture: async () => null,
    ...rest,
  });
}

const kept = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8');
const daemonDown = async (): Promise<never> => {
  throw new Fault('Daemon', 'the Docker engine failed');
};

describe('evidence of a deployment', () => {
  test('is a log per service since then, tasks, events and images, without secrets', async () => {
    await keep();
    expect((await readdir(folder)).sort()).toEqual(['app.log', 'events.jsonl', 'images.json', 'tasks.txt']);
    expect(await kept('app.log')).toContain(`${SINCE.toISOString()} started with ***\n`);
    expect(JSON.parse(await kept('images.json'))).toEqual({
      app: { image: 'nginx:1.26', id: 'sha256:1', digests: ['nginx@sha256:abc'] },
    });
    expect(JSON.parse(await kept('events.jsonl'))).toEqual({
      time: SINCE.toISOString(),
      type: 'container',
      action: 'die ***',
      name: 'app.1\\u{202e}',
      more: { exitCode: '1' },
    });
  });

  test('is without the secrets that hooks and checks were told, of which the stack knows nothing', async () => {
    const secrets = { DEP_KEYCLOAK_PASSWORD: 'of-the-run', DEP_KEYCLOAK_CLIENT_SECRET: 'of-its-client' };
    const app = { stack: 'gite-1_test', secrets, env: {} };
    const says = 'said of-its-client and\u001b[1m of-the\u001b[0m-run';
    await keep({ logs: async () => `${says}\n` }, { app });
    expect(await kept('app.log')).toContain('said *** and ***\n');
    expect(await fitToKeep(swarm as Swarm, app, says)).toBe('said *** and ***');
  });

  test('is without what an operator set under the name of a secret, and has all else', async () => {
    const env = {
      SMTP_PASSWORD: 'of-the-mail-server',
      OIDC_OP_TOKEN_ENDPOINT: 'https://login.example.org/token',
      SECRET_KEY_VERSION: 'v2',
      TITLE: 'of-the-house',
    };
    const says = Object.values(env).join(' ');
    await writeFile(path.join(folder, 'deployed-1-compose.yml'), `${says}\n`);
    await keep({ logs: async () => `${says}\n` }, { app: { stack: 'gite-1_test', secrets: {}, env } });
    const shown = '*** https://login.example.org/token v2 of-the-house\n';
    expect(await kept('app.log')).toContain(shown);
    expect(await kept('deployed-1-compose.yml')).toBe(shown);
  });

  test('says what is missing and why, and is kept without it', async () => {
    await keep({ events: daemonDown });
    expect(await kept('missing-evidence.txt')).toBe('events.jsonl: the Docker engine failed\n');
    expect(await kept('app.log')).toContain('started');
  });

  test('says nothing of what was missing once it is there', async () => {
    await keep({ events: daemonDown });
    await keep();
    expect(await readdir(folder)).not.toContain('missing-evidence.txt');
  });

  test('is nothing where secrets cannot be told', async () => {
    await keep({ labelled: daemonDown });
    expect(await readdir(folder)).toEqual(['missing-evidence.txt']);
  });

  test('is a reason to fail when the disk is full', async () => {
    const full = new Fault('Disk', 'no space left on device');
    await expect(keep({ events: () => Promise.reject(full) })).rejects.toBe(full);
  });

  test('ends when the attempt does', async () => {
    const signal = AbortSignal.abort(new Error('overtaken'));
    await expect(keep({ events: daemonDown }, { signal })).rejects.toThrow('overtaken');
  });
});

describe('of a step that deployed', () => {
  beforeEach(() =>
    writeFile(path.join(folder, 'deployed-1-compose.yml'), `environment: ["KEY=${SECRET}"]\n`),
  );

  test('the compose as deployed says no secret', async () => {
    await keep();
    expect(await kept('deployed-1-compose.yml')).toBe('environment: ["KEY=***"]\n');
  });

  test('there is a picture, or the reason why not', async () => {
    await keep({}, { picture: async () => 'no chromium' });
    expect(await kept('missing-evidence.txt')).toBe('screenshot.png: no chromium\n');
    const picture = (): Promise<null> =>
      writeFile(path.join(folder, 'screenshot.png'), 'png').then(() => null);
    await keep({}, { picture });
    expect(await kept('screenshot.png')).toBe('png');
    expect(await readdir(folder)).not.toContain('missing-evidence.txt');
  });
});

test('a step that only asked takes no picture', async () => {
  await keep({}, { picture: () => Promise.reject(new Error('asked for')) });
  expect(await readdir(folder)).not.toContain('missing-evidence.txt');
});
