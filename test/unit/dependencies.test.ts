import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAlerts } from '../../host/store/alerts.ts';
import type { Activities } from '../../activities/index.ts';
import type { ProvidedDependency } from '../../domain/dependency.ts';
import { coldDomain, stackName } from '../../domain/names.ts';
import { createMachine, ZONE, type Machine, runOfSweep } from './fake-machine.ts';

/** What a recipe needs beside it, from nothing to nothing again. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const RUN = runOfSweep('drone');
const OWN = stackName(coldDomain('drone', ZONE, RUN.workflow.runId));
const COMMIT = { drone: '0'.repeat(40), gitea: '1'.repeat(40), redis: '2'.repeat(40) };

let folder: string;
let machine: Machine;

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);

const provide = (recipe: string, dependencies: ProvidedDependency[] = []) =>
  step((steps) => steps.provide({ run: RUN, recipe, dependencies }));
const release = (...dependencies: string[]) => step((steps) => steps.teardown({ run: RUN, dependencies }));

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'dependencies-'));
  machine = createMachine(folder, ['drone', 'gitea', 'redis']);
  machine.open.add('sweep');
  machine.settings.set('gitea', { deps: ['redis'], env: { CACHE: '${DEP_REDIS_DOMAIN}' } });
  for (const [recipe, commit] of Object.entries(COMMIT)) {
    machine.upstreams.set(recipe, [{ version: '1.0.0+1', commit, quality: 'good' }]);
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

/** gitea and the redis that it needs, beside the run's own app. */
async function provideBoth(): Promise<[redis: ProvidedDependency, gitea: ProvidedDependency]> {
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'drone', run: RUN }));
  const deploy = { version: '1.0.0+1', commit: COMMIT.drone };
  const redis = await provide('redis');
  const gitea = await provide('gitea', [redis]);
  await step((steps) =>
    steps.coldInstall({
      run: RUN,
      step: 'cold-test: install',
      deploy,
      dependencies: [redis, gitea],
      upgraded: false,
    }),
  );
  return [redis, gitea];
}

test('each is deployed at a throw-away domain of its own, and told of those before it', async () => {
  const [redis, gitea] = await provideBoth();
  expect(new Set([redis.stack, gitea.stack, OWN]).size).toBe(3);
  expect(redis).toMatchObject({ recipe: 'redis', version: '1.0.0+1' });
  expect(machine.stacks.get(gitea.stack)).toMatchObject({ lifetime: 'cold', running: true });
  expect(machine.deployed.map(({ env }) => env)).toEqual([{}, { CACHE: redis.domain }, {}]);
});

test('a release of it that moved upstream is an alert of its own', async () => {
  await provide('redis');
  machine.upstreams.set('redis', [{ version: '1.0.0+1', commit: 'e'.repeat(40), quality: 'good' }]);
  await expect(provide('redis')).rejects.toMatchObject({ type: 'TagMoved' });
  expect((await createAlerts(machine.state).open()).alerts).toMatchObject([
    { kind: 'tag-moved', subject: { is: 'recipe', name: 'redis' }, run: RUN.workflow.id },
  ]);
});

test('it is there once, however often it is asked for', async () => {
  const first = await provide('redis');
  expect(await provide('redis')).toEqual(first);
  expect(machine.deployed.map(({ occasion }) => occasion)).toEqual(['deploy', 'deploy']);
  expect([...machine.stacks.keys()]).toEqual([first.stack]);
});

test('one that does not come up says nothing of who needs it', async () => {
  machine.upstreams.set('redis', [{ version: '1.0.0+1', commit: COMMIT.redis, quality: 'red' }]);
  await expect(provide('redis')).rejects.toMatchObject({ type: 'Dependency', nonRetryable: false });
});

test('all that was made for the run is given back, and nothing else', async () => {
  const [redis, gitea] = await provideBoth();
  await release('redis', 'gitea');
  expect([...machine.stacks.keys()]).toEqual([OWN]);
  expect([redis, gitea].flatMap(({ stack }) => machine.volumesOf(stack))).toEqual([]);
  expect(readdirSync(path.join(machine.state, 'checkouts'))).toEqual([OWN]);
  await release('redis', 'gitea');
  await step((steps) => steps.teardown({ run: RUN }));
  expect(machine.stacks.size).toBe(0);
  expect(existsSync(path.join(machine.state, 'checkouts', OWN))).toBe(false);
});

test('what another one needs is given back after it', async () => {
  const [redis, gitea] = await provideBoth();
  machine.stuck.add(gitea.stack);
  await expect(release('redis', 'gitea')).rejects.toMatchObject({ type: 'Daemon' });
  expect(machine.stacks.get(redis.stack)).toMatchObject({ running: true });
});
