import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { msToTs } from '@temporalio/common/lib/time.js';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect, type TemporalServer } from '../../client/connect.ts';
import {
  ensureNamespace,
  ensureNamespaceReady,
  lookAtNamespace,
  missingSearchAttributes,
} from '../../client/namespace.ts';
import { pollingWorkers } from '../../worker/pollers.ts';
import { startDevServer, type DevServer, type DevServerSettings } from '../../client/dev.ts';
import { runningSweeps } from '../../client/running.ts';
import { ensureSchedules, requireSchedule, triggerSchedule } from '../../client/schedule.ts';
import { scheduleIdOf, taskQueueOf } from '../../workflows/protocol.ts';
import { lookAtSweep } from '../../client/watch.ts';

/** The client against a server that nobody prepared, and without a worker. */

let folder: string;
let settings: DevServerSettings;
let devServer: DevServer;
let server: TemporalServer;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'schedule-'));
  settings = {
    binary: inject('temporal'),
    dbFile: path.join(folder, 'temporal.db'),
    port: await getPort(),
    uiPort: await getPort(),
    namespace: 'sweeps',
    logFile: path.join(folder, 'temporal.log'),
    searchAttributes: [],
  };
  devServer = await startDevServer(settings);
  server = await connect({
    temporal: { address: `127.0.0.1:${settings.port}`, namespace: 'sweeps', ui: '' },
  });
});

afterAll(async () => {
  await server?.close();
  await devServer?.stop();
  await rm(folder, { recursive: true, force: true });
});

const weekly = (time: string) => ({
  host: 'ci-1',
  schedule: { day: 'sunday' as const, time, timezone: 'UTC', catchup: 172_800_000 },
  reconcile: { day: 'daily' as const, time: '01:00' },
});

describe('a namespace', () => {
  test('gets the search attributes that it lacks, once', async () => {
    expect(await missingSearchAttributes(server)).toHaveLength(7);
    await ensureNamespaceReady(server.connection, 'sweeps');
    await ensureNamespaceReady(server.connection, 'sweeps');
    expect(await missingSearchAttributes(server)).toEqual([]);
  });

  test('that is not there is named, with how to make it', async () => {
    await expect(ensureNamespaceReady(server.connection, 'elsewhere')).rejects.toThrow(
      'temporal operator namespace create --retention 90d --namespace elsewhere',
    );
  });

  test('is made with all that sweeps need, and is left alone when it has it', async () => {
    const temporal = { address: `127.0.0.1:${settings.port}`, namespace: 'made', ui: '' };
    const made: string[] = [];
    await ensureNamespace({ temporal }, (done) => made.push(done));
    expect(made).toEqual([
      'created; it keeps closed workflows for 90 days',
      'search attributes registered: Recipe, SweepId, RecipeOutcome, TestMode, PullRequest, ServiceOutcome, SweepVerdict',
    ]);
    await ensureNamespace({ temporal }, (done) => made.push(done));
    expect(made).toHaveLength(2);
  });

  test('keeps workflows for 90 days at least', async () => {
    const keepFor = async (days: number): Promise<number> => {
      await server.connection.workflowService.updateNamespace({
        namespace: 'sweeps',
        config: { workflowExecutionRetentionTtl: msToTs(days * 86_400_000) },
      });
      const { address, namespace } = { address: `127.0.0.1:${settings.port}`, namespace: 'sweeps' };
      await ensureNamespace({ temporal: { address, namespace, ui: '' } }, () => undefined);
      return (await lookAtNamespace(server)).retentionDays;
    };
    expect(await keepFor(3)).toBe(90);
    expect(await keepFor(365)).toBe(365);
    expect(await keepFor(90)).toBe(90);
  });

  test('is asked for until the server is there, and not for ever', async () => {
    const temporal = { address: `127.0.0.1:${await getPort()}`, namespace: 'sweeps', ui: '' };
    await expect(ensureNamespace({ temporal }, () => undefined, 0)).rejects.toThrow('no Temporal server');
  });

  test('of the development server keeps workflows for 90 days', async () => {
    const { config } = await server.connection.workflowService.describeNamespace({ namespace: 'sweeps' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
  });
});

describe('the schedule', () => {
  test('is asked for when it is missing', async () => {
    await expect(triggerSchedule(server.client.schedule, 'ci-1')).rejects.toThrow(
      'recipe-sweep schedule ensure',
    );
  });

  test('is created, and then made what the configuration says', async () => {
    const ensured = async (time: string): Promise<string[]> =>
      Object.values(await ensureSchedules(server.client.schedule, weekly(time)));
    expect(await ensured('03:00')).toEqual(['created', 'created']);
    expect(await ensured('04:30')).toEqual(['updated', 'updated']);
    const { spec, policies, action, info } = await requireSchedule(server.client.schedule, 'ci-1');
    expect(spec.calendars).toMatchObject([{ hour: [{ start: 4 }], minute: [{ start: 30 }] }]);
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 172_800_000 });
    expect(action.args).toEqual([{}]);
    expect(info.nextActionTimes[0]?.getUTCDay()).toBe(0);
  });

  test('stays paused, with its note, when it is ensured again', async () => {
    await server.client.schedule.getHandle(scheduleIdOf('ci-1')).pause('the host moves');
    await ensureSchedules(server.client.schedule, weekly('03:00'));
    const { state } = await requireSchedule(server.client.schedule, 'ci-1');
    expect(state).toMatchObject({ paused: true, note: 'the host moves' });
  });

  test('triggered names the sweep that it started, and skips while that one runs', async () => {
    const first = await triggerSchedule(server.client.schedule, 'ci-1');
    expect(first).toEqual({ started: expect.stringMatching(/^sweep-ci-1-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) });
    const started = 'started' in first ? first.started : '';
    expect(await triggerSchedule(server.client.schedule, 'ci-1')).toEqual({
      skipped: true,
      running: started,
    });
    expect((await runningSweeps(server, 'ci-1')).map(({ sweep }) => sweep)).toEqual([started]);
  });
});

test('a sweep that no worker takes says what it waits for', async () => {
  expect(await pollingWorkers(server, taskQueueOf('ci-1'))).toEqual([]);
  const [running] = await runningSweeps(server, 'ci-1');
  const view = await lookAtSweep(server, running?.sweep ?? '', new AbortController().signal);
  expect(view).toMatchObject({ progress: null, note: expect.stringContaining('recipe-sweep worker') });
});

describe('a development server', () => {
  test('is not started beside a server that answers there', async () => {
    await expect(startDevServer(settings)).rejects.toThrow('a Temporal server answers at');
  });

  test('is not started on a port that another program has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => other.once('listening', resolve));
      const { port } = other.address() as { port: number };
      await expect(startDevServer({ ...settings, port: await getPort(), uiPort: port })).rejects.toThrow(
        `port ${port} of 127.0.0.1 is taken by another program`,
      );
    } finally {
      other.close();
    }
  });

  test('that cannot start shows the end of its log', async () => {
    const [port, uiPort] = [await getPort(), await getPort()];
    const dbFile = path.join(folder, 'no', 'such', 'folder', 'temporal.db');
    await expect(startDevServer({ ...settings, port, uiPort, dbFile })).rejects.toThrow('temporal.log');
  });
});
