import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ABRA_STAND_IN } from '../../fixtures/abra-stand-in.ts';
import type { Service } from '../../host/machine/child.ts';
import { startSystem, type System } from './system.ts';
import { STRUCK_WORKER, workerStrikes, type WorkerStrikes } from './worker-strikes.ts';

/**
 * One story of one recipe on one host, whose deployer is changed between its sweeps. What is called abra here is a
 * stand-in (fixtures/abra-stand-in): abra itself was never run.
 */

const RECIPE = 'custom-html';

let system: System;
let worker: Service;
let strikes: WorkerStrikes;

beforeAll(async () => {
  const workerEnv: Record<string, string> = {};
  system = await startSystem(inject('temporal'), [RECIPE], { workerEnv, limits: { stable: '1s' } });
  strikes = workerStrikes(system);
  Object.assign(workerEnv, strikes.env);
  worker = await system.startWorker(STRUCK_WORKER);
}, 180_000);

afterAll(async () => {
  await system?.stop();
}, 180_000);

async function deployBy(deployer: 'swarm' | 'abra', pathOfHost = process.env['PATH'] ?? ''): Promise<void> {
  await worker.stop();
  await system.configure({ deployer, path: pathOfHost });
  worker = await system.startWorker(STRUCK_WORKER);
}

/** Publishes a release and sweeps; answers its commit, and which one abra said that it deployed, by step. */
async function promote(
  version: string,
  like = version,
): Promise<{ commit: string; byAbra: Record<string, string> }> {
  const { commit } = await system.upstreams.publish(RECIPE, version, like);
  const before = await outputs();
  const { status, stdout, stderr } = await system.cli('sweep');
  expect(`${stdout}${stderr}`).toContain(`PASS (promoted ${version})`);
  expect(status).toBe(0);
  expect(await system.canonical(RECIPE)).toMatchObject({ version, commit });
  expect((await system.ours()).filter((thing) => !/^(volume|secret) warm-/.test(thing))).toEqual([]);
  const byAbra: Record<string, string> = {};
  for (const file of (await outputs()).filter((one) => !before.includes(one))) {
    const text = await readFile(path.join(system.state, file), 'utf8');
    byAbra[path.basename(path.dirname(file))] = / ([0-9a-f]{8})\+U$/m.exec(text)?.[1] ?? text;
  }
  return { commit, byAbra };
}

async function outputs(): Promise<string[]> {
  const files = await readdir(system.state, { recursive: true });
  return files.filter((file) => path.basename(file) === 'abra-app-deploy.txt');
}

const WITH_ABRA = `${ABRA_STAND_IN}:${process.env['PATH']}`;

test('a canonical that docker’s client made is taken over by abra, through a crash, and by docker’s client again', async () => {
  const first = await promote('1.0.0+1.22');
  expect(first.byAbra).toEqual({});
  const made = await system.ours();
  expect(made).not.toEqual([]);

  await deployBy('abra', WITH_ABRA);
  // once abra has deployed, and nobody heard of it
  strikes.arm('deploy.after-stack-deploy');
  const struck = strikes.struck().then(async () => {
    await worker.ended;
    worker = await system.startWorker(STRUCK_WORKER);
  });
  const [second] = await Promise.all([promote('1.1.0+1.26'), struck]);
  const [base, head] = [first.commit.slice(0, 8), second.commit.slice(0, 8)];
  expect(second.byAbra).toEqual({
    'cold-test-install-base': base,
    'cold-test-upgrade': head,
    'cold-test-restore': head,
    'promote-reattach': base,
    promote: head,
  });
  expect(await system.ours()).toEqual(made);

  await deployBy('swarm');
  expect((await promote('1.1.1+1.26', '1.1.0+1.26')).byAbra).toEqual({});
  expect(await system.ours()).toEqual(made);
});

test('a host without abra does not begin', async () => {
  await deployBy('abra');
  await system.upstreams.publish(RECIPE, '1.1.2+1.26', '1.1.0+1.26');
  const { status, stdout, stderr } = await system.cli('sweep');
  expect(`${stdout}${stderr}`).toMatch(/abra: not on .*; install abra 0\.10\.0 or newer \(https:\S+\)/);
  expect(status).not.toBe(0);
  expect(await system.canonical(RECIPE)).toMatchObject({ version: '1.1.1+1.26' });
});
