import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { startService, type Service } from '../../host/machine/child.ts';
import { FAMILIES, PREFIX } from '../../metrics/families.ts';
import { readExposition } from '../fixtures/exposition.ts';
import { SDK_METRICS } from '../fixtures/sdk-metrics.ts';
import { startSystem, until, type System } from './system.ts';

/** A real Prometheus that scrapes a real host, by the files in deploy/. */

const RECIPE = 'custom-html';
const RELEASE = '1.0.0+1.22';
const DEPLOY = path.resolve(import.meta.dirname, '../../deploy');
/** In place of the minutes and hours that rules wait. */
const RULES_WAIT = '2s';

let system: System;
let worker: Service;
let prometheus: Service;
let ports: { serve: number; worker: number; prometheus: number };

const at = (port: number): string => `127.0.0.1:${port}`;

beforeAll(async () => {
  system = await startSystem(inject('temporal'), [RECIPE], { limits: { stable: '4s' } });
  await system.upstreams.publish(RECIPE, RELEASE);
  ports = { serve: await getPort(), worker: await getPort(), prometheus: await getPort() };
  const { folder } = system;
  await system.configure({ metrics: { listen: at(ports.worker) } });
  await typed('schedule', 'ensure');
  worker = await system.startWorker();
  await typed('sweep');
  await typed('schedule', 'pause');
  await writeFile(path.join(folder, 'token'), 'none-takes-it');
  await writeFile(path.join(folder, 'webhook-secret'), 'sesame');
  await system.configure({
    serve: { listen: at(ports.serve), webhookSecretFile: 'webhook-secret' },
    // Nobody is there, and metrics do not mind.
    forge: { url: `http://${at(await getPort())}`, tokenFile: 'token' },
  });
  await system.startServe();
  prometheus = await startPrometheus(folder);
});

afterAll(async () => {
  await prometheus?.stop();
  await system?.stop();
});

async function typed(...args: string[]): Promise<void> {
  const { status, stdout, stderr } = await system.cli(...args);
  expect(status, `${args.join(' ')}: ${stdout}${stderr}`).toBe(0);
}

/** By our files, but for where it scrapes, and how often. */
async function startPrometheus(folder: string): Promise<Service> {
  const read = async <T>(name: string): Promise<T> =>
    parse(await readFile(path.join(DEPLOY, name), 'utf8')) as T;
  const config = await read<{
    global: object;
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  }>('prometheus.yml');
  const targets: Record<string, number> = {
    'recipe-sweep': ports.serve,
    'recipe-sweep-worker': ports.worker,
  };
  config.global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  for (const one of config.scrape_configs) {
    one.static_configs = [{ targets: [at(targets[one.job_name] ?? 0)] }];
  }
  const rules = await read<{ groups: { rules: { for?: string }[] }[] }>('prometheus-rules.yml');
  for (const rule of rules.groups.flatMap((group) => group.rules)) rule.for = RULES_WAIT;
  await writeFile(path.join(folder, 'prometheus.yml'), stringify(config));
  await writeFile(path.join(folder, 'prometheus-rules.yml'), stringify(rules));
  const service = startService({
    file: 'prometheus',
    args: [
      `--config.file=${path.join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${path.join(folder, 'prometheus')}`,
      `--web.listen-address=${at(ports.prometheus)}`,
    ],
    env: { PATH: process.env['PATH'] ?? '' },
    logFile: path.join(folder, 'prometheus.log'),
  });
  await until(async () => {
    const answer = await fetch(`http://${at(ports.prometheus)}/-/ready`).catch(() => null);
    return answer?.ok === true;
  });
  return service;
}

/** Of Prometheus' HTTP API. */
async function api<T>(question: string): Promise<T> {
  const answer = await fetch(`http://${at(ports.prometheus)}/api/v1/${question}`);
  expect(answer.status, question).toBe(200);
  return ((await answer.json()) as { data: T }).data;
}

/** The values of an expression now, by their labels but for where they are from. */
async function valuesOf(expression: string): Promise<Record<string, number>> {
  const question = `query?query=${encodeURIComponent(expression)}`;
  const { result } = await api<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
    question,
  );
  return Object.fromEntries(
    result.map(({ metric, value: [, value] }) => {
      const { __name__: _name, instance: _instance, job: _job, ...labels } = metric;
      return [Object.values(labels).join(' '), Number(value)];
    }),
  );
}

interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: string;
}

