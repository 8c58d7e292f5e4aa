import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { mkdtemp, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { initBareArgs, listRemoteArgs, objectsArgs, refsArgs } from '../../host/git/commands.ts';
import { withCredentials } from '../../host/git/credentials.ts';
import { gitAt, type GitCommand } from '../../host/git/git-at.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors } from '../../host/git/mirrors.ts';
import { BOUNDARY_CHANNEL, type Passed } from '../../host/machine/boundary.ts';
import {
  LARGEST_OUTPUT,
  processRunner,
  type CommandFailed,
  type ProcessSettings,
} from '../../host/machine/process.ts';
import { COMMAND_MARK, withVariable } from '../../host/machine/processes.ts';
import { killCommand } from '../chaos/kill-command.ts';
import { createGitRecorder } from '../fixtures/git-recorder.ts';
import { createGitRepo, type GitRepo } from '../fixtures/git-repo.ts';
import { serveGitOverHttp } from '../fixtures/git-over-http.ts';

const DEADLINE_MS = 60_000;
/** Nobody else's commands have it. */
const OURS = `git-at-test#${process.pid}`;

let root: string;
let real: ProcessSettings;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'git-at-'));
  await mkdir(path.join(root, 'home'));
  real = withPath(process.env['PATH'] ?? '');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

function withPath(searched: string): ProcessSettings {
  const docker = { socket: '/none', pull: 'missing' } as const;
  const environment = declaredEnvironment({ path: searched, state: root, docker });
  return { environment: { ...environment, [COMMAND_MARK]: OURS } };
}

/** A git that does this instead. */
async function standIn(...lines: string[]): Promise<ProcessSettings> {
  const folder = path.join(root, 'stand-in');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'git'), ['#!/bin/bash', ...lines, ''].join('\n'), { mode: 0o755 });
  return withPath(`${folder}:${process.env['PATH'] ?? ''}`);
}

function ask(settings: ProcessSettings, more: Partial<GitCommand> = {}): Promise<string> {
  return gitAt(root, { args: ['ls-remote'], deadlineMs: DEADLINE_MS, ...more }, settings);
}

async function running(): Promise<number[]> {
  return (await withVariable(COMMAND_MARK)).flatMap(({ value, pid }) => (value === OURS ? [pid] : []));
}

async function untilRunning(count: number): Promise<void> {
  while ((await running()).length < count) await sleep(20);
}

async function upstream(): Promise<GitRepo> {
  const repo = await createGitRepo(processRunner(real), path.join(root, 'upstream'));
  await repo.commit({ 'compose.yml': 'services: {}\n' });
  await repo.git('tag', '1.0.0+1');
  return repo;
}

describe('what git answers', () => {
  test('is its standard output, to the last character', async () => {
    const settings = await standIn('printf "a\\n\\n  "', 'echo noise >&2');
    expect(await ask(settings)).toBe('a\n\n  ');
  });

  test('is whole also when it comes after its exit', async () => {
    const settings = await standIn('(sleep 0.4; echo late) &', 'echo early');
    expect(await ask(settings)).toBe('early\nlate\n');
  });

  test('is none where what it started still writes at the deadline, although it ended well', async () => {
    const settings = await standIn('(sleep 60; echo late) &', 'echo early');
    await expect(ask(settings, { deadlineMs: 1_000 })).rejects.toMatchObject({
      ending: 'deadline',
      stdout: 'early\n',
    });
    expect(await running()).toEqual([]);
  });

  test('of one that wrote nothing is nothing, at once', async () => {
    const settings = await standIn('exit 0');
    await ask(settings);
    const took = [];
    for (let round = 0; round < 5; round++) {
      const begin = performance.now();
      expect(await ask(settings)).toBe('');
      took.push(performance.now() - begin);
    }
    expect(Math.min(...took)).toBeLessThan(45);
  });

  test('of one that reads is read from the input, which has an end', async () => {
    const settings = await standIn('cat');
    expect(await ask(settings, { input: 'one\ntwo\n' })).toBe('one\ntwo\n');
    expect(await ask(settings)).toBe('');
  });

  test('is asked with the declared environment alone, and arguments as they are', async () => {
    vi.stubEnv('GIT_DIR', '/elsewhere');
    vi.stubEnv('WORKER_SECRET', 'hunter2');
    const settings = await standIn(
      'printf "%s\\n" "$@"',
      'cat /proc/$$/environ | tr "\\0" "\\n" >&2',
      'exit 3',
    );
    const failure: unknown = await ask(settings, { args: ['a b', '--', '$(id)', '-c'] }).catch(
      (thrown: unknown) => thrown,
    );
    expect(failure).toMatchObject({ status: 3, stdout: 'a b\n--\n$(id)\n-c\n' });
    const names = (failure as CommandFailed).stderr.match(/^\w+(?==)/gm);
    const added = ['RECIPE_SWEEP_GIT', 'GIT_TEST_DISALLOW_ABBREVIATED_OPTIONS'];
    expect(names?.sort()).toEqual([...Object.keys(settings.environment), ...added].sort());
  });

  test('comes from a real one', async () => {
    const folder = path.join(root, 'made.git');
    await gitAt('/', { args: initBareArgs(folder, 'a'.repeat(40)), deadlineMs: DEADLINE_MS }, real);
    expect(await gitAt(folder, { args: refsArgs(), deadlineMs: DEADLINE_MS }, real)).toBe('');
    const command = { args: objectsArgs(), input: `${'a'.repeat(40)}\n`, deadlineMs: DEADLINE_MS };
    expect(await gitAt(folder, command, real)).toBe(`${'a'.repeat(40)} missing\n`);
  });
});

