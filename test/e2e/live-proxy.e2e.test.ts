import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { execa } from 'execa';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { stackName, warmDomain } from '../../domain/names.ts';
import { writeRecipesFolder } from '../../fixtures/recipes-folder.ts';
import type { ReconciledService, ReconcileResult } from '../../workflows/protocol.ts';
import { authority } from '../fixtures/certificates.ts';
import { deployByHand, type ByHand } from './by-hand.ts';
import { startSystem, type System } from './system.ts';

/**
 * A proxy that carries the TLS of all apps, looked after: one that stands in for traefik. One story, in order. All the
 * while somebody visits an app behind it.
 */

const PROXY = 'proxy-stand-in';
const [FIRST, SECOND, BROKEN] = ['1.0.0+1.22', '1.1.0+1.26', '1.2.0+1.26'];
const POLL_MS = 100;
const ANSWER_MS = 1_000;

let system: System;
let port: number;
let ca: string;
let proxy: ByHand;
let site: ByHand;
/** When visits had no answer, milliseconds since the epoch. */
const refused: number[] = [];
let visiting: Promise<void>;
const stopped = new AbortController();

beforeAll(async () => {
  system = await startSystem(inject('temporal'), [], { images: 'local', limits: { stable: '3s' } });
  port = await getPort();
  const env = { HTTPS_PORT: String(port), TIMEOUT: '15' };
  await writeRecipesFolder(path.join(system.folder, 'recipes'), system.upstreams, [PROXY]);
  const settings = path.join(system.folder, 'recipes', PROXY, 'recipe.yml');
  await writeFile(settings, `${await readFile(settings, 'utf8')}\n${stringify({ env })}`);
  await system.upstreams.publish(PROXY, FIRST);
  await system.upstreams.publish('custom-html', '1.0.0+1.22');

  const issuer = authority('an authority of the tests');
  ca = issuer.ca;
  const { cert, key } = issuer.issue(`*.${system.zone}`);
  const domain = warmDomain(PROXY, system.zone);
  await writeCertificate(`${stackName(domain)}_certificates`, cert);
  proxy = await deployByHand(system, PROXY, FIRST, { domain, env, secrets: { certificate_key: key } });
  site = await deployByHand(system, 'custom-html', '1.0.0+1.22', { domain: `site.${system.zone}` });
  await system.startWorker();
  const until = Date.now() + 60_000;
  while ((await visit().catch(() => null))?.status !== 200) {
    if (Date.now() > until) throw new Error('nobody reaches the app behind the proxy');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  visiting = visitAllTheWhile();
}, 300_000);

afterAll(async () => {
  stopped.abort();
  await visiting;
  await proxy?.remove();
  await site?.remove();
  await system?.stop();
}, 180_000);

/** As whoever had it before has it in the proxy's volume. */
async function writeCertificate(volume: string, cert: string): Promise<void> {
  await execa('docker', [
    'volume',
    'create',
    '--label',
    `com.docker.stack.namespace=${volume.replace(/_certificates$/, '')}`,
    volume,
  ]);
  const write = ['--volume', `${volume}:/certificates`, 'localhost/recipe-sweep/nginx:1.26'];
  await execa(
    'docker',
    ['run', '--rm', '--interactive', ...write, 'sh', '-c', 'cat > /certificates/site.pem'],
    {
      input: cert,
    },
  );
}

/** One visit of the app, through the proxy: its status, and the certificate that was shown. */
function visit(): Promise<{ status: number; certificate: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        servername: site.domain,
        headers: { host: site.domain },
        ca,
        agent: false,
        timeout: ANSWER_MS,
      },
      (response) => {
        const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate();
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode ?? 0, certificate: fingerprint256 }));
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', reject);
    asked.end();
  });
}

async function visitAllTheWhile(): Promise<void> {
  while (!stopped.signal.aborted) {
    const at = Date.now();
    const found = await visit().catch(() => null);
    if (found?.status !== 200) refused.push(at);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Reconciles, and answers what was done, and when nobody was answered although nothing was under way. */
async function reconcile(): Promise<{ done: ReconciledService | undefined; refusedElse: number[] }> {
  const from = Date.now();
  const { stdout, stderr } = await system.cli('service', 'reconcile', '--json');
  expect(stdout, stderr).not.toBe('');
  const to = Date.now();
  await visit();
  const refusedElse = refused.splice(0).filter((at) => at < from - ANSWER_MS || at > to);
  return { done: (JSON.parse(stdout) as ReconcileResult).services[0], refusedElse };
}

/** What must stay, whatever is deployed: the volume with what is in it, the secret, and what visitors are shown. */
async function kept(): Promise<unknown> {
  const { docker } = system;
  const volume = `${proxy.stack}_certificates`;
  const { CreatedAt } = (await docker.getVolume(volume).inspect()) as { CreatedAt?: string };
  const secrets = (await docker.listSecrets()) as { ID: string; Spec: { Name: string } }[];
  const { stdout } = await execa('docker', [
    ...['run', '--rm', '--volume', `${volume}:/certificates:ro`, 'localhost/recipe-sweep/nginx:1.26'],
    ...['cat', '/certificates/site.pem'],
  ]);
  return {
    volume: CreatedAt,
    file: createHash('sha256').update(stdout).digest('hex'),
    secrets: secrets.filter(({ Spec }) => Spec.Name.startsWith(proxy.stack)).map(({ ID }) => ID),
    certificate: (await visit()).certificate,
  };
}

async function image(): Promise<string> {
  const { Spec } = (await system.docker.getService(`${proxy.stack}_app`).inspect()) as {
    Spec: { TaskTemplate: { ContainerSpec: { Image: string } } };
  };
  return Spec.TaskTemplate.ContainerSpec.Image.replace(/@.*/, '');
}

describe('a proxy that was deployed by hand', () => {
  test('is adopted, and nobody notices', async () => {
    const before = await kept();
    const { status, stderr } = await system.cli('service', 'adopt', PROXY);
    expect([status, stderr]).toEqual([0, expect.any(String)]);
    expect((await reconcile()).done).toMatchObject({ outcome: 'noop', version: FIRST });
    expect(await kept()).toEqual(before);
    expect(refused).toEqual([]);
  });

  test('is upgraded in place: certificate, volume and secret stay', async () => {
    const before = await kept();
    await system.upstreams.publish(PROXY, SECOND);
    const { done, refusedElse } = await reconcile();
    expect(done).toMatchObject({ outcome: 'upgraded', version: SECOND });
    expect(await image()).toBe('localhost/recipe-sweep/nginx:1.26');
    expect(await kept()).toEqual(before);
    expect(refusedElse).toEqual([]);
  });

  test('is back after a release that is broken, and those behind it were gone for no longer than it was tried', async () => {
    const before = await kept();
    await system.upstreams.publish(PROXY, BROKEN);
    const { done, refusedElse } = await reconcile();
    expect(done).toMatchObject({ outcome: 'rolled-back', version: SECOND });
    expect(await kept()).toEqual(before);
    expect(refusedElse).toEqual([]);
    expect((await visit()).status).toBe(200);
    expect((await reconcile()).done).toMatchObject({ outcome: 'noop', version: SECOND });
  });
});
