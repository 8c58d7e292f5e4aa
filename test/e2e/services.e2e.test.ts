import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { warmDomain } from '../../domain/names.ts';
import type { Boundary } from '../../host/machine/boundary.ts';
import type { ReconciledService, ReconcileResult } from '../../workflows/protocol.ts';
import { deployByHand, type ByHand } from './by-hand.ts';
import { startSystem, type System } from './system.ts';
import { STRUCK_WORKER, workerStrikes, type WorkerStrikes } from './worker-strikes.ts';

/**
 * A Keycloak that somebody deployed by hand, and that has realms of theirs, looked after. One story, in order: each test
 * finds the system as the one before left it.
 */

const KEYCLOAK = 'keycloak';
const [FIRST, SECOND] = ['10.0.0+26.0.8', '10.1.0+26.1.0'];
const FOLDERS = path.resolve(import.meta.dirname, '../../fixtures/recipe-folders');
const OURS = path.resolve(import.meta.dirname, '../../recipes');
const MARKER = 'assembly';

/** What the operator chose. A release that does not come up is given so long, in seconds. */
const ENV = { TIMEOUT: '100' };

let system: System;
let strikes: WorkerStrikes;
let deployed: ByHand;

beforeAll(async () => {
  const workerEnv: Record<string, string> = {};
  system = await startSystem(inject('temporal'), [], { workerEnv, limits: { stable: '4s' } });
  strikes = workerStrikes(system);
  Object.assign(workerEnv, strikes.env);
  await enrol(system);
  await system.upstreams.publish(KEYCLOAK, FIRST);
  deployed = await deployByHand(system, KEYCLOAK, FIRST, {
    domain: warmDomain(KEYCLOAK, system.zone),
    env: ENV,
    overlay: path.join(FOLDERS, KEYCLOAK, 'overlay.yml'),
  });
  await system.startWorker(STRUCK_WORKER);
  await untilServes();
  await createMarkerRealm();
}, 300_000);

afterAll(async () => {
  await deployed?.remove();
  await system?.stop();
}, 180_000);

/** Our own recipe folder of Keycloak, with the fixture's upstream, and the operator's overlay. */
async function enrol({ folder, upstreams }: System): Promise<void> {
  const ours = path.join(folder, 'recipes', KEYCLOAK);
  await mkdir(ours, { recursive: true });
  await cp(path.join(OURS, KEYCLOAK), ours, { recursive: true });
  await cp(path.join(FOLDERS, KEYCLOAK, 'overlay.yml'), path.join(ours, 'overlay.yml'));
  const file = path.join(ours, 'recipe.yml');
  const settings = (await readFile(file, 'utf8')).replace(/^upstream: .*\n/m, '');
  await writeFile(file, `${stringify({ upstream: upstreams.url(KEYCLOAK), env: ENV })}${settings}`);
}

/** Its container of a service, where it runs. */
async function container(service: string): Promise<{ id: string; address: string }> {
  const name = `${deployed.stack}_${service}`;
  const [found] = await system.docker.listContainers({
    filters: { label: [`com.docker.swarm.service.name=${name}`], status: ['running'] },
  });
  if (found === undefined) throw new Error(`no container of ${name} runs`);
  const gateway = (await system.docker.getNetwork('docker_gwbridge').inspect()) as {
    Containers: Record<string, { IPv4Address: string }>;
  };
  return { id: found.Id, address: gateway.Containers[found.Id]?.IPv4Address.split('/')[0] ?? '' };
}

const ids = async (): Promise<string[]> =>
  Promise.all(['app', 'db'].map(async (service) => (await container(service)).id));

