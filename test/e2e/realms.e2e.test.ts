import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ImageSeen } from '../../domain/app.ts';
import { stackName, warmDomain } from '../../domain/names.ts';
import { ofZone } from './engine.ts';
import { createSsoHost, KEYCLOAK, NEW, OLD, RECIPE, type SsoHost } from './sso-host.ts';

/**
 * Runs that log people in, at one live Keycloak on the swarm of this machine: Miniflux by OIDC, as a browser goes. One
 * story, in order. Everything is gone at the end.
 */

const STRANGERS = 'miniflux-abcdef';

let host: SsoHost;
/** Where the live Keycloak is. */
let live: string;

/** Where Keycloak's own container is, and its admin's token; asked without the product. */
async function admin(method = 'GET', place = '', body?: object): Promise<unknown> {
  const filters = { label: [`com.docker.swarm.service.name=${stackName(live)}_app`], status: ['running'] };
  const [container] = await host.docker.listContainers({ filters });
  const inspected = (await host.docker.getNetwork('docker_gwbridge').inspect()) as {
    Containers: Record<string, { IPv4Address: string }>;
  };
  const origin = `http://${inspected.Containers[container?.Id ?? '']?.IPv4Address.split('/')[0]}:8080`;
  const args = ['exec', container?.Id ?? '', 'cat', '/run/secrets/admin_password'];
  const password = execFileSync('docker', args, { encoding: 'utf8' });
  const login = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'admin-cli',
      username: 'admin',
      password,
    }),
  });
  const { access_token: token } = (await login.json()) as { access_token: string };
  const answer = await fetch(`${origin}/admin/realms${place}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return text === '' ? null : JSON.parse(text);
}

async function realms(): Promise<string[]> {
  return ((await admin()) as { realm: string }[]).map(({ realm }) => realm).sort();
}

beforeAll(async () => {
  host = await createSsoHost();
  live = warmDomain('keycloak', host.zone);
  expect(await host.goLive()).toEqual({ healthy: true });
  await admin('POST', '', { realm: STRANGERS, enabled: true });
}, 300_000);

afterAll(async () => {
  await host.remove();
  expect(await ofZone(host.docker, host.zone)).toEqual([]);
}, 120_000);

test('two runs at once log their own people in, each in a realm of its own', async () => {
  const run = host.begin('test-one');
  const other = host.begin('test-two');
  const keycloak = await run.provide();
  const name = keycloak.realm?.name ?? '';
  const others = (await other.provide()).realm?.name ?? '';
  expect(await realms()).toEqual(['master', STRANGERS, name, others].sort());
  expect(keycloak).toMatchObject({
    version: KEYCLOAK.version,
    url: `http://${live}:8080`,
    realm: { issuer: `http://${live}:8080/realms/${name}`, clientId: RECIPE, user: name },
  });

  const dependencies = [keycloak];
  const input = (tier: string, deploy = NEW) => run.input(`cold-test: ${tier}`, deploy, dependencies);
  const install = await run.step((steps) => steps.coldInstall(input('install', OLD)));
  expect(install).toMatchObject({ result: 'pass' });
  const upgrade = await run.step((steps) => steps.coldUpgrade(input('upgrade')));
  expect(upgrade).toMatchObject({ result: 'pass' });
  expect(await run.step((steps) => steps.coldBackup(input('backup')))).toMatchObject({ result: 'pass' });
  expect(await run.step((steps) => steps.coldRestore(input('restore')))).toMatchObject({ result: 'pass' });
  expect(await run.step((steps) => steps.coldCustom(input('custom')))).toEqual({ result: 'pass' });

  const told = path.join(host.state, 'runs/test-one', RECIPE, 'cold-test-custom/check-login.txt');
  expect(readFileSync(told, 'utf8')).toContain(
    `${name}@example.org logged in at http://${live}:8080/realms/${name} with the password ***\n`,
  );
  const realm = { clientId: RECIPE, user: name };
  const { clientSecret, password } = await host.store.realmKey.secretsOf(realm);
  for (const file of readdirSync(host.state, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const text = readFileSync(path.join(file.parentPath, file.name), 'utf8');
    expect([file.name, text.includes(password) || text.includes(clientSecret)]).toEqual([file.name, false]);
  }
  await run.end();
  expect(await realms()).toEqual(['master', STRANGERS, others].sort());
});

test('a canonical logs people in in the realm of each later run', async () => {
  const promoted = host.begin('test-three');
  const tested: Record<string, ImageSeen> = {};
  for (const [service, name] of [
    ['app', 'miniflux:2.2.0'],
    ['db', 'postgres:15'],
  ] as const) {
    const image = `localhost/recipe-sweep/${name}`;
    tested[service] = { image, digest: (await host.docker.getImage(image).inspect()).Id };
  }
  await host.ledger.append(RECIPE, [{ tag: NEW.version, commit: NEW.commit, ts: new Date().toISOString() }]);
  const dependencies = [await promoted.provide()];
  const input = { run: promoted.ref, release: NEW, tested, dependencies };
  expect(await promoted.step((steps) => steps.promote(input))).toEqual({ promoted: true });
  await promoted.step((steps) => steps.settle({ run: promoted.ref }));
  await promoted.end();

  const later = host.begin('test-four');
  const keycloak = await later.provide();
  expect(keycloak.realm?.name).not.toBe(dependencies[0]?.realm?.name);
  const reattached = await later.step((steps) =>
    steps.quickReattach(later.input('quick-lane: reattach', NEW, [keycloak])),
  );
  expect(reattached).toMatchObject({ result: 'pass' });
  const custom = await later.step((steps) =>
    steps.quickCustom(later.input('quick-lane: custom', NEW, [keycloak])),
  );
  expect(custom).toEqual({ result: 'pass' });
  await later.step((steps) => steps.quickUndeploy({ run: later.ref }));
  await later.step((steps) => steps.settle({ run: later.ref }));
  await later.end();
});

test('what a run leaves that was ended is reaped, and nobody else’s realm', async () => {
  // test-two is open still, and waits.
  const reap = { holder: { workflowId: 'reap', runId: 'reap', what: 'reap' } };
  expect(await host.step('reap', (steps) => steps.reap(reap))).toEqual([]);
  expect(await realms()).toHaveLength(3);
  host.open.clear();
  expect(await host.step('reap', (steps) => steps.reap(reap))).toEqual([]);
  expect(await realms()).toEqual(['master', STRANGERS]);
  expect(readdirSync(path.join(host.state, 'realms'))).toEqual([]);
});
