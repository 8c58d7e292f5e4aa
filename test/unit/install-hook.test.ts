import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { App } from '../../domain/app.ts';
import { Red } from '../../host/deploy/red.ts';
import { runInstallHook, type Installed } from '../../host/deploy/install-hook.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'install-hook-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** What the hook brings that does this to its two folders. */
function installed(write: (folders: { secrets: string; env: string }) => void): Promise<Installed> {
  const settings = { ...plainSettings('thing'), hooks: { install: '/hooks/install' } };
  const app = { settings, scratch, evidence: scratch } as unknown as App;
  const hook = async (
    _app: App,
    _name: string,
    { environment = {} }: { environment?: Readonly<Record<string, string>> } = {},
  ): Promise<{ result: 'pass' }> => {
    write({ secrets: environment['SECRETS_DIR'] ?? '', env: environment['ENV_DIR'] ?? '' });
    return { result: 'pass' };
  };
  return runInstallHook({ hook }, app);
}

it('brings secrets and variables, and leaves no folder behind', async () => {
  const { secrets, env } = await installed((folders) => {
    writeFileSync(path.join(folders.secrets, 'client_secret'), 'word\n');
    writeFileSync(path.join(folders.env, 'CLIENT_ID'), 'an id\n');
    writeFileSync(path.join(folders.env, 'EMPTY'), '');
  });
  expect([...secrets].map(([key, value]) => [key, String(value)])).toEqual([['client_secret', 'word']]);
  expect(env).toEqual({ CLIENT_ID: 'an id', EMPTY: '' });
  expect(readdirSync(scratch)).toEqual([]);
});

it('is red with all that is no variable', async () => {
  const broken = installed(({ env }) => {
    writeFileSync(path.join(env, 'lower'), 'x');
    mkdirSync(path.join(env, 'FOLDER'));
    symlinkSync('/etc/passwd', path.join(env, 'LINK'));
    writeFileSync(path.join(env, 'LARGE'), 'x'.repeat(16 * 1024 + 1));
    writeFileSync(path.join(env, 'LINES'), 'one\ntwo\n');
    writeFileSync(path.join(env, 'FINE'), 'x');
  });
  await expect(broken).rejects.toThrow(Red);
  await expect(broken).rejects.toThrow(
    'hook install: in $ENV_DIR FOLDER is not a file, LARGE is larger than 16384 bytes, LINES is more than a line, LINK is not a file, "lower" is no variable in capitals',
  );
  expect(readdirSync(scratch)).toEqual([]);
});
