import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readConfig } from '../../host/config/config.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { lookAtEnvironment } from '../../host/fingerprint.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createServices } from '../../host/store/services.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { abortUpdate } from '../../workflows/protocol.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { typeIn } from '../unit/typed-command.ts';
import { fakeHost } from './fake-host.ts';
import { openWorkflowServer } from './open-server.ts';
import { HOST } from './server.ts';

/** What the commands that ask the server print with --json, which docs/json.md promises. */

const server = await openWorkflowServer();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'json-output-'));
  await writeFile(
    path.join(folder, 'recipe-sweep.yml'),
    [
      `host: ${HOST}`,
      'zone: ci.example.org',
      'state: state',
      'recipes: recipes',
      'mirrors: /mirrors/{recipe}',
      `temporal: { address: '${server.address}' }`,
    ].join('\n'),
  );
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const type = (...args: string[]) => typeIn(folder, args);

/** More than a busy machine takes. */
const PATIENCE = { timeout: 30_000 };

/** A command is refused where the server has not seen a worker yet. */
const workerIsSeen = () =>
  vi.waitFor(async () => {
    expect(parseDocument('status', (await type('status', '--json')).out).workers).toHaveLength(1);
  }, PATIENCE);

test('plan, sweep and schedule show are what the page says', async () => {
  const host = fakeHost({
    ghost: { releases: ['1.0.0+1'] },
    gitea: { releases: ['1.0.0+1'], red: { 'cold-test: install': 'app exited' } },
    unreleased: {},
    broken: { faults: { 'mirror-sync': { type: 'MirrorSync' } } },
  });
  await server.withWorker(host, async () => {
    await workerIsSeen();
    const planned = parseDocument('plan', (await type('plan', '--json')).out);
    expect(planned.map(({ recipe, decision }) => [recipe, decision])).toEqual([
      ['ghost', 'run'],
      ['gitea', 'run'],
      ['unreleased', 'skip'],
      ['broken', 'error'],
    ]);
    const swept = await type('sweep', '--json');
    expect(swept.status).toBe(1);
    expect(parseDocument('sweep', swept.out)).toMatchObject({
      verdict: 'red',
      recipes: [{ outcome: 'PASS (promoted 1.0.0+1)' }, {}, {}, { outcome: 'ERROR mirror-sync' }],
    });
    host.busyWith = 'another';
    expect(parseDocument('sweep', (await type('sweep', '--json')).out)).toMatchObject({
      verdict: 'skipped',
      report: null,
    });
  });
  await type('schedule', 'ensure');
  expect(parseDocument('schedule show', (await type('schedule', 'show', '--json')).out)).toMatchObject({
    paused: false,
  });
});

test('a sweep of the schedule and one by hand find the same environment, and take every recipe', async () => {
  const config = await readConfig(path.join(folder, 'recipe-sweep.yml'));
  const host = fakeHost({ ghost: { canonical: '1.0.0+1', releases: ['1.0.0+1'] } });
  host.environment = async () => {
    const commands = processRunner({ environment: declaredEnvironment(config) });
    const found = {
      config,
      commands,
      recipes: createRecipes(config.recipes),
      services: createServices(config),
    };
    return (await lookAtEnvironment(found)).fingerprint;
  };
  await type('schedule', 'ensure');
  await server.withWorker(host, async () => {
    await workerIsSeen();
    const triggered = await type('schedule', 'trigger');
    const id = /sweep-\S+Z/.exec(triggered.out)?.[0] ?? '';
    const scheduled = await server.client.workflow.getHandle<typeof sweepWorkflow>(id).result();
    expect(host.opening).toMatchObject({ all: true });
    // Whoever types a command has an environment of their own.
    for (const [name, value] of Object.entries({ PATH: '/opt/bin', LANG: 'de_DE.UTF-8', EDITOR: 'vi' })) {
      vi.stubEnv(name, value);
    }
    const byHand = parseDocument('sweep', (await type('sweep', '--json')).out);
    expect(host.opening).toMatchObject({ all: true });
    expect(byHand.sweep).not.toBe(scheduled.sweep);
    expect(scheduled.environment).toMatch(/^[0-9a-f]{12}$/);
    expect(byHand.environment).toBe(scheduled.environment);
    const named = await type('sweep', 'ghost');
    expect(stripVTControlCharacters(named.out)).toContain(`environment ${scheduled.environment}\n`);
    expect(host.opening).toMatchObject({ all: false });
    vi.unstubAllEnvs();
  });
});

test('sweeps that are started in the same second have each a name of its own', async () => {
  const host = fakeHost({ ghost: { canonical: '1.0.0+1', releases: ['1.0.0+1'] } });
  await server.withWorker(host, async () => {
    const typed = await Promise.all([1, 2, 3].map(async () => type('sweep', '--json')));
    const names = typed.map(({ out }) => parseDocument('sweep', out).sweep);
    expect(new Set(names).size).toBe(3);
  });
});