describe('a git that fails', () => {
  test('with exit status 1 and without a word rejects', async () => {
    await expect(ask(await standIn('exit 1'))).rejects.toMatchObject({
      name: 'CommandFailed',
      status: 1,
      ending: 'status',
      message: 'git ls-remote: exit status 1',
    });
  });

  test('quotes the last lines that it wrote', async () => {
    const settings = await standIn('echo "fatal: no such thing" >&2', 'exit 128');
    await expect(ask(settings)).rejects.toThrow('git ls-remote: exit status 128\nfatal: no such thing');
  });

  test('killed in the middle of its answer rejects', async () => {
    const settings = await standIn('echo some', 'kill -9 $$');
    await expect(ask(settings)).rejects.toMatchObject({
      name: 'CommandFailed',
      status: null,
      ending: 'signal',
      stdout: 'some\n',
    });
  });

  test.each(['before its answer', 'behind its whole answer'])(
    'killed by the system %s is never an upstream without tags',
    async (when) => {
      const repo = await upstream();
      const state = path.join(root, 'state');
      const mirrorsWith = ({ environment }: ProcessSettings) =>
        createMirrors({
          config: { mirrors: path.join(root, '{recipe}.git'), state, limits: { fetch: 1e9 } },
          commands: processRunner({ environment }),
          ledger: createLedger(state),
          now: () => new Date(),
          endOrphans: async () => undefined,
        });
      const { releases } = await mirrorsWith(real).sync('thing', repo.folder);
      expect(releases).toHaveLength(1);
      const git = (await createGitRecorder(path.join(root, 'recorder'))).path;
      const killed = await standIn(
        `PATH=${git}`,
        'case "$*" in',
        `  *ls-remote*) ${when === 'before its answer' ? '' : 'git "$@";'} kill -9 $$;;`,
        '  *) exec git "$@";;',
        'esac',
      );
      await expect(mirrorsWith(killed).sync('thing', repo.folder)).rejects.toMatchObject({
        type: 'MirrorSync',
        message: expect.stringContaining('ended by a signal'),
      });
      expect(await readFile(path.join(root, 'thing.git', 'refs/tags/1.0.0+1'), 'utf8')).toContain(
        releases[0]?.commit,
      );
      expect(await mirrorsWith(real).sync('thing', repo.folder)).toMatchObject({ releases, changed: false });
    },
  );

  test('that is not there rejects, in one line', async () => {
    const error = (await ask(withPath('/nowhere')).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ name: 'CommandFailed', status: null, ending: 'not started' });
    expect(error.message).toBe('git ls-remote: Error: spawn git ENOENT');
  });

  test('whose folder is gone rejects', async () => {
    const command = { args: refsArgs(), deadlineMs: DEADLINE_MS };
    await expect(gitAt(path.join(root, 'gone'), command, real)).rejects.toMatchObject({
      name: 'CommandFailed',
      ending: 'not started',
    });
  });

  test('that says more than is read is ended', async () => {
    const settings = await standIn('yes');
    await expect(ask(settings)).rejects.toThrow(`printed more than ${LARGEST_OUTPUT} bytes, ended`);
    expect(await running()).toEqual([]);
  }, 60_000);

  test('is no failure but a mistake of ours where simple-git refuses the arguments', async () => {
    const args = ['-c', 'core.sshCommand=id', 'ls-remote'];
    await expect(ask(real, { args })).rejects.toMatchObject({
      plugin: 'unsafe',
      message: expect.stringContaining('allowUnsafeSshCommand'),
    });
    const env = { GIT_SSH_COMMAND: 'id' };
    await expect(ask(real, { env })).rejects.toMatchObject({
      message: expect.stringContaining('GIT_SSH_COMMAND'),
    });
    await expect(ask(real, { args: ['-c', 'credential.helper=id', 'ls-remote'] })).rejects.toMatchObject({
      plugin: 'unsafe',
    });
  });
});

