import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { SweepReport } from '../../domain/report.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { makeComposeHost, type ComposeHost } from './compose-host.ts';
import { ofZone } from './engine.ts';
import { createdDuring, startSystem, until, type System } from './system.ts';

/**
 * The installation that docker-compose.yml makes, as one story in order: Temporal's own server on PostgreSQL, its UI
 * and our image, on the engine that they work on. A development server sweeps the same recipes beside it.
 */

const RECIPES = ['custom-html', 'webdis'];

let host: ComposeHost;
let dev: System;

beforeAll(async () => {
  host = await makeComposeHost(RECIPES);
  dev = await startSystem(inject('temporal'), RECIPES, { images: 'local', limits: { stable: '4s' } });
  for (const { upstreams } of [host, dev]) {
    await upstreams.publish('custom-html', '1.0.0+1.22');
    await upstreams.publish('webdis', '1.0.0+0.1.9');
  }
});

afterAll(async () => {
  await Promise.all([dev?.stop(), host?.stop()]);
});

/** A script in the image that has Temporal's own tool for its schema. */
const withSchemaTool = (script: string): Promise<string> =>
  host.compose(
    'run',
    '--rm',
    '--no-TTY',
    'schema',
    `export SQL_PASSWORD="$(cat /run/secrets/database-password)"; ${script}`,
  );

async function schemaVersion(database: string): Promise<string> {
  const query = 'SELECT curr_version FROM schema_version';
  const psql = ['psql', '--username=temporal', '--tuples-only', '--no-align', `--command=${query}`, database];
  return (await host.compose('exec', '--no-TTY', 'postgres', ...psql)).trim();
}

/** Temporal counts a schema's version as numbers between dots. */
function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

const running = async ({ docker, zone }: ComposeHost): Promise<string[]> =>
  (await ofZone(docker, zone)).filter((thing) => thing.startsWith('service '));

const polls = async (): Promise<boolean> =>
  JSON.parse((await host.cli('status', '--json')).stdout || '{"workers":[]}').workers.length > 0;

async function report(sweep?: string): Promise<SweepReport> {
  const { stdout } = await host.cli('results', ...(sweep === undefined ? [] : [sweep]), '--json');
  return parseDocument('results', stdout);
}

/** What `serve` answers at this path. */
async function shownAt(place: string): Promise<string> {
  const answer = await fetch(new URL(place, host.site)).catch(() => null);
  return answer?.ok === true ? answer.text() : '';
}

/** What a sweep says of its recipes, without when and where. */
const saidOf = ({ verdict, recipes }: SweepReport) => ({
  verdict,
  recipes: recipes.map(({ recipe, outcome, release, level, tiers }) => ({
    recipe,
    outcome,
    release,
    level,
    tiers: tiers.map(({ tier, result }) => `${tier} ${result}`),
  })),
});

