import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAppScripts, type AppScripts } from '../../host/scripts/app-scripts.ts';
import { Fault } from '../../domain/fault.ts';
import { printable } from '../../domain/printable.ts';
import type { App } from '../../domain/app.ts';
import { processRunner } from '../../host/machine/process.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

let folder: string;
let guarded: number;
const told = { APP_DOMAIN: 'thin-1.test', STACK_NAME: 'thin-1_test' };

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'app-scripts-'));
  mkdirSync(path.join(folder, 'evidence'));
  guarded = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Changes {
  told?: Record<string, string>;
  signal?: AbortSignal;
  path?: string;
  /** When the step ends. */
  until?: number;
  /** The engine was, while the script ran. */
  restarted?: boolean;
}

function scripts(changes: Changes = {}): AppScripts {
  const environment = { PATH: changes.path ?? process.env['PATH'] ?? '', DECLARED: 'yes' };
  return createAppScripts({
    commands: processRunner({
      environment,
      ...(changes.signal === undefined ? {} : { signal: changes.signal }),
    }),
    environment: async () => changes.told ?? told,
    watchEngine: async () => ({
      async check(what) {
        if (changes.restarted) throw new Fault('Daemon', `${what}: restarted`);
      },
      close: () => undefined,
    }),
    fit: async (_stack, text) => printable(text.replaceAll('generated-1234', '***')),
    guard: async () => {
      guarded += 1;
    },
    report: () => undefined,
    until: changes.until ?? Date.now() + 3_600_000,
  });
}

/** An app whose recipe has this hook `ready`, and this check. */
function app(script: string | Buffer, timeoutMs = 20_000): App {
  const file = path.join(folder, 'hello');
  writeFileSync(file, script, { mode: 0o755 });
  return {
    recipe: 'thing',
    version: '1.0.0+1.0',
    commit: 'c'.repeat(40),
    checkout: folder,
    scratch: path.join(folder, 'scratch'),
    domain: 'thin-1.test',
    stack: 'thin-1_test',
    lifetime: 'cold',
    run: 'sweep/thing',
    env: {},
    settings: {
      ...plainSettings('thing'),
      hooks: { ready: file },
      checks: [file],
      timeouts: { hook: timeoutMs, check: timeoutMs },
    },
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(folder, 'images.json'),
    provenImages: null,
    evidence: path.join(folder, 'evidence'),
  };
}

const sh = (...lines: string[]): string => ['#!/bin/sh', ...lines, ''].join('\n');
const kept = (name = 'hook-ready.txt'): string => readFileSync(path.join(folder, 'evidence', name), 'utf8');
/** A zombie, which waits for somebody to ask how it ended, does not run. */
function isRunning(pid: string): boolean {
  const status = `/proc/${pid}/status`;
  return existsSync(status) && !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}
const check = (one: App, more = {}) => scripts().check(one, one.settings.checks[0] ?? '', more);