describe('a git that is ended', () => {
  /** Children in groups and sessions of their own, deaf to every polite signal, and so is their parent. */
  const DEAF = ["trap '' INT TERM", 'setsid sleep 300 &', '(setsid sleep 300 &)', 'sleep 300', 'sleep 300'];

  test('at its deadline takes its children and theirs along', async () => {
    const settings = await standIn(...DEAF);
    const asked = ask(settings, { deadlineMs: 700 });
    await untilRunning(4);
    await expect(asked).rejects.toMatchObject({
      name: 'CommandFailed',
      ending: 'deadline',
      message: expect.stringContaining('not finished after 700 ms, ended'),
    });
    expect(await running()).toEqual([]);
  }, 30_000);

  test('with its attempt takes its children and theirs along, and that is no failure', async () => {
    const attempt = new AbortController();
    const asked = ask({ ...(await standIn(...DEAF)), signal: attempt.signal });
    await untilRunning(4);
    const why = new Error('cancelled');
    attempt.abort(why);
    await expect(asked).rejects.toBe(why);
    expect(await running()).toEqual([]);
  }, 30_000);

  test('is told to first, and removes its lock files', async () => {
    const lock = path.join(root, 'main.lock');
    const settings = await standIn(
      `trap 'rm ${lock}; exit 1' TERM`,
      `touch ${lock}`,
      'while :; do sleep 0.05; done',
    );
    await expect(ask(settings, { deadlineMs: 400 })).rejects.toMatchObject({ ending: 'deadline' });
    expect(await readdir(root)).not.toContain('main.lock');
  });

  test('leaves another of the same attempt alone', async () => {
    const settings = await standIn('sleep "$1"', 'echo done');
    const other = ask(settings, { args: ['1.5'] });
    await expect(ask(settings, { args: ['300'], deadlineMs: 300 })).rejects.toMatchObject({
      ending: 'deadline',
    });
    expect(await other).toBe('done\n');
  });

  test('does not begin after its attempt', async () => {
    const why = new Error('cancelled');
    const marker = path.join(root, 'begun');
    const settings = await standIn(`touch ${marker}`);
    await expect(ask({ ...settings, signal: AbortSignal.abort(why) })).rejects.toBe(why);
    expect(await readdir(root)).not.toContain('begun');
  });

  describe('while a server does not answer', () => {
    let server: Server;

    beforeEach(async () => {
      server = createServer(() => undefined).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });

    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    test('takes the real helper along that speaks to it', async () => {
      const { port } = server.address() as AddressInfo;
      const args = listRemoteArgs(`http://127.0.0.1:${port}/thing.git`);
      const asked = gitAt('/', { args, deadlineMs: 1_500 }, real);
      await once(server, 'request');
      // git, git remote-http, and git-remote-http
      expect((await running()).length).toBeGreaterThan(1);
      await expect(asked).rejects.toMatchObject({ ending: 'deadline' });
      expect(await running()).toEqual([]);
    });
  });
});

describe('the moment a command was started, the fault campaign', () => {
  async function killedAtOnce(start: () => Promise<unknown>): Promise<void> {
    const seen: string[] = [];
    const onPassed = (message: unknown): void => {
      const passed = message as Passed;
      seen.push(passed.boundary);
      killCommand(passed);
    };
    subscribe(BOUNDARY_CHANNEL, onPassed);
    try {
      await expect(start()).rejects.toMatchObject({ status: null, ending: 'signal' });
    } finally {
      unsubscribe(BOUNDARY_CHANNEL, onPassed);
    }
    expect(seen).toEqual(['command.after-start']);
    await sleep(700);
    expect(await readdir(root)).not.toContain('begun');
  }

  test('finds a git by its mark', async () => {
    const settings = await standIn('sleep 0.5', `touch ${path.join(root, 'begun')}`);
    await killedAtOnce(() => ask(settings));
  });

  test('finds another by its group', async () => {
    const settings = await standIn('sleep 0.5', `touch ${path.join(root, 'begun')}`);
    await killedAtOnce(() => processRunner(settings).run({ file: 'git', args: [] }));
  });
});