test('status is what the page says, of a free host and of one where a sweep runs', async () => {
  expect(parseDocument('status', (await type('status', '--json')).out)).toMatchObject({
    holder: null,
    sweeps: [],
  });
  const host = fakeHost({
    ghost: { canonical: '1.0.0+1', releases: ['1.0.0+1'] },
    gitea: { releases: ['1.0.0+1'], hangs: 'cold-test: install' },
    last: {},
  });
  await server.withWorker(host, async () => {
    const sweeping = type('sweep', '--json');
    const ended = sweeping.then(({ err }) => Promise.reject(new Error(`the sweep has ended: ${err}`)));
    await Promise.race([host.reached('gitea cold-test: install'), ended]);
    const running = parseDocument('status', (await type('status', '--json')).out).sweeps[0]?.sweep ?? '';
    const handle = server.client.workflow.getHandle(running);
    const { runId } = await handle.describe();
    const lock = createHostLock({
      state: path.join(folder, 'state'),
      host: HOST,
      isOpen: async () => true,
      now: () => new Date(),
    });
    await lock.claim([{ workflowId: running, runId, what: 'sweep' }], 'preflight');
    expect(parseDocument('status', (await type('status', '--json')).out)).toMatchObject({
      holder: { workflowId: running, step: 'preflight' },
      workers: [{}],
      sweeps: [
        {
          state: 'sweeping',
          recipes: [
            { state: 'done', outcome: { kind: 'SKIP' } },
            { state: 'running', step: { step: 'cold-test: install' } },
            { state: 'waiting', workflowId: null },
          ],
        },
      ],
    });
    expect((await bundledWorkflows()).find(({ workflowId }) => workflowId === `${running}/gitea`)).toEqual({
      workflowId: `${running}/gitea`,
      type: 'recipeSweepWorkflow',
      status: 'RUNNING',
      started: expect.stringMatching(/Z$/),
      closed: null,
      waitsFor: [{ activity: 'coldInstall', attempt: 1, lastFailure: null }],
    });
    await handle.executeUpdate(abortUpdate);
    await sweeping;
  });
});

/** What a support bundle has of the server's workflows. */
async function bundledWorkflows(): Promise<Record<string, unknown>[]> {
  const { status, err } = await type('support-bundle', '--output', 'bundle.tar.gz');
  expect({ status, err }).toEqual({ status: 0, err: '' });
  const file = path.join(folder, 'bundle.tar.gz');
  const text = execFileSync('tar', ['-xzOf', file, '--wildcards', '*/workflows.json'], { encoding: 'utf8' });
  return JSON.parse(text) as Record<string, unknown>[];
}

test('a test is what the page says, and its exit status what became of it', async () => {
  const next = { releases: ['1.0.0+1'], canonical: '1.0.0+1', head: '1.1.0+1' };
  const host = fakeHost({
    ghost: next,
    gitea: { ...next, red: { 'cold-test: upgrade': 'app exited' } },
    gone: { ...next, gone: true },
    slow: { ...next, hangs: 'cold-test: upgrade' },
  });
  const ref = 'f'.repeat(40);
  await server.withWorker(host, async () => {
    await workerIsSeen();
    const passed = await type('test', 'ghost', '--ref', ref, '--json');
    expect(passed.status).toBe(0);
    expect(passed.err).toMatch(/Z test-ci-1-ghost-\S+: done/);
    expect(parseDocument('test', passed.out)).toMatchObject({
      recipe: 'ghost',
      outcome: { kind: 'PASS', promoted: null },
      tested: { mode: 'cold', head: { version: '1.1.0+1', commit: ref } },
      result: null,
    });
    const failed = await type('test', 'gitea', '--ref', ref);
    expect(failed.status).toBe(1);
    expect(failed.out).toContain('1.1.0+1: upgrade: app exited; canonical unchanged: 1.0.0+1');
    expect(failed.out).toContain('cold: 1.0.0+1');
    const none = await type('test', 'gone', '--ref', ref);
    expect(none.status).toBe(2);
    expect(none.err).toContain('the mirror has no commit');

    const slow = type('test', 'slow', '--ref', ref);
    await host.reached('slow cold-test: upgrade');
    const { tests } = await vi.waitFor(async () => {
      const status = parseDocument('status', (await type('status', '--json')).out);
      expect(status.tests).toMatchObject([{ recipe: 'slow', step: { step: 'cold-test: upgrade' } }]);
      return status;
    }, PATIENCE);
    const id = tests[0]?.test ?? '';
    expect((await type('abort', id)).out).toContain('is being cancelled');
    expect((await slow).status).toBe(2);
  });
});

test.each([
  [['test'], "missing required argument 'recipe'"],
  [['test', '../x'], 'not a recipe name'],
  [['test', 'ghost', '--pr', '0'], 'not the number of a pull request'],
  [['test', 'ghost', '--ref', 'main'], 'not a whole commit ID'],
])('%j is refused', async (args, says) => {
  const { status, err } = await type(...args);
  expect(status).toBe(2);
  expect(err).toContain(says);
});
