import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import type { ExecResult } from '../../host/engine/exec.ts';
import type { App } from '../../domain/app.ts';
import { createPostCommands } from '../../host/scripts/post-commands.ts';
import type { Command, Finished } from '../../host/machine/process.ts';
import { ContainerEnded } from '../../host/engine/exec.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

/** A recipe's commands where they are not run: test/e2e/hooks.e2e.test.ts runs some. */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'post-commands-'));
  mkdirSync(path.join(folder, 'scratch'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Engine {
  copied?: Partial<Finished>;
  exec?: (command: string, timeoutMs: number) => ExecResult | Error;
  /** Of the service app. */
  state?: string;
}

/** Runs `app one` and `app two`, and answers what came of it, what was copied and what was run in the container. */
async function ran({ copied = {}, exec = () => ({ status: 0, output: '' }), state = 'running' }: Engine) {
  const task = { id: 't1', current: true, state };
  const seen = { at: 0, services: [{ name: 'app', tasks: [task] }] };
  const [copies, execs]: [Command[], string[]] = [[], []];
  const run = async (command: Command): Promise<Finished> => {
    copies.push(command);
    return { status: 0, stdout: '', stderr: '', ...copied };
  };
  const post = createPostCommands({
    commands: { settings: { environment: {} }, run, output: async () => '' },
    swarm: {
      observe: async () => seen as never,
      containers: async () => [{ id: 'c1', service: 'app', taskId: 't1', imageId: 'i1', runs: true }],
      exec: async (_container, command, timeoutMs) => {
        execs.push(command);
        const done = exec(command, timeoutMs);
        if (done instanceof Error) throw done;
        return done;
      },
    },
    guard: async () => undefined,
    report: () => undefined,
    fit: async (_stack, text) => text.replaceAll('hunter2', '***'),
  });
  const app: App = {
    recipe: 'thing',
    version: '1.0.0+1',
    commit: 'c'.repeat(40),
    checkout: folder,
    scratch: path.join(folder, 'scratch'),
    domain: 'thing.example.org',
    stack: 'thing_example_org',
    lifetime: 'cold',
    run: 'sweep/thing',
    env: {},
    settings: plainSettings('thing'),
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(folder, 'images.json'),
    provenImages: null,
    evidence: folder,
  };
  const commands = ['one', "two 'a b'"].map((call) => ({ service: 'app', call }));
  const result = await post.run(app, { occasion: 'upgrade', commands, abraSh: 'one() { :; }' }, 90_000);
  expect(readdirSync(app.scratch)).toEqual([]);
  return { result, copies, execs };
}

const FILE = 'post-upgrade-commands.txt';
const failed = (reason: string) => ({
  result: 'fail',
  reason: `POST_UPGRADE_CMDS: app ${reason}`,
  evidence: path.join(folder, FILE),
});

it('each is called in the shell that has read abra.sh', async () => {
  const { result, copies, execs } = await ran({});
  expect(result).toEqual({ result: 'pass' });
  expect(copies.map(({ file, args }) => [file, ...args])).toEqual(
    Array(2).fill(['docker', 'cp', '--', expect.stringMatching(/\/abra-\S+\.sh$/), 'c1:/tmp/abra.sh']),
  );
  const shell = 'shell=/bin/bash; test -e $shell || shell=/bin/sh; exec $shell -c';
  const known = 'TARGET=app; APP_NAME=thing.example.org; STACK_NAME=thing_example_org; . /tmp/abra.sh;';
  expect(execs).toEqual([`${shell} '${known} one'`, `${shell} '${known} two '\\''a b'\\'''`]);
});

it('the first that fails is the last, and secrets are masked in what it printed', async () => {
  const { result, execs } = await ran({ exec: () => ({ status: 3, output: 'with hunter2\nno database\n' }) });
  expect(result).toEqual(failed('one: exit status 3: no database'));
  expect(execs).toHaveLength(1);
  expect(readFileSync(path.join(folder, FILE), 'utf8')).toContain('\nwith ***\nno database\n== ended ');
});

it('they have the time of the step together', async () => {
  const times: number[] = [];
  const { result } = await ran({
    exec: (command, timeoutMs) => {
      times.push(timeoutMs);
      return { status: command.endsWith("one'") ? 0 : null, output: '' };
    },
  });
  expect(result).toEqual(failed("two 'a b': not finished after 2m, ended"));
  expect(times[0]).toBeLessThanOrEqual(90_000);
  expect(times[1]).toBeLessThanOrEqual(times[0] ?? 0);
});

it.each<[string, Engine, string]>([
  ['whose service does not run', { state: 'complete' }, 'one: app has no running container'],
  [
    'whose container takes no file',
    { copied: { status: 1, stderr: 'Error response from daemon: container rootfs is marked read-only\n' } },
    'one: abra.sh cannot be put into its container: Error response from daemon: container rootfs is marked read-only',
  ],
  [
    'whose container ended meanwhile',
    { exec: () => new ContainerEnded('running a command in container c1') },
    'one: the container of app ended meanwhile',
  ],
])('one %s fails', async (_, engine, reason) => {
  expect((await ran(engine)).result).toEqual(failed(reason));
});

it.each<[string, Engine]>([
  ['Daemon', { copied: { status: 1, stderr: 'Cannot connect to the Docker daemon at unix:///x' } }],
  ['Disk', { copied: { status: 1, stderr: 'write /tmp/abra.sh: no space left on device' } }],
  ['Daemon', { exec: () => new Fault('Daemon', 'socket hang up') }],
])('nothing is learned of an engine that is unwell: %s', async (type, engine) => {
  await expect(ran(engine)).rejects.toMatchObject({ type });
});
