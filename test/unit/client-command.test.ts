import { once } from 'node:events';
import { mkdtemp, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import getPort from 'get-port';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exitStatusOf } from '../../client/commands/sweep.ts';
import { workflowUrl } from '../../host/config/temporal-ui.ts';
import { explain } from '../../client/temporal-failure.ts';
import { meantSweep } from '../../client/running.ts';
import type { SweepReport } from '../../domain/report.ts';
import { createRelay } from '../../alerts/relay.ts';
import { sender } from '../../alerts/send.ts';
import { readConfig } from '../../host/config/config.ts';
import { sizesOf } from '../../host/machine/headroom.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createCanonicals, type CanonicalRecord } from '../../host/store/canonicals.ts';
import { createServices } from '../../host/store/services.ts';
import { createReports } from '../../host/store/reports.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { createResults } from '../../host/store/results.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { typeIn } from './typed-command.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'client-'));
  const port = await getPort();
  await writeFile(
    path.join(folder, 'recipe-sweep.yml'),
    [
      'host: ci-1',
      'zone: ci.example.org',
      'state: state',
      'recipes: recipes',
      'mirrors: /mirrors/{recipe}',
      `temporal: { address: '127.0.0.1:${port}' }`,
    ].join('\n'),
  );
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A command typed in the folder of the configuration. */
const type = (...args: string[]) => typeIn(folder, args);

const record = (recipe: string): CanonicalRecord => ({
  schema: 4,
  recipe,
  version: '1.2.0+v2',
  commit: 'a'.repeat(40),
  status: 'proven',
  ts: '2025-03-02T04:00:00.000Z',
  run: `sweep-1/${recipe}`,
  images: { app: { image: 'nginx:1', digest: 'sha256:abc' } },
  domain: `warm-${recipe}.ci.example.org`,
  env: {},
  snapshot: { id: 'one', sha256: 'b'.repeat(64), bytes: 1_500_000 },
  dropped: null,
  droppedBy: null,
  disk: { volumes: 2_000_000, images: 340_000_000 },
});

const report = (sweep: string, ended: string): SweepReport => ({
  schema: 5,
  sweep,
  host: 'ci-1',
  zone: 'ci.example.org',
  verdict: 'red',
  note: null,
  problems: [],
  notes: [],
  environment: null,
  disk: null,
  started: '2025-03-02T03:00:00.000Z',
  ended,
  recipes: [
    {
      schema: 4,
      recipe: 'gitea',
      asked: { by: 'sweep', id: sweep },
      outcome: {
        kind: 'FAIL',
        version: '3.6.0+1',
        tier: 'install',
        why: 'app exited',
        evidence: path.join(folder, 'state/runs', sweep, 'gitea/app.log'),
        canonical: null,
      },
      leftovers: null,
      notes: [],
      release: { version: '3.6.0+1', commit: 'c'.repeat(40) },
      test: null,
      tiers: [{ tier: 'install', result: 'fail', reason: 'app exited', evidence: 'app.log' }],
      level: 0,
      lint: null,
      spentMs: null,
      started: '2025-03-02T03:00:00.000Z',
      ended,
      workflow: { id: `${sweep}/gitea`, runId: 'r' },
    },
  ],
});

describe('what is typed wrong ends with status 2 and one message', () => {
  test('an unknown command', async () => {
    const { status, err } = await type('swep');
    expect(status).toBe(2);
    expect(err).toContain("unknown command 'swep'");
  });

  test('a name that no recipe can have', async () => {
    expect(await type('sweep', '../etc', 'Gitea')).toEqual({
      status: 2,
      out: '',
      err: 'recipe-sweep: not a recipe name: "../etc", "Gitea" (a-z, 0-9 and single hyphens)',
    });
  });

  test('a configuration that is not there', async () => {
    const { status, err } = await type('results', '--config', 'other.yml');
    expect(status).toBe(2);
    expect(err).toContain(path.join(folder, 'other.yml'));
  });

  test('no configuration at all', async () => {
    await rm(path.join(folder, 'recipe-sweep.yml'));
    const { status, err } = await type('results');
    expect(status).toBe(2);
    expect(err).toContain('copy recipe-sweep.example.yml');
  });
});

