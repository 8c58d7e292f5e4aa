import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DOCKER_HUB, registryOf } from '../../host/engine/image-name.ts';
import { loginFor } from '../../host/engine/registry-login.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'registry-login-'));
  file = path.join(folder, 'config.json');
});

afterEach(() => rmSync(folder, { recursive: true }));

const base64 = (text: string): string => Buffer.from(text).toString('base64');

it.each([
  ['nginx', DOCKER_HUB],
  ['team/app:1', DOCKER_HUB],
  ['docker.io/team/app@sha256:0', DOCKER_HUB],
  ['ghcr.io/team/app:1', 'ghcr.io'],
  ['localhost/app', 'localhost'],
  ['registry:5000/app', 'registry:5000'],
])('%s comes from %s', (image, registry) => {
  expect(registryOf(image)).toBe(registry);
});

it('there is no login without the file, for another registry, or in a helper', async () => {
  expect(await loginFor(file, 'ghcr.io/a/b')).toBeUndefined();
  const auths = { 'quay.io': { auth: base64('ci:x') }, 'ghcr.io': {} };
  writeFileSync(file, JSON.stringify({ auths, credsStore: 'pass' }));
  expect(await loginFor(file, 'ghcr.io/a/b')).toBeUndefined();
  expect(await loginFor(file, 'a/b')).toBeUndefined();
});

it('a login is what docker wrote, whatever is in the password', async () => {
  writeFileSync(file, JSON.stringify({ auths: { 'quay.io': { auth: base64('ci:pass:word') } } }));
  expect(await loginFor(file, 'quay.io/a/b:1')).toEqual({
    username: 'ci',
    password: 'pass:word',
    serveraddress: 'quay.io',
  });
});

it('a file that cannot be read is no absent one', async () => {
  writeFileSync(file, 'half');
  await expect(loginFor(file, 'a/b')).rejects.toMatchObject({ type: 'RecordUnreadable' });
});
