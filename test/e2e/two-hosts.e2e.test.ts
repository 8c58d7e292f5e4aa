import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SweepReport } from '../../domain/report.ts';
import { createReports } from '../../host/store/reports.ts';
import { installationOf } from '../../host/lock/installation.ts';
import { scheduleIdOf, type SweepResult } from '../../workflows/protocol.ts';
import { ofZone } from './engine.ts';
import { startSecondEngine, type SecondEngine } from './second-engine.ts';
import { startSystem, type System } from './system.ts';

/**
 * Two hosts on one Temporal server: ci-1 is this machine and its engine, ci-2 has a second engine in a network of its
 * own. Each has its own state, zone, recipes and worker, and nothing of one is ever done by the other.
 */

const RECIPE = 'custom-html';
const RELEASE = '1.0.0+1.22';

let engine: SecondEngine;
let one: System;
let two: System;
/** Calls itself ci-1 as well. */
let namesake: System | undefined;

beforeAll(async () => {
  const limits = { stable: '4s' };
  engine = await startSecondEngine();
  one = await startSystem(inject('temporal'), [RECIPE], { host: 'ci-1', limits });
  two = await startSystem(inject('temporal'), [RECIPE], { host: 'ci-2', beside: one, engine, limits });
  for (const system of [one, two]) await system.upstreams.publish(RECIPE, RELEASE);
  await Promise.all([one.startWorker(), two.startWorker()]);
}, 300_000);

afterAll(async () => {
  // The server that all use is the first one's.
  for (const system of [namesake, two, one]) await system?.stop();
  await engine?.stop();
}, 300_000);

/** Which workers did anything for a workflow, as the server noted it. */
async function workersOf(workflowId: string, runId?: string): Promise<string[]> {
  const { events } = await one.temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
  const identities = (events ?? []).flatMap((event) => [
    event.workflowTaskStartedEventAttributes?.identity,
    event.activityTaskStartedEventAttributes?.identity,
  ]);
  return [...new Set(identities.filter((identity) => typeof identity === 'string'))];
}

/** Every workflow that ever was on a host's task queue. */
async function workflowsOf({ taskQueue }: System): Promise<{ workflowId: string; runId: string }[]> {
  const query = `TaskQueue = '${taskQueue}'`;
  const found: { workflowId: string; runId: string }[] = [];
  for await (const { workflowId, runId } of one.temporal.client.workflow.list({ query })) {
    found.push({ workflowId, runId });
  }
  return found;
}

test('both sweep at the same time, each its own recipes on its own engine, as ci-1 asks them', async () => {
  const asked = [
    { system: one, swept: one.cli('sweep', '--json') },
    { system: two, swept: one.cli('sweep', '--host', 'ci-2', '--json') },
  ];
  const reports: SweepReport[] = [];
  for (const { system, swept } of asked) {
    const { status, stdout, stderr } = await swept;
    expect(status, `${stdout}${stderr}`).toBe(0);
    const { sweep } = JSON.parse(stdout) as SweepResult;
    expect(sweep).toContain(system.host);
    const kept = (await createReports(system.state).all()).reports;
    expect(kept.map(({ host, zone }) => [host, zone])).toEqual(kept.map(() => [system.host, system.zone]));
    const [report] = kept.filter((report) => report.sweep === sweep);
    expect(report?.verdict).toBe('green');
    expect((await system.canonical(RECIPE))?.version).toBe(RELEASE);
    if (report !== undefined) reports.push(report);
  }
  const latestStart = Math.max(...reports.map(({ started }) => Date.parse(started)));
  const firstEnd = Math.min(...reports.map(({ ended }) => Date.parse(ended)));
  expect(latestStart, 'they ran beside each other').toBeLessThan(firstEnd);
});

test('what is on one engine is not on the other', async () => {
  for (const [system, other] of [
    [one, two],
    [two, one],
  ] as const) {
    expect((await system.ours()).filter((thing) => thing.startsWith('volume '))).not.toEqual([]);
    expect(await ofZone(system.docker, other.zone)).toEqual([]);
  }
});

test('no step of one was done by the other’s worker', async () => {
  for (const system of [one, two]) {
    const installation = await installationOf(system.state);
    const workflows = await workflowsOf(system);
    // The reaper of the start, the sweep, and its recipe.
    expect(workflows.length).toBeGreaterThanOrEqual(3);
    for (const { workflowId, runId } of workflows) {
      const workers = await workersOf(workflowId, runId);
      expect(workers.length, workflowId).toBeGreaterThan(0);
      expect(workers, workflowId).toEqual(workers.filter((worker) => worker.endsWith(`/${installation}`)));
    }
  }
});

test('each has a schedule of its own', async () => {
  for (const system of [one, two]) {
    const { status, stdout, stderr } = await system.cli('schedule', 'ensure');
    expect(status, `${stdout}${stderr}`).toBe(0);
  }
  const schedules = new Map<string, string | undefined>();
  for (const system of [one, two]) {
    const { action } = await one.temporal.client.schedule.getHandle(scheduleIdOf(system.host)).describe();
    schedules.set(system.host, action.taskQueue);
  }
  expect([...schedules]).toEqual([one, two].map(({ host, taskQueue }) => [host, taskQueue]));
});

test('a host that is called as another is refused, by name', async () => {
  namesake ??= await startSystem(inject('temporal'), [RECIPE], { host: 'ci-1', beside: one });
  await namesake.startWorker();

  // Either of the two may take the preflight, and names the other.
  const { status, stdout, stderr } = await one.cli('sweep');
  expect(status, `${stdout}${stderr}`).toBe(2);
  expect(stderr).toContain('another installation calls itself ci-1 as well');
  const installations = [await installationOf(one.state), await installationOf(namesake.state)];
  expect(installations.filter((installation) => stderr.includes(`/${installation}`))).toHaveLength(1);

  const findings = JSON.parse((await one.cli('doctor', '--json')).stdout) as {
    name: string;
    found: string;
    ok: boolean;
  }[];
  const worker = findings.find(({ name }) => name === 'worker');
  expect(worker).toMatchObject({ ok: false });
  expect(worker?.found).toContain(`/${await installationOf(namesake.state)}`);

  const other = await two.cli('sweep');
  expect(other.status, `${other.stdout}${other.stderr}`).toBe(0);
});