describe('ledger accept', () => {
  const accept = (recipe: string, tag: string, ...more: string[]) =>
    type('ledger', 'accept', recipe, tag, ...more);

  test.each([
    ['../etc', '1.0.0+1', 'not a recipe name: "../etc"'],
    ['$(id)', '1.0.0+1', 'not a recipe name: "$(id)"'],
    ['ghost', 'stable', 'not a release\'s tag: "stable" (x.y.z+app)'],
    ['ghost', '../../1.0.0+1', 'not a release\'s tag: "../../1.0.0+1"'],
    ['ghost', '1.0.0+1;id', 'not a release\'s tag: "1.0.0+1;id"'],
    ['ghost', '1.0.0+\u001b[2J\u202e', 'not a release\'s tag: "1.0.0+'],
    ['ghost', '--upload-pack=id', "unknown option '--upload-pack=id'"],
  ])('of %j %j is refused before anybody is asked', async (recipe, tag, says) => {
    const { status, out, err } = await accept(recipe, tag, '--reason', 'why not');
    expect([status, out]).toEqual([2, '']);
    expect(err).toContain(says);
    expect(err).not.toMatch(/[\u001b\u202e]/);
  });

  test('wants a reason', async () => {
    expect((await accept('ghost', '1.0.0+1')).err).toContain(
      "required option '--reason <why>' not specified",
    );
    expect(await accept('ghost', '1.0.0+1', '--reason', ' \n')).toEqual({
      status: 2,
      out: '',
      err: 'recipe-sweep: --reason is empty: the ledger keeps why, for good',
    });
  });

  test('asks the worker, whose ledger it is', async () => {
    const { status, err } = await accept('ghost', '1.0.0+1', '--reason', 'looked at it');
    expect(status).toBe(2);
    expect(err).toContain('no Temporal server answers');
  });
});

test('help is no error', async () => {
  const { status, out } = await type('--help');
  expect(status).toBe(0);
  expect(out).toContain('sweep');
});

test.each(['--help', '-h'])('%s before a command lists every command', async (help) => {
  expect(await type(help, 'sweep')).toEqual(await type('--help'));
});

