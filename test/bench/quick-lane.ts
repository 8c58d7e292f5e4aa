import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { filesOf, DURABLE_WRITES, NEWER_MINIFLUX, type Proposal } from '../../fixtures/proposals.ts';
import type { TestMode } from '../../domain/recipe-test.ts';
import { processRunner } from '../../host/machine/process.ts';
import type { recipeTestWorkflow, sweepWorkflow } from '../../workflows/index.ts';
import { SWEEP_WORKFLOW, TEST_WORKFLOW } from '../../workflows/protocol.ts';
import { startSystem, type System } from '../e2e/system.ts';
import { createGitRepo } from '../fixtures/git-repo.ts';
import { median, type Figure, type Form } from './figure.ts';
import { timelineOf } from './history.ts';
import { interruption } from './interruption.ts';
import { untilReaped } from './up-to-date.ts';

/**
 * Wall time of a quick test over that of a cold one of the same head, from the request to the result on record, one after
 * the other. The head takes Miniflux to a release that migrates its database in PostgreSQL. Each quick test puts the
 * canonical's data back first, as each does but the first since a promote; that first one is not measured.
 */
export async function quickLane(temporalBinary: string, form: Form): Promise<Figure[]> {
  const setting: Setting =
    form === 'short'
      ? { proposal: DURABLE_WRITES, canonical: '1.1.0+0.1.22', stableMs: 3_500, rounds: 1 }
      : { proposal: NEWER_MINIFLUX, canonical: '2.0.0+2.0.51', stableMs: 15_000, rounds: 3 };
  const pairs = await measure(temporalBinary, setting);
  const seconds = (mode: TestMode): string => (median(pairs.map((pair) => pair[mode])) / 1000).toFixed(1);
  const { proposal, stableMs } = setting;
  return [
    {
      name: 'quick test over a cold one of the same head',
      unit: 'ratio',
      aim: { atMost: 0.35 },
      samples: pairs.map(({ quick, cold }) => quick / cold),
      notes: [
        `${proposal.recipe} to ${proposal.version} with a window of ${stableMs / 1000} s: quick ${seconds('quick')} s, cold ${seconds('cold')} s`,
      ],
    },
  ];
}

interface Setting {
  proposal: Proposal;
  /** The release that is proven, and proposed to be changed. */
  canonical: string;
  stableMs: number;
  rounds: number;
}

async function measure(
  temporalBinary: string,
  { proposal, canonical, stableMs, rounds }: Setting,
): Promise<Record<TestMode, number>[]> {
  const { recipe } = proposal;
  const system = await startSystem(temporalBinary, [recipe], { images: 'local' });
  try {
    await system.configure({ limits: { headroom: '1GB', stable: `${stableMs}ms` } });
    await system.upstreams.publish(recipe, canonical);
    await system.startWorker();
    await untilReaped(system);
    await prove(system, recipe, canonical);
    const head = await propose(system, proposal);
    const take = (mode: TestMode, round: number): Promise<number> =>
      test(system, `${mode}-${round}`, { recipe, head, mode });
    await take('quick', 0);
    const pairs = [];
    for (let round = 1; round <= rounds; round++) {
      pairs.push({ cold: await take('cold', round), quick: await take('quick', round) });
    }
    return pairs;
  } finally {
    await system.stop();
  }
}

async function prove({ temporal, taskQueue }: System, recipe: string, version: string): Promise<void> {
  const { client } = temporal;
  const { recipes, note } = await client.withAbortSignal(interruption, () =>
    client.workflow.execute<typeof sweepWorkflow>(SWEEP_WORKFLOW, {
      workflowId: 'sweep',
      taskQueue,
      args: [{}],
    }),
  );
  const [swept] = recipes;
  if (swept?.outcome !== `PASS (promoted ${version})`) {
    throw new Error(`${recipe} ${version}: ${swept ? `${swept.outcome}: ${swept.why}` : note}`);
  }
}

/** On a branch of the mirror's, which a sync leaves alone. Answers the commit. */
async function propose({ folder }: System, proposal: Proposal): Promise<string> {
  const mirror = path.join(folder, 'mirrors', `${proposal.recipe}.git`);
  const commands = processRunner({
    environment: { PATH: process.env['PATH'] ?? '', HOME: folder },
    signal: interruption,
  });
  const repo = await createGitRepo(commands, path.join(folder, 'proposal'));
  await repo.git('fetch', '--quiet', mirror, 'main');
  await repo.git('reset', '--quiet', '--hard', 'FETCH_HEAD');
  const files = await filesOf(proposal, (file) => readFile(path.join(repo.folder, file), 'utf8'));
  const commit = await repo.commit(files);
  await repo.git('push', '--quiet', mirror, `HEAD:refs/heads/${proposal.branch}`);
  return commit;
}

async function test(
  { temporal, taskQueue }: System,
  workflowId: string,
  { recipe, head, mode }: { recipe: string; head: string; mode: TestMode },
): Promise<number> {
  const { client } = temporal;
  const { outcome, tested } = await client.withAbortSignal(interruption, () =>
    client.workflow.execute<typeof recipeTestWorkflow>(TEST_WORKFLOW, {
      workflowId,
      taskQueue,
      args: [{ recipe, ref: head, ...(mode === 'quick' ? { quick: true } : {}) }],
    }),
  );
  if (outcome.kind !== 'PASS' || tested?.mode !== mode) {
    throw new Error(`${workflowId}: ${outcome.kind} ${'why' in outcome ? outcome.why : (tested?.why ?? '')}`);
  }
  const { started, ended } = await timelineOf(client, workflowId);
  return ended - started;
}