describe('credentials', () => {
  const TOKEN = 'p@ss"$(id)';
  const FORMS = [TOKEN, encodeURIComponent(TOKEN), Buffer.from(TOKEN).toString('base64')];

  function expectHidden(text: string): void {
    for (const form of [...FORMS, Buffer.from(`bot:${TOKEN}`).toString('base64')]) {
      expect(text).not.toContain(form);
    }
  }

  test('open a real server, and show up in no argument, environment, or file with a name', async () => {
    const repo = await upstream();
    const server = await serveGitOverHttp(path.dirname(repo.folder), 'bot', TOKEN);
    try {
      const recorder = await createGitRecorder(path.join(root, 'recorder'));
      const { origin } = server;
      const from = { origin, username: 'bot', password: TOKEN };
      vi.stubEnv('TMPDIR', await mkdtemp(path.join(root, 'tmp-')));
      const answer = await withCredentials(from, async (credentials) => {
        const args = listRemoteArgs(`${origin}/upstream/.git`);
        const settings = withPath(recorder.path);
        const said = await gitAt('/', { args, credentials, deadlineMs: DEADLINE_MS }, settings);
        expect(await readdir(tmpdir())).toEqual([]);
        return said;
      });
      expect(answer).toContain('refs/tags/1.0.0+1');
      const ran = recorder.ran();
      expect(ran).toHaveLength(1);
      expectHidden(JSON.stringify(ran));
      // Another command is given nothing of it.
      await gitAt(
        '/',
        { args: listRemoteArgs(repo.folder), deadlineMs: DEADLINE_MS },
        withPath(recorder.path),
      );
      expect(JSON.stringify(recorder.ran())).not.toMatch(/credential/i);
    } finally {
      server.close();
    }
  });

  test('are asked for by the server they are for, and no other', async () => {
    const repo = await upstream();
    const server = await serveGitOverHttp(path.dirname(repo.folder), 'bot', TOKEN);
    try {
      const elsewhere = { origin: 'http://127.0.0.1:1', username: 'bot', password: TOKEN };
      const asked = withCredentials(elsewhere, (credentials) => {
        const args = listRemoteArgs(`${server.origin}/upstream/.git`);
        return gitAt('/', { args, credentials, deadlineMs: DEADLINE_MS }, real);
      });
      await expect(asked).rejects.toMatchObject({ status: 128 });
    } finally {
      server.close();
    }
  });

  test('are masked in whatever a git prints of them', async () => {
    const echo = FORMS.map((form) => `echo '${form}'; echo '${form}' >&2`);
    for (const status of [0, 1]) {
      const settings = await standIn(...echo, `exit ${status}`);
      const from = { origin: 'http://127.0.0.1:1', username: 'bot', password: TOKEN };
      const said = await withCredentials(from, (credentials) =>
        ask(settings, { credentials }).catch((thrown: Error) => `${thrown.message}${JSON.stringify(thrown)}`),
      );
      expectHidden(said);
      expect(said).toContain('***');
    }
  });

  test('can be read more than once while it runs, and not once it has ended', async () => {
    const settings = await standIn('cat "$RECIPE_SWEEP_CREDENTIALS" "$RECIPE_SWEEP_CREDENTIALS" | wc -l');
    const from = { origin: 'http://127.0.0.1:1', username: 'bot', password: TOKEN };
    let file = '';
    const said = await withCredentials(from, async (credentials) => {
      file = credentials?.env['RECIPE_SWEEP_CREDENTIALS'] ?? '';
      expect(await readlink(file)).toMatch(/recipe-sweep-.*\(deleted\)$/);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      return ask(settings, { credentials });
    });
    expect(said).toBe('4\n');
    expect(await readlink(file).catch(() => '')).not.toContain('recipe-sweep-');
  });
});

test('nothing is kept of a git that has ended: a worker lives for months', async () => {
  // As the steps' own: whatever still waits for that git has the context of who started it.
  const context = new AsyncLocalStorage<object>();
  const started: WeakRef<object>[] = [];
  for (let git = 0; git < 3; git++) {
    const step = {};
    started.push(new WeakRef(step));
    await context.run(step, () => ask(real, { args: ['--version'] }));
  }
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  await vi.waitFor(() => {
    collectGarbage();
    // The last one may still be on the stack.
    const kept = started.slice(0, -1).filter((step) => step.deref() !== undefined);
    expect(kept).toHaveLength(0);
  });
});