/** Those that fire, by the rule's name. */
async function firing(): Promise<Map<string, Alert>> {
  const { alerts } = await api<{ alerts: Alert[] }>('alerts');
  return new Map(
    alerts.filter(({ state }) => state === 'firing').map((alert) => [alert.labels['alertname'] ?? '', alert]),
  );
}

describe('a Prometheus that scrapes by our files', () => {
  test('reaches serve and the worker', async () => {
    await until(async () => (await valuesOf('count(up == 1)'))[''] === 2);
    const { activeTargets } = await api<{ activeTargets: { labels: { job: string }; health: string }[] }>(
      'targets?state=active',
    );
    expect(new Map(activeTargets.map(({ labels, health }) => [labels.job, health]))).toEqual(
      new Map([
        ['recipe-sweep', 'up'],
        ['recipe-sweep-worker', 'up'],
      ]),
    );
  });

  test('knows what the sweep came to', async () => {
    await until(async () => (await valuesOf(`${PREFIX}last_sweep_recipes`))['PASS'] === 1);
    expect(await valuesOf(`${PREFIX}recipe_standing`)).toEqual({ [`${RECIPE} promoted`]: 1 });
    expect(await valuesOf(`${PREFIX}canonical_info`)).toEqual({ [`${RECIPE} ${RELEASE}`]: 1 });
    expect(await valuesOf(`${PREFIX}last_sweep_verdict`)).toEqual({ green: 1 });
    expect(await valuesOf(`time() - ${PREFIX}last_sweep_end_timestamp_seconds < 3600`)).not.toEqual({});
    expect(await valuesOf(`${PREFIX}recipe_tier_duration_seconds > 0`)).toHaveProperty(`${RECIPE} install`);
    expect(await valuesOf(`${PREFIX}disk_free_bytes > 0`)).not.toEqual({});
    expect(await valuesOf(`${PREFIX}temporal_up`)).toEqual({ '': 1 });
    expect(await valuesOf(`${PREFIX}workers_polling`)).toEqual({ '': 1 });
    expect(await valuesOf(`${PREFIX}turns_waiting`)).toEqual({ sweep: 0, hand: 0, test: 0 });
    expect(await valuesOf(`${PREFIX}schedule_exists`)).toEqual({ sweep: 1, reconcile: 1 });
    expect(await valuesOf(`${PREFIX}schedule_paused`)).toEqual({ sweep: 1, reconcile: 0 });
    const names = await api<string[]>('label/__name__/values');
    const ours = names.filter((name) => name.startsWith(PREFIX));
    expect(ours.filter((name) => !(name.slice(PREFIX.length) in FAMILIES))).toEqual([]);
  });

  test('knows the numbers of the SDK under the names that we say', async () => {
    const answer = await fetch(`http://${at(ports.worker)}/metrics`);
    const { type } = readExposition(await answer.text());
    expect(SDK_METRICS.filter((name) => !type.has(name))).toEqual([]);
    const queue = `{task_queue="${system.taskQueue}"}`;
    expect(await valuesOf(`temporal_worker_task_slots_available${queue} > 0`)).not.toEqual({});
    expect(await valuesOf(`temporal_activity_execution_latency_seconds_count${queue} > 0`)).not.toEqual({});
  });

  test('tells of a schedule that is paused, and of nothing else', async () => {
    await until(async () => (await firing()).has('RecipeSweepSchedulePaused'));
    expect([...(await firing()).keys()]).toEqual(['RecipeSweepSchedulePaused']);
    await typed('schedule', 'resume');
    await until(async () => (await firing()).size === 0);
  });

  test('tells of a worker that is gone, and of the Temporal server', async () => {
    await worker.stop();
    await until(async () => (await firing()).has('RecipeSweepWorkerNotScraped'));
    // The server takes it for one that waits until it should have asked again.
    await until(async () => (await firing()).has('RecipeSweepWorkerGone'), 120_000);
    const { annotations } = (await firing()).get('RecipeSweepWorkerGone') as Alert;
    expect(annotations['summary']).toBe(`No worker of ${at(ports.serve)} waits for work`);
    expect(annotations['description']).toContain('systemctl restart recipe-sweep');
    await system.killTemporal();
    await until(async () => (await firing()).has('RecipeSweepTemporalAway'));
    // What is on disk is still told.
    expect(await valuesOf(`${PREFIX}recipe_standing`)).toEqual({ [`${RECIPE} promoted`]: 1 });
    expect(await valuesOf(`${PREFIX}workers_polling`)).toEqual({});
  });
});