describe('a hook', () => {
  it('that the recipe does not have is no result', async () => {
    expect(await scripts().hook(app(sh()), 'install')).toBeNull();
    expect(readdirSync(path.join(folder, 'evidence'))).toEqual([]);
  });

  it('passes when it leaves with 0; both streams are kept in order, with times', async () => {
    const one = app(sh('echo one', 'sleep 0.1', 'echo two >&2', 'sleep 0.1', 'echo three'));
    expect(await scripts().hook(one, 'ready')).toEqual({ result: 'pass' });
    expect(kept()).toMatch(
      /^== hook ready: \S+hello\n== started 20\S+Z\none\ntwo\nthree\n== ended 20\S+Z, exit status 0\n\n$/,
    );
    expect(guarded).toBe(1);
  });

  it('fails when it leaves with anything else, 77 too, and says how and with which words', async () => {
    const reason = 'hook ready: exit status 77: no such user';
    const evidence = path.join(folder, 'evidence', 'hook-ready.txt');
    const one = app(sh('echo first', 'echo no such user >&2', 'exit 77'));
    expect(await scripts().hook(one, 'ready')).toEqual({ result: 'fail', reason, evidence });
  });

  it('that is run again adds to what was kept', async () => {
    const one = app(sh('echo $TIER'));
    await scripts().hook(one, 'ready', { environment: { TIER: 'upgrade' } });
    await scripts().hook(one, 'ready', { environment: { TIER: 'restore' } });
    expect(kept()).toMatch(/\nupgrade\n[^]*\nrestore\n/);
  });

  it('sees what is declared and what it is told, our tools first, and nothing of the worker', async () => {
    process.env['WORKER_SECRET'] = 'hunter2';
    await scripts({ path: '/usr/bin:/bin' }).hook(app(sh('env')), 'ready', {
      environment: { TIER: 'custom' },
    });
    delete process.env['WORKER_SECRET'];
    const names = [...kept().matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    const besides = ['PWD', 'OLDPWD', 'SHLVL', '_', 'RECIPE_SWEEP_EXEC'];
    expect(new Set(names.filter((name = '') => !besides.includes(name)))).toEqual(
      new Set(['APP_DOMAIN', 'DECLARED', 'PATH', 'STACK_NAME', 'TIER']),
    );
    expect(kept()).toMatch(/^PATH=\S+\/host\/scripts\/tools:\/usr\/bin:\/bin$/m);
  });

  it('finds in-service on its path', async () => {
    expect(await scripts().hook(app(sh('in-service app')), 'ready')).toMatchObject({
      reason: 'hook ready: exit status 64: usage: in-service SERVICE COMMAND…',
    });
  });

  it('works in an empty folder that is gone afterwards', async () => {
    const one = app(sh('pwd', 'ls -A | wc -l', 'touch file; mkdir -p deep/er'));
    await scripts().hook(one, 'ready');
    const [, cwd = '', files] = /\n(\/.*)\n(\d+)\n/.exec(kept()) ?? [];
    expect(files).toBe('0');
    expect(existsSync(cwd)).toBe(false);
    expect(readdirSync(one.scratch)).toEqual([]);
  });

  it('reads nothing', async () => {
    expect(await scripts().hook(app(sh('cat')), 'ready')).toEqual({ result: 'pass' });
  });

  it('is not kept with a secret of the stack, nor with one it was given to hide, nor with what steers a terminal', async () => {
    const one = app(
      sh(
        String.raw`printf 'a generated-1234 b inserted-5678 \033[31mred\033[0m \033]0;title\007 \302\233\n'`,
      ),
    );
    await scripts().hook(one, 'ready', { secrets: async () => ['inserted-5678'] });
    expect(kept()).toContain('\na *** b *** red ');
    expect(kept()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  it('that fails does not say a secret in its reason', async () => {
    const one = app(sh('echo the password generated-1234 is wrong; exit 1'));
    expect(await scripts().hook(one, 'ready')).toMatchObject({
      reason: 'hook ready: exit status 1: the password *** is wrong',
    });
  });

  it('that prints very much is kept with its end', async () => {
    const one = app(sh('yes 0123456789 | head -c 3000000; echo; echo last'));
    expect(await scripts().hook(one, 'ready')).toEqual({ result: 'pass' });
    expect(kept().length).toBeLessThan(1_100_000);
    expect(kept()).toMatch(/Z\n…\n0123456789\n[^]*\nlast\n== ended/);
  });
});

describe('a script that does not end', () => {
  it('fails at its time, with its children', async () => {
    const pids = path.join(folder, 'pids');
    const one = app(sh('echo begun', `sleep 100 & echo $! > ${pids}`, 'wait'), 1_000);
    expect(await scripts().hook(one, 'ready')).toMatchObject({
      result: 'fail',
      reason: 'hook ready: not finished after 1s, ended: begun',
    });
    expect(kept()).toContain('\nbegun\n== ended');
    expect(isRunning(readFileSync(pids, 'utf8').trim())).toBe(false);
  });

  it('fails before its step ends, which would say nothing of the app', async () => {
    const one = app(sh('echo begun; sleep 100'), 3_600_000);
    expect(await scripts({ until: Date.now() + 31_500 }).hook(one, 'ready')).toMatchObject({
      result: 'fail',
      reason: expect.stringMatching(
        /^hook ready: not finished after \d+m?s, which is all that was left of its step, ended: begun$/,
      ),
    });
  });

  it('is not waited for when something that left its process group holds its output open', async () => {
    const pids = path.join(folder, 'pids');
    const one = app(sh(`setsid sleep 100 & echo $! > ${pids}`, 'exit 0'), 500);
    expect(await scripts().hook(one, 'ready')).toMatchObject({
      reason: 'hook ready: not finished after 500ms, ended',
    });
    expect(isRunning(readFileSync(pids, 'utf8').trim())).toBe(false);
  }, 20_000);

  it('ends with the attempt', async () => {
    const ending = new AbortController();
    const one = app(sh('sleep 100'));
    const pending = scripts({ signal: ending.signal }).hook(one, 'ready');
    setTimeout(() => ending.abort(new Error('cancelled')), 300);
    await expect(pending).rejects.toThrow('cancelled');
    expect(readdirSync(one.scratch)).toEqual([]);
  });
});

describe('of a script nothing is learned', () => {
  it('when a signal from outside ended it', async () => {
    const one = app(sh('echo so far; kill -KILL $$'));
    await expect(scripts().hook(one, 'ready')).rejects.toMatchObject({
      type: 'Daemon',
      message: expect.stringContaining('hook ready'),
    });
    expect(kept()).toMatch(/\nso far\n== ended \S+, ended by SIGKILL\n/);
  });

  it('when the engine was restarted while it failed; but what passed has passed', async () => {
    const restarted = scripts({ restarted: true });
    await expect(restarted.hook(app(sh('echo no answer; exit 1')), 'ready')).rejects.toMatchObject({
      type: 'Daemon',
      message: 'hook ready: restarted',
    });
    expect(await restarted.hook(app(sh()), 'ready')).toEqual({ result: 'pass' });
  });

  it.each([
    ['whose interpreter is missing', '#!/no/such/interpreter\n'],
    ['whose interpreter env does not find', '#!/usr/bin/env no-such-interpreter\n'],
    ['that is a program for another machine', Buffer.from('\x7fELF\x01\x02garbage', 'latin1')],
  ])('%s: the configuration is at fault', async (_, text) => {
    await expect(scripts().hook(app(text), 'ready')).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.stringMatching(/^hook ready cannot be started: .*hello is executable/s),
    });
  });

  it('that is gone, or no longer executable', async () => {
    const one = app(sh());
    writeFileSync(path.join(folder, 'plain'), sh(), { mode: 0o644 });
    await expect(scripts().check(one, path.join(folder, 'gone'))).rejects.toMatchObject({
      type: 'BadConfig',
    });
    await expect(scripts().check(one, path.join(folder, 'plain'))).rejects.toMatchObject({
      type: 'BadConfig',
    });
  });

  it('but one that leaves with 127 by itself fails', async () => {
    expect(await scripts().hook(app(sh('no-such-command')), 'ready')).toMatchObject({ result: 'fail' });
  });
});

describe('a check', () => {
  it('is not applicable when it leaves with 77, for the reason that it printed last', async () => {
    const one = app(sh('echo looking; echo mail is not configured; exit 77'));
    expect(await check(one)).toEqual({ result: 'not applicable', reason: 'mail is not configured' });
    expect(kept('check-hello.txt')).toContain('looking\nmail is not configured\n');
    expect(await check(app(sh('exit 77')))).toMatchObject({ reason: 'it gives no reason' });
  });

  it('may have less time than its recipe says', async () => {
    expect(await check(app(sh('sleep 100')), { withinMs: 200 })).toMatchObject({
      reason: 'check hello: not finished after 200ms, which is all that was left of its step, ended',
    });
  });
});

describe('addresses', () => {
  it('are told to curl and git where the app and its dependencies are reached by them', async () => {
    const one = app(
      sh('echo "$CURL_HOME"; cat "$CURL_HOME/.curlrc"; git config --get-all http.curloptResolve; ls -A'),
    );
    const environment = {
      ...told,
      APP_URL: 'http://thin-1.test:8080',
      APP_ADDRESS: '172.18.0.5',
      DEP_GITEA_URL: 'http://gite-1.test',
      DEP_GITEA_ADDRESS: '172.18.0.6',
      DEP_MAIL_URL: 'https://mail.test',
    };
    expect(await scripts({ told: environment }).hook(one, 'ready')).toEqual({ result: 'pass' });
    expect(kept()).toContain(
      [
        '',
        'resolve = "thin-1.test:8080:172.18.0.5"',
        'resolve = "gite-1.test:80:172.18.0.6"',
        'thin-1.test:8080:172.18.0.5',
        'gite-1.test:80:172.18.0.6',
        '== ended',
      ].join('\n'),
    );
  });
});