test('every command that the help lists is known when it is typed alone', async () => {
  const { out } = await type('--help');
  const listed = out.split('\nCommands:\n')[1] ?? '';
  const names = [...listed.matchAll(/^  ([a-z-]+)/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(20);
  for (const name of names) {
    const { status, out: help } = await type('--config', 'sweep', name, '--help');
    expect([status, help]).toEqual([0, expect.stringContaining(`Usage: recipe-sweep ${name}`)]);
  }
});

test.each(['sweep', 'schedule show'])(
  '%s without a server says in one line how to get one',
  async (command) => {
    const { status, out, err } = await type(...command.split(' '));
    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(
      /^recipe-sweep: no Temporal server answers at 127\.0\.0\.1:\d+ .*recipe-sweep dev.*$/,
    );
  },
);

describe('results', () => {
  test('before any sweep', async () => {
    expect(await type('results')).toMatchObject({ status: 2, out: '' });
  });

  test('are the latest by default, with the file to open next', async () => {
    const reports = createReports(path.join(folder, 'state'));
    await reports.write(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    await reports.write(report('sweep-2', '2025-03-09T05:00:00.000Z'));
    const { status, out } = await type('results');
    expect(status).toBe(0);
    expect(out).toContain('state/runs/sweep-2/gitea/app.log');
    expect(out).toContain('state/sweeps/sweep-2/report.json');
    const older = await type('results', 'sweep-1', '--json');
    expect(parseDocument('results', older.out)).toEqual(report('sweep-1', '2025-03-02T05:00:00.000Z'));
  });

  test('of a sweep are its report, also where the result of one of its runs cannot be read', async () => {
    const state = path.join(folder, 'state');
    await createReports(state).write(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    const results = createResults(state);
    await results.runFolder('sweep-1/gitea');
    await writeFile(results.fileOf('sweep-1/gitea'), '{');
    const { out } = await type('results', 'sweep-1', '--json');
    expect(parseDocument('results', out)).toEqual(report('sweep-1', '2025-03-02T05:00:00.000Z'));
  });

  test('tell what became of each release that was tested', async () => {
    const reports = createReports(path.join(folder, 'state'));
    await reports.write(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    const out = stripVTControlCharacters((await type('results')).out);
    expect(out).toContain('gitea 3.6.0+1: FAIL after 2h 00m');
    expect(out).toContain('seen: app exited');
    expect(out).not.toContain('files');
    await createResults(path.join(folder, 'state')).runFolder('sweep-1/gitea');
    expect((await type('results')).out).toContain('state/runs/sweep-1/gitea/');
  });

  test('of one recipe are those of the latest sweep that it was in', async () => {
    const reports = createReports(path.join(folder, 'state'));
    await reports.write(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    const later = report('sweep-2', '2025-03-09T05:00:00.000Z');
    const recipes = later.recipes.map((one) => ({ ...one, recipe: 'ghost' }));
    await reports.write({ ...later, recipes });
    const { out } = await type('results', '--recipe', 'gitea', '--json');
    expect(parseDocument('results', out)).toEqual(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    expect(await type('results', 'sweep-2', '--recipe', 'gitea')).toMatchObject({
      status: 2,
      err: 'recipe-sweep: "gitea" is in no report of sweep-2',
    });
  });

  test('that cannot be read are named, once, since the latest may be among them', async () => {
    const state = path.join(folder, 'state');
    const reports = createReports(state);
    const spoil = async (sweep: string) => writeFile(reports.fileOf(sweep), '{');
    for (const [sweep, ended] of [
      ['sweep-1', '2025-03-02T05:00:00.000Z'],
      ['sweep-2', '2025-03-09T05:00:00.000Z'],
    ] as const) {
      await reports.write(report(sweep, ended));
      for (const result of report(sweep, ended).recipes) await createRunIndex(state).add(result);
    }
    await spoil('sweep-2');
    for (const of of [[], ['--recipe', 'gitea']]) {
      const { out, err } = await type('results', ...of);
      expect(out).toContain('sweeps/sweep-1/report.json');
      expect(err.split(reports.fileOf('sweep-2'))).toHaveLength(2);
    }
    await spoil('sweep-1');
    for (const of of [[], ['--recipe', 'gitea']]) {
      const { status, out, err } = await type('results', ...of);
      expect({ status, out }).toEqual({ status: 2, out: '' });
      expect(err).toContain('no other sweep has a report');
      for (const sweep of ['sweep-1', 'sweep-2']) expect(err.split(reports.fileOf(sweep))).toHaveLength(2);
    }
  });

  test('of one recipe are found by its index, whatever else stands there', async () => {
    const state = path.join(folder, 'state');
    const reports = createReports(state);
    const index = createRunIndex(state);
    for (const [sweep, ended] of [
      ['sweep-1', '2025-03-02T05:00:00.000Z'],
      ['sweep-2', '2025-03-09T05:00:00.000Z'],
      ['going-on', '2025-03-16T05:00:00.000Z'],
    ] as const) {
      const written = report(sweep, ended);
      for (const result of written.recipes) await index.add(result);
      if (sweep !== 'going-on') await reports.write(written);
    }
    // Newer than all of them, and in no index.
    await reports.write({ ...report('sweep-9', '2025-04-06T05:00:00.000Z'), recipes: [] });
    const { out } = await type('results', '--recipe', 'gitea', '--json');
    expect(parseDocument('results', out)).toEqual(report('sweep-2', '2025-03-09T05:00:00.000Z'));
    const printed = await type('results', '--recipe', 'gitea', '--list', '--json');
    const listed = parseDocument('results --recipe --list', printed.out);
    expect(listed).toMatchObject([
      { run: 'going-on/gitea' },
      { run: 'sweep-2/gitea' },
      { run: 'sweep-1/gitea' },
    ]);
    const shown = stripVTControlCharacters((await type('results', '--recipe', 'gitea', '--list')).out);
    expect(shown).toContain('2025-03-09 05:00:00Z  FAIL     3.6.0+1  0      sweep-2/gitea');
    expect(shown).toContain('red since 2025-03-02 05:00:00Z, 3 runs');
    expect((await type('results', '--recipe', 'ghost', '--list')).out).toBe('ghost has had no run yet');
  });

  test('are listed newest first', async () => {
    const reports = createReports(path.join(folder, 'state'));
    await reports.write(report('sweep-1', '2025-03-02T05:00:00.000Z'));
    await reports.write(report('sweep-2', '2025-03-09T05:00:00.000Z'));
    const listed = parseDocument('results --list', (await type('results', '--list', '--json')).out);
    expect(listed).toMatchObject([
      { sweep: 'sweep-2', verdict: 'red', outcomes: { FAIL: 1 } },
      { sweep: 'sweep-1' },
    ]);
  });
});

describe('canonical', () => {
  test('shows the record on disk, as text and as JSON', async () => {
    await createCanonicals({ state: path.join(folder, 'state'), zone: 'ci.example.org' }).write(
      record('gitea'),
    );
    expect((await type('canonical', 'list')).out).toContain(
      'gitea   1.2.0+v2  aaaaaaaaaaaa  2025-03-02 04:00:00Z  1.5 MB    2.0 MB   340.0 MB',
    );
    expect((await type('canonical', 'show', 'gitea')).out).toContain(`commit    ${'a'.repeat(40)}`);
    const shown = await type('canonical', 'show', 'gitea', '--json');
    expect(parseDocument('canonical show', shown.out)).toEqual(record('gitea'));
    const history = await type('canonical', 'history', 'gitea', '--json');
    expect(parseDocument('canonical history', history.out)).toEqual([record('gitea')]);
    const listed = await type('canonical', 'list', '--json');
    expect(parseDocument('canonical list', listed.out)).toMatchObject([{ recipe: 'gitea', error: null }]);
  });

  test('says of one whose data was dropped since when', async () => {
    const canonicals = createCanonicals({ state: path.join(folder, 'state'), zone: 'ci.example.org' });
    const dropped = {
      ...record('gitea'),
      snapshot: null,
      dropped: '2025-03-09T04:00:00.000Z',
      droppedBy: { run: 'sweep-2', why: 'room is short' },
    };
    await canonicals.write(record('gitea'));
    await canonicals.write(dropped);
    for (const asked of [['list'], ['show', 'gitea'], ['history', 'gitea']]) {
      expect((await type('canonical', ...asked)).out.match(/dropped 2025-03-09/g), asked[0]).toHaveLength(1);
    }
    expect((await type('canonical', 'show', 'gitea')).out).toContain('by sweep-2: room is short');
    const shown = await type('canonical', 'show', 'gitea', '--json');
    expect(parseDocument('canonical show', shown.out)).toEqual(dropped);
    const history = await type('canonical', 'history', 'gitea', '--json');
    expect(parseDocument('canonical history', history.out)).toEqual([record('gitea'), dropped]);
  });

  test('drops no data before it is told that this is meant', async () => {
    const { status, err } = await type('canonical', 'drop-data', 'gitea');
    expect(status).not.toBe(0);
    expect(err).toMatch(/removes the snapshot of gitea.*recipe-sweep canonical drop-data gitea --yes/s);
  });

  test('of a recipe without one ends with status 2', async () => {
    expect(await type('canonical', 'show', 'ghost')).toMatchObject({
      status: 2,
      err: 'recipe-sweep: ghost has no canonical',
    });
  });

  test('that cannot be read is listed as such, not left out', async () => {
    const where = path.join(folder, 'state/canonicals/ghost');
    await mkdir(where, { recursive: true });
    await writeFile(path.join(where, 'canonical.json'), '{"schema": 1');
    const { status, out } = await type('canonical', 'list', '--json');
    expect(status).toBe(2);
    expect(parseDocument('canonical list', out)).toMatchObject([{ recipe: 'ghost', record: null }]);
  });
});

describe('service', () => {
  test('whose folder has a mistake is listed with it, since its reconcile does nothing else', async () => {
    const recipes = path.join(folder, 'recipes');
    const keycloak = path.join(recipes, 'keycloak', 'recipe.yml');
    await mkdir(path.dirname(keycloak), { recursive: true });
    await writeFile(keycloak, 'upstream: /srv/keycloak.git\nlive: true\n');
    const services = createServices({ state: path.join(folder, 'state'), zone: 'ci.example.org' });
    await services.commit({
      schema: 1,
      service: 'keycloak',
      version: '10.0.0+26.0.8',
      commit: 'a'.repeat(40),
      ts: '2025-03-02T04:00:00.000Z',
      run: 'reconcile-1/keycloak',
      domain: 'warm-keycloak.ci.example.org',
      env: {},
      images: {},
      volumes: [],
    });
    const good = await type('service', 'list', '--json');
    expect(good.status).toBe(0);
    expect(parseDocument('service list', good.out)).toMatchObject([{ service: 'keycloak', error: null }]);
    await writeFile(keycloak, 'upstream: /srv/keycloak.git\nlive: true\nstatefull: true\n');
    const { status, out } = await type('service', 'list', '--json');
    expect(status).toBe(2);
    expect(parseDocument('service list', out)).toMatchObject([
      {
        service: 'keycloak',
        lastGood: { version: '10.0.0+26.0.8' },
        error: expect.stringContaining('statefull'),
      },
    ]);
    expect((await type('service', 'show', 'keycloak')).out).toContain('statefull');
  });
});

test('the exit status of a sweep is its verdict', () => {
  expect((['green', 'red', 'none', 'skipped'] as const).map(exitStatusOf)).toEqual([0, 1, 2, 2]);
});

describe('the sweep an operator means', () => {
  const running = ['sweep-1', 'sweep-2'].map((sweep) => ({ sweep, started: new Date(0) }));

  test('is the one named, else the only one', () => {
    expect(meantSweep('sweep-9', running)).toBe('sweep-9');
    expect(meantSweep(undefined, running.slice(0, 1))).toBe('sweep-1');
  });

  test('is asked for when there are several, or none', () => {
    expect(() => meantSweep(undefined, running)).toThrow('name one: sweep-1, sweep-2');
    expect(() => meantSweep(undefined, [])).toThrow('no sweep is running');
  });
});

test('a failed workflow is told by its cause alone', () => {
  const cause = ApplicationFailure.create({
    message: 'not enrolled: x',
    type: 'BadInput',
    nonRetryable: true,
  });
  expect(explain(new WorkflowFailedError('Workflow execution failed', cause, 'NON_RETRYABLE_FAILURE'))).toBe(
    'not enrolled: x',
  );
});

test('a link into the Temporal UI survives what a workflow ID may hold', () => {
  const temporal = { address: '', namespace: 'default', ui: 'http://127.0.0.1:8233/' };
  expect(workflowUrl({ temporal }, 'sweep-2025-03-02T03:00:00Z/gitea')).toBe(
    'http://127.0.0.1:8233/namespaces/default/workflows/sweep-2025-03-02T03%3A00%3A00Z%2Fgitea',
  );
});

test('doctor says what a sweep takes, and whose data would go where that is not there', async () => {
  const state = path.join(folder, 'state');
  const canonicals = createCanonicals({ state, zone: 'ci.example.org' });
  await mkdir(path.join(folder, 'recipes', 'gitea'), { recursive: true });
  await writeFile(path.join(folder, 'recipes', 'gitea', 'recipe.yml'), 'upstream: /nowhere\n');
  const takes = async (bytes: number) => {
    await canonicals.write({ ...record('gitea'), disk: { volumes: bytes, images: 1_000_000 } });
    const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
    return findings.find(({ name }) => name === 'room for a sweep');
  };
  expect(await takes(2_000_000)).toMatchObject({
    ok: true,
    found: expect.stringContaining('gitea takes most at once, about 5.0 MB by what its canonical took'),
  });
  const { free } = (await sizesOf(state)) ?? { free: 0 };
  expect(await takes(10 * free)).toMatchObject({
    ok: false,
    how: expect.stringMatching(/^free some space; .*/),
  });
});

test('doctor names strays, what cannot be read, and what was left behind', async () => {
  const state = path.join(folder, 'state');
  await mkdir(path.join(folder, 'recipes', '.git'), { recursive: true });
  await mkdir(path.join(state, 'sweeps', 'newer'), { recursive: true });
  await writeFile(path.join(state, 'sweeps', 'newer', 'report.json'), '{"schema":9}');
  await writeFile(path.join(state, 'images.json'), '{');
  const alerts = createAlerts(state);
  const subject = { is: 'recipe', name: 'gitea' } as const;
  const about = { subject, evidence: null, run: 'sweep-1/gitea' };
  await alerts.raise({ kind: 'not-reaped', message: 'stack gite-1 was not removed', ...about }, new Date(0));
  await alerts.raise({ kind: 'promote-failed', message: 'read-only', ...about }, new Date(0));
  const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
  const wrong = new Map(findings.filter(({ ok }) => !ok).map(({ name, found }) => [name, found]));
  expect(wrong.get('recipes')).toContain('.git');
  expect(wrong.get('reports')).toContain('newer/report.json');
  expect(wrong.get('reports')).toContain('images.json');
  expect(wrong.get('left behind')).toContain('since 1970-01-01 00:00:00Z: stack gite-1 was not removed');
  expect(findings.find(({ name }) => name === 'left behind')?.how).toContain('remove by hand');
  expect(wrong.get('left behind')).not.toContain('read-only');
});

describe('who is told of alerts', () => {
  let heard: string[];
  let url: string;
  let server: ReturnType<typeof createServer>;
  const file = (): string => path.join(folder, 'recipe-sweep.yml');
  beforeEach(async () => {
    heard = [];
    server = createServer((request, response) => {
      request.setEncoding('utf8');
      request.on('data', (text: string) => heard.push(text));
      request.on('end', () => response.writeHead(request.url === '/gone' ? 404 : 200).end('no such hook'));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => server.close());

  const tell = async (...targets: object[]): Promise<void> => {
    const text = (await readFile(file(), 'utf8')).replace(/\nalerts: .*/, '');
    await writeFile(file(), `${text}\nalerts: ${JSON.stringify(targets)}\n`);
  };
  const raise = async (at: Date): Promise<void> =>
    createAlerts(path.join(folder, 'state')).raise(
      {
        kind: 'promote-failed',
        subject: { is: 'recipe', name: 'gitea' },
        message: 'read-only\u001b[31m',
        evidence: null,
        run: 'sweep-1/gitea',
      },
      at,
    );

  test('alert test tells each target, and says of each how it went', async () => {
    await tell({ webhook: { url: `${url}/hook` } }, { ntfy: { urlFile: 'none' } });
    const { status, out } = await type('alert', 'test');
    expect(status).toBe(2);
    const lines = stripVTControlCharacters(out).split('\n');
    expect(lines[1]).toMatch(/^delivered +webhook at http:/);
    expect(lines[2]).toMatch(/^NOT +ntfy of .*alerts\.1\.ntfy\.urlFile/);
    expect(parseDocument('webhook', heard.join(''))).toMatchObject({
      event: 'test',
      host: 'ci-1',
      alert: null,
    });
    await tell({ webhook: { url: `${url}/hook` } });
    expect(await type('alert', 'test')).toMatchObject({ status: 0 });
    await tell({ webhook: { url: `${url}/gone` } });
    const gone = await type('alert', 'test');
    expect(gone).toMatchObject({ status: 2 });
    expect(gone.out).toContain('404, no such hook; nothing is there: look at the URL');
  });

  test('alert test without a target says so', async () => {
    expect(await type('alert', 'test')).toMatchObject({
      status: 2,
      err: expect.stringContaining('names no target') as string,
    });
  });

  test('alert list shows what holds', async () => {
    expect(await type('alert', 'list')).toMatchObject({ status: 0, out: 'none' });
    await raise(new Date(0));
    const { out } = await type('alert', 'list');
    expect(stripVTControlCharacters(out)).toMatch(
      /1970-01-01 00:00:00Z +promote-failed +gitea +read-only; open/,
    );
    expect(out).not.toContain('\u001b[31m');
    expect(parseDocument('alert list', (await type('alert', 'list', '--json')).out)).toHaveLength(1);
  });

  test('doctor says what is overdue, which secrets are missing, and whom no worker knows', async () => {
    const config = async () => readConfig(file());
    const found = async () => {
      const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
      return findings.find(({ name }) => name === 'alert targets');
    };
    expect(await found()).toMatchObject({ ok: true, found: expect.stringContaining('none') as string });
    await tell({ webhook: { url: `${url}/gone` } });
    expect(await found()).toMatchObject({
      ok: false,
      found: expect.stringContaining('start the worker') as string,
    });
    const started = new Date(Date.now() - 2 * 86_400_000);
    await raise(started);
    const read = await config();
    const relay = createRelay({
      config: read,
      log: { info: () => undefined, warn: () => undefined },
      lock: async () => ({ giveBack: async () => undefined }),
      send: sender(read),
      now: () => started,
      random: () => 1,
    });
    for (const target of relay.targets) await relay.deliver(target);
    const late = await found();
    expect(late).toMatchObject({ ok: false, how: expect.stringContaining('alert test') as string });
    expect(late?.found).toContain(
      'alerts/promote-failed-recipe-gitea.json: owed to webhook at http://127.0.0.1',
    );
    expect(late?.found).toContain('404, no such hook');
    await tell({ webhook: { urlFile: 'none' } });
    expect((await found())?.found).toContain('alerts.0.webhook.urlFile');
  });
});

test('doctor says where the report site is, and when it is not written any more', async () => {
  const file = path.join(folder, 'state', 'site', 'index.html');
  const found = async () => {
    const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
    return findings.find(({ name }) => name === 'report site');
  };
  expect(await found()).toMatchObject({ ok: true, found: `${file} is not there yet: a worker writes it` });
  await createReports(path.join(folder, 'state')).write(report('sweep-1', '2025-03-02T04:00:00.000Z'));
  expect(await found()).toMatchObject({
    ok: false,
    found: `${file} is not there; the last sweep ended 2025-03-02 04:00:00Z`,
    how: 'the worker writes it: its log says why not',
  });
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, '');
  expect(await found()).toMatchObject({ ok: true, found: expect.stringContaining(`${file}, written 20`) });
  const earlier = new Date('2025-03-02T03:00:00.000Z');
  await utimes(file, earlier, earlier);
  expect(await found()).toMatchObject({
    ok: false,
    found: `${file}, written 2025-03-02 03:00:00Z; the last sweep ended 2025-03-02 04:00:00Z`,
  });
});

test('doctor needs no serve where there is no forge', async () => {
  let healthz = 200;
  const server = createServer((_request, response) => response.writeHead(healthz).end('no')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = path.join(folder, 'recipe-sweep.yml');
  const settings = await readFile(file, 'utf8');
  await writeFile(file, `${settings}\nserve: { listen: '${address}' }\n`);
  const found = async () => {
    const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
    const serve = findings.find(({ name }) => name === 'serve');
    return `${serve?.ok} ${serve?.found}`;
  };
  expect(await found()).toBe(`true answers at http://${address}/healthz`);
  healthz = 404;
  expect(await found()).toBe(`true http://${address}/healthz answers 404: no; no sweep needs it`);
  server.closeAllConnections();
  server.close();
  expect(await found()).toBe(`true nothing answers at http://${address}/healthz; no sweep needs it`);
  const forge = "{ url: 'https://git.example.org', tokenFile: token }";
  await writeFile(file, `${settings}\nserve: { listen: '${address}' }\nforge: ${forge}\n`);
  expect(await found()).toMatch(/^true does not start: with "forge" it needs serve.webhookSecretFile; /);
});

test('doctor says what to do where a forge and serve are half set up', async () => {
  let healthz = 503;
  const server = createServer((request, response) => {
    const status = request.url === '/healthz' ? healthz : 401;
    response.writeHead(status).end(JSON.stringify({ message: 'not here\u001b[31m' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = path.join(folder, 'recipe-sweep.yml');
  const settings = (await readFile(file, 'utf8')).replace('/mirrors/', `http://${address}/mirrors/`);
  const serve = `{ listen: '${address}', webhookSecretFile: secret }`;
  const forge = `{ url: 'http://${address}', tokenFile: token }`;
  await writeFile(file, `${settings}\nforge: ${forge}\nserve: ${serve}\n`);
  await writeFile(path.join(folder, 'token'), 'wrong');
  const told = async (): Promise<(name: string) => string> => {
    const findings = parseDocument('doctor', (await type('doctor', '--json')).out);
    return (name) => {
      const finding = findings.find((one) => one.name === name && !one.ok);
      return `${finding?.found}; ${finding?.how}`;
    };
  };

  const first = await told();
  expect(first('forge')).toMatch(/does not take the token in .*token .*; look at "forge" in the conf/);
  expect(first('serve')).toMatch(
    /secret.*; docs\/pull-requests.md says how to make one; serve does not start/,
  );
  await writeFile(path.join(folder, 'secret'), 'a secret');
  expect((await told())('serve')).toMatch(/answers 503: .*; its log says more/);
  healthz = 404;
  expect((await told())('serve')).toMatch(
    /answers 404: .*not here.*; that is not serve: look at "serve.listen"/,
  );
  server.closeAllConnections();
  server.close();
});