/** Asks it as its administrator does. */
async function ask(method: string, place: string, body?: unknown): Promise<unknown> {
  const { id, address } = await container('app');
  const { stdout: password } = await execa('docker', ['exec', id, 'cat', '/run/secrets/admin_password']);
  const url = `http://${address}:8080`;
  const headers = { host: deployed.domain };
  const login = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'admin-cli',
      username: 'admin',
      password,
    }),
  });
  const { access_token: token } = (await login.json()) as { access_token: string };
  const response = await fetch(`${url}${place}`, {
    method,
    headers: { ...headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${place}: ${response.status} ${text}`);
  return text === '' ? null : (JSON.parse(text) as unknown);
}

async function untilServes(): Promise<void> {
  const end = Date.now() + 240_000;
  for (;;) {
    const serves = await ask('GET', '/admin/serverinfo').then(
      () => true,
      () => false,
    );
    if (serves) return;
    if (Date.now() > end) throw new Error('Keycloak does not serve');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function createMarkerRealm(): Promise<void> {
  await ask('POST', '/admin/realms', {
    realm: MARKER,
    enabled: true,
    users: [{ username: 'ada', enabled: true, email: 'ada@example.org' }],
  });
}

/** What somebody finds there: what version it is, and its realms, and who is in theirs. */
async function found(): Promise<{ version: string; realms: string[]; users: string[] }> {
  const { systemInfo } = (await ask('GET', '/admin/serverinfo')) as { systemInfo: { version: string } };
  const realms = (await ask('GET', '/admin/realms')) as { realm: string }[];
  const users = (await ask('GET', `/admin/realms/${MARKER}/users`)) as { username: string }[];
  return {
    version: systemInfo.version,
    realms: realms.map(({ realm }) => realm).sort(),
    users: users.map(({ username }) => username),
  };
}

const theirs = (version: string) => ({ version, realms: [MARKER, 'master'], users: ['ada'] });

async function typed(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return system.cli('service', ...args);
}

async function reconcile(): Promise<ReconciledService | undefined> {
  const { stdout, stderr } = await typed('reconcile', '--json');
  expect(stdout, stderr).not.toBe('');
  return (JSON.parse(stdout) as ReconcileResult).services[0];
}

interface LastGood {
  version: string;
  commit: string;
  ts: string;
}

async function lastGood(): Promise<LastGood> {
  const file = path.join(system.state, 'services', KEYCLOAK, 'last-good.json');
  return JSON.parse(await readFile(file, 'utf8')) as LastGood;
}

/** The kinds of those that hold. */
async function alerts(): Promise<string[]> {
  const names = await readdir(path.join(system.state, 'alerts')).catch(() => []);
  return names.filter((name) => name.endsWith('.json')).sort();
}

describe('a Keycloak that was deployed by hand', () => {
  test('is told of, and left alone until it is adopted', async () => {
    const before = await ids();
    expect(await reconcile()).toMatchObject({ outcome: 'not-adopted', version: null });
    expect(await alerts()).toEqual(['service-not-adopted-recipe-keycloak.json']);
    const adopted = await typed('adopt', KEYCLOAK);
    expect([adopted.stdout, adopted.status], adopted.stderr).toEqual([
      expect.stringContaining(`keycloak ${FIRST} at ${deployed.domain} is looked after from now on`),
      0,
    ]);
    expect(await ids()).toEqual(before);
    expect(await reconcile()).toMatchObject({ outcome: 'noop', version: FIRST });
    expect(await ids()).toEqual(before);
    expect(await alerts()).toEqual([]);
    expect(await found()).toEqual(theirs('26.0.8'));
  });

  test('is upgraded to a newer release, with what is in it', async () => {
    await system.upstreams.publish(KEYCLOAK, SECOND);
    expect(await reconcile()).toMatchObject({ outcome: 'upgraded', version: SECOND });
    expect(await found()).toEqual(theirs('26.1.0'));
    expect((await lastGood()).version).toBe(SECOND);
    expect(await alerts()).toEqual([]);
  });

  test('is back as it was after a release that is broken, and says so once', async () => {
    const before = await lastGood();
    await system.upstreams.publish(KEYCLOAK, '10.2.0+26.1.0');
    const done = await reconcile();
    expect(done).toMatchObject({ outcome: 'rolled-back', version: SECOND });
    expect(await found()).toEqual(theirs('26.1.0'));
    expect(await lastGood()).toEqual(before);
    expect(await alerts()).toEqual(['service-rolled-back-recipe-keycloak.json']);
    const now = await ids();
    expect(await reconcile()).toMatchObject({ outcome: 'noop', version: SECOND });
    expect(await ids()).toEqual(now);
    expect(await alerts()).toEqual(['service-rolled-back-recipe-keycloak.json']);
  });

  test('is not touched for a release whose image is not there', async () => {
    const [before, good] = [await ids(), await lastGood()];
    await system.upstreams.publish(KEYCLOAK, '10.3.0+26.9.9');
    const done = await reconcile();
    expect(done).toMatchObject({ outcome: 'rolled-back', version: SECOND });
    expect(done?.why).toContain('nothing was touched');
    expect(await ids()).toEqual(before);
    expect(await lastGood()).toEqual(good);
  });

  test('waits with a release whose notes speak of work by hand, until that one is approved', async () => {
    const before = await ids();
    const version = '10.4.0+26.1.0';
    await system.upstreams.publish(KEYCLOAK, version);
    const held = await reconcile();
    expect(held).toMatchObject({ outcome: 'held-manual-migration', version: SECOND, held: version });
    expect(held?.why).toContain('manual migration');
    expect(await ids()).toEqual(before);
    const wrong = await typed('approve', KEYCLOAK, '10.3.0+26.9.9');
    expect([wrong.status, wrong.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining(`keycloak is at ${version}: 10.3.0+26.9.9 cannot be approved`),
    ]);
    expect(wrong.status).not.toBe(0);
    const approved = await typed('approve', KEYCLOAK, version);
    expect([approved.stdout, approved.status]).toEqual([expect.stringContaining('keycloak: upgraded'), 0]);
    expect(await found()).toEqual(theirs('26.1.0'));
    expect((await lastGood()).version).toBe(version);
    expect(await alerts()).toEqual([]);
  });

  test('ends at the right version where the worker is killed between snapshot and record', async () => {
    const at: Boundary = 'reconcile.after-snapshot';
    await system.upstreams.publish(KEYCLOAK, '10.5.0+26.1.0', SECOND);
    strikes.arm(at);
    const running = reconcile();
    await strikes.struck();
    await system.startWorker(STRUCK_WORKER);
    expect(await running).toMatchObject({ outcome: 'upgraded', version: '10.5.0+26.1.0' });
    expect(await found()).toEqual(theirs('26.1.0'));
  });

  test('waits with a major step, and nothing of it changes', async () => {
    const before = await ids();
    await system.upstreams.publish(KEYCLOAK, '11.0.0+26.1.0', SECOND);
    expect(await reconcile()).toMatchObject({ outcome: 'held-major', held: '11.0.0+26.1.0' });
    expect(await reconcile()).toMatchObject({ outcome: 'held-major', held: '11.0.0+26.1.0' });
    expect(await ids()).toEqual(before);
    expect(await alerts()).toEqual(['service-held-recipe-keycloak.json']);
  });

  test('is out of reach of every command that removes something', async () => {
    const before = await ids();
    for (const args of [
      ['sweep', KEYCLOAK],
      ['canonical', 'forget', KEYCLOAK, '--yes'],
      ['canonical', 'drop-data', KEYCLOAK, '--yes'],
    ]) {
      const { status } = await system.cli(...args);
      expect([args, status]).not.toEqual([args, 0]);
    }
    expect(await ids()).toEqual(before);
    expect(await found()).toEqual(theirs('26.1.0'));
  });
});