describe('docker compose up', () => {
  test('takes databases of an older Temporal to its schema', async () => {
    await host.compose('up', '--detach', '--wait', 'postgres');
    const sql = 'temporal-sql-tool --plugin postgres12 --endpoint postgres --port 5432 --user temporal --db';
    const older = { temporal: ['temporal', '1.14'], temporal_visibility: ['visibility', '1.3'] } as const;
    for (const [database, [folder, version]] of Object.entries(older)) {
      await withSchemaTool(
        `${sql} ${database} create; ${sql} ${database} setup-schema --version 0.0; ` +
          `${sql} ${database} update-schema --version ${version} --schema-dir /etc/temporal/schema/postgresql/v12/${folder}/versioned`,
      );
      expect(await schemaVersion(database)).toBe(version);
    }
    await host.compose('up', '--detach');
    for (const [database, [folder]] of Object.entries(older)) {
      const versions = await withSchemaTool(`ls /etc/temporal/schema/postgresql/v12/${folder}/versioned`);
      const newest = versions.trim().split(/\s+/).sort(byVersion).at(-1);
      expect(`v${await schemaVersion(database)}`).toBe(newest);
    }
  });

  test('brings everything up: doctor finds nothing missing, and the UI answers', async () => {
    await until(polls, 120_000, 3_000);
    const { status, stdout } = await host.cli('doctor');
    expect(stdout).not.toContain('MISSING');
    expect(status).toBe(0);
    const page = await fetch(`${host.ui}/namespaces/default/workflows`);
    expect(page.status).toBe(200);
    await until(async () => (await shownAt('metrics')).includes('recipe_sweep_workers_polling 1\n'), 30_000);
    // Written by the one, and shown by the other.
    await until(async () => (await shownAt('')).includes('custom-html'), 30_000);
    const once = await host.compose('ps', '--all', '--format', '{{.Service}} {{.State}} {{.ExitCode}}');
    expect(once.split('\n').filter((line) => !line.includes(' running '))).toEqual(
      ['database-password', 'namespace', 'schedule', 'schema'].map((service) => `${service} exited 0`),
    );
  });

  test('does not sweep where the state would be gone with the container', async () => {
    const run = ['run', '--rm', '--no-deps', '--no-TTY', 'namespace', 'doctor', '--json'];
    const { stdout } = await host.composeAnyhow(...run);
    const found = JSON.parse(stdout) as { name: string; ok: boolean; found: string }[];
    const missing = found.filter(({ ok }) => !ok).map(({ name }) => name);
    expect(missing).toContain('state folder');
    expect(missing).toContain('docker engine');
  });

  test('has serve write nowhere but in its own folder, with nothing of root and no way to the engine', async () => {
    const id = (await host.compose('ps', '--quiet', 'serve')).trim();
    const { Mounts, HostConfig } = await host.docker.getContainer(id).inspect();
    expect(Mounts.filter(({ RW }) => RW).map(({ Destination }) => Destination)).toEqual([
      `${host.state}/serve`,
    ]);
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], PidMode: '' });
  });

  test('publishes nothing beside loopback', async () => {
    const published = (await host.containers()).flatMap(({ Ports }) =>
      Ports.flatMap(({ IP, PublicPort }) => (PublicPort === undefined ? [] : [IP])),
    );
    expect(published).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  test('keeps data in the two volumes that have a name, and leaves none without', async () => {
    const volumes = (await host.containers()).flatMap(({ Mounts }) =>
      Mounts.flatMap(({ Type, Name }) => (Type === 'volume' ? [`volume ${Name}`] : [])),
    );
    const named = (await host.made()).filter((thing) => thing.startsWith('volume '));
    expect([...new Set(volumes)].sort()).toEqual(named.sort());
    expect(named).toHaveLength(2);
  });

  test('lets the worker find what a hook left running in a container, by its environment', async () => {
    const mark = `RECIPE_SWEEP_EXEC=${host.zone}`;
    await host.compose('exec', '--detach', '--env', mark, '--user', 'postgres', 'postgres', 'sleep', '300');
    const look =
      'grep --files-with-matches --null-data --line-regexp --fixed-strings "$0" /proc/[0-9]*/environ';
    const { stdout } = await host.composeAnyhow('exec', '--no-TTY', 'worker', 'bash', '-c', look, mark);
    expect(stdout).toMatch(/^\/proc\/\d+\/environ$/m);
    const [pid = ''] = /\d+/.exec(stdout) ?? [];
    await host.compose('exec', '--no-TTY', 'worker', 'bash', '-c', 'kill -9 "$0"', pid);
  });

  test('keeps Temporal and its database out of reach of the containers under test', async () => {
    for (const [service, port] of Object.entries({ temporal: '7233', postgres: '5432', ui: '8080' })) {
      const id = (await host.compose('ps', '--quiet', service)).trim();
      const { NetworkSettings, Image } = await host.docker.getContainer(id).inspect();
      const [network] = Object.values(NetworkSettings.Networks);
      const from = (name: string) => {
        const ask = ['timeout', '5', 'bash', '-c', `exec 3<>/dev/tcp/${network?.IPAddress}/${port}`];
        const run = ['run', '--rm', '--network', name, '--entrypoint', ask[0] ?? '', Image];
        return execa('docker', [...run, ...ask.slice(1)], { reject: false });
      };
      // bash's own status of a connection that is refused, or timeout's of one that nobody answers.
      expect([1, 124], `${service} from proxy`).toContain((await from('proxy')).exitCode);
      // The same question has an answer where it may.
      const [own = ''] = Object.keys(NetworkSettings.Networks);
      expect((await from(own)).exitCode, `${service} from ${own}`).toBe(0);
    }
  });
});

describe('a weekly sweep', () => {
  test('goes on while each service is started again, and says what it says on a development server', async () => {
    await dev.startWorker();
    const beside = dev.cli('sweep', '--json');
    const { stdout, stderr } = await host.cli('schedule', 'trigger');
    const sweep = /sweep-compose-\S+?Z/.exec(`${stdout}${stderr}`)?.[0] ?? '';
    await until(async () => (await running(host)).length > 0, 120_000);
    for (const service of ['postgres', 'temporal', 'ui', 'worker', 'serve'])
      await host.compose('restart', service);
    await until(async () => (await host.cli('results', sweep)).status === 0, 10 * 60_000, 10_000);
    const said = await report(sweep);
    expect(said.problems).toEqual([]);
    expect(said.verdict).toBe('green');
    expect(await running(host)).toEqual([]);
    const besides = await beside;
    expect(besides.status, besides.stdout + besides.stderr).toBe(0);
    const onDev: SweepReport = parseDocument('results', (await dev.cli('results', '--json')).stdout);
    expect(saidOf(said)).toEqual(saidOf(onDev));
    await until(
      async () => (await shownAt('recipe/webdis/')).includes('PASS (promoted 1.0.0+0.1.9)'),
      60_000,
    );
  });

  test('is started for one recipe with Temporal’s own command', async () => {
    await host.upstreams.publish('custom-html', '1.1.0+1.26');
    const temporal = (...args: string[]) =>
      execa(inject('temporal'), [
        ...['workflow', ...args, '--workflow-id', 'by-hand', '--address', host.temporalAddress],
        ...['--disable-config-env', '--disable-config-file'],
      ]);
    const input = JSON.stringify({ recipes: ['custom-html'] });
    const queue = `recipe-sweep-${host.host}`;
    await temporal('start', '--type', 'sweepWorkflow', '--task-queue', queue, '--input', input);
    await temporal('result');
    expect(saidOf(await report('by-hand'))).toMatchObject({
      recipes: [{ recipe: 'custom-html', outcome: { kind: 'PASS', promoted: '1.1.0+1.26' } }],
    });
  });
});

/** What would be missed. */
const known = async () => ({
  reports: (await host.cli('results', '--list')).stdout,
  canonicals: (await host.cli('canonical', 'list')).stdout,
  schedule: (await host.cli('schedule', 'show', '--json')).stdout,
  namespace: (await host.cli('namespace', 'ensure')).stdout,
  history: (await fetch(`${host.ui}/api/v1/namespaces/default/workflows/by-hand`)).status,
});

test('down and up again: nothing is lost, and there is nothing to do', async () => {
  const before = await known();
  expect(before.history).toBe(200);
  await host.compose('down');
  expect((await host.made()).map((thing) => thing.split(' ')[0])).toEqual(['volume', 'volume']);
  await host.compose('up', '--detach');
  await until(polls, 120_000, 3_000);
  expect(await known()).toEqual(before);
  const created = await createdDuring(host.docker, host.zone, async () => {
    expect((await host.cli('sweep')).status).toBe(0);
  });
  expect(created).toEqual([]);
  expect((await report()).recipes.map(({ outcome }) => outcome)).toEqual(
    RECIPES.map(() => expect.objectContaining({ kind: 'SKIP', because: 'no-new-version' })),
  );
});

test('the database’s dump brings everything back on new volumes', async () => {
  const before = await known();
  await host.compose('stop', 'temporal');
  const dump = ['pg_dump', '--username=temporal', '--clean', '--if-exists', '--create'];
  let dumped = '';
  for (const database of ['temporal', 'temporal_visibility'])
    dumped += `${await host.compose('exec', '--no-TTY', 'postgres', ...dump, database)}\n`;
  await host.compose('down', '--volumes');
  expect(await host.made()).toEqual([]);
  await host.compose('up', '--detach', '--wait', 'postgres');
  const restore = ['psql', '--quiet', '--set=ON_ERROR_STOP=1', '--username=temporal', '--dbname=postgres'];
  await host.composeWith(dumped, 'exec', '--no-TTY', 'postgres', ...restore);
  await host.compose('up', '--detach');
  await until(polls, 120_000, 3_000);
  expect(await known()).toEqual(before);
});
