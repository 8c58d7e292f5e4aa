import path from 'node:path';
import { createResults } from '../../host/store/results.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { recipeWorkflowId, SWEEP_WORKFLOW } from '../../workflows/protocol.ts';
import { startSystem, type System } from '../e2e/system.ts';
import { recordEvents } from './engine-events.ts';
import { median, timed, type Figure, type Form } from './figure.ts';
import { timelineOf, type Timeline } from './history.ts';
import { interruption } from './interruption.ts';
import { plainRun } from './plain-run.ts';
import { reactionFigures, reactions, type Reactions } from './reaction.ts';
import { untilReaped } from './up-to-date.ts';

/**
 * Wall time of a recipe's whole run (cold test and promote) over that of a plain script that does the same
 * docker and git steps with the same waits: for its first release, and for a newer one with a canonical. The
 * same runs tell how soon a step ends once the engine has nothing more to do (reaction.ts).
 */
export async function recipeRun(temporalBinary: string, form: Form): Promise<Figure[]> {
  const setting: Setting =
    form === 'short'
      ? {
          recipe: 'custom-html',
          versions: ['1.0.0+1.22', '1.1.0+1.26'],
          probePath: '/',
          stableMs: 3_500,
          hurry: true,
        }
      : {
          recipe: 'webdis',
          versions: ['1.0.0+0.1.9', '1.1.0+0.1.22'],
          probePath: '/PING',
          stableMs: 5_000,
          hurry: false,
        };
  const rounds = form === 'short' ? 1 : 3;
  const first: Pair[] = [];
  const newer: Pair[] = [];
  const seen: Reactions[] = [];
  for (let round = 0; round < rounds; round++) {
    const measured = await measure(temporalBinary, setting);
    first.push(measured.first);
    newer.push(measured.newer);
    seen.push(measured.reactions);
  }
  return [
    ratioFigure('first release', setting, 4, first),
    ratioFigure('newer release, with a canonical', setting, 6, newer),
    ...reactionFigures(seen),
  ];
}

interface Setting {
  recipe: string;
  versions: [string, string];
  probePath: string;
  stableMs: number;
  /** Two of the four runs at the same time, for whoever asks only whether the bench works. */
  hurry: boolean;
}

/** Milliseconds of the system's run and of the plain one. */
interface Pair {
  ours: number;
  plain: number;
}

/** The window that operators have unless they set another. */
const DEFAULT_STABLE_MS = 15_000;

function ratioFigure(
  what: string,
  { recipe, stableMs }: Setting,
  deployments: number,
  pairs: Pair[],
): Figure {
  const added = median(pairs.map(({ ours, plain }) => ours - plain));
  const at = (windowMs: number): number => {
    const more = deployments * (windowMs - stableMs);
    return median(pairs.map(({ ours, plain }) => (ours + more) / (plain + more)));
  };
  const seconds = (side: keyof Pair): string => (median(pairs.map((pair) => pair[side])) / 1000).toFixed(2);
  return {
    name: `recipe run over a plain script: ${what}`,
    unit: 'ratio',
    aim: { atMost: 1.05 },
    samples: pairs.map(({ ours, plain }) => ours / plain),
    notes: [
      `${what} of ${recipe}, ${deployments} deployments with a window of ${stableMs / 1000} s each: ${seconds('ours')} s, plain ${seconds('plain')} s, ` +
        `added ${added.toFixed(0)} ms; with the default window of ${DEFAULT_STABLE_MS / 1000} s the ratio would be ${at(DEFAULT_STABLE_MS).toFixed(3)}`,
    ],
  };
}

async function measure(
  temporalBinary: string,
  setting: Setting,
): Promise<{ first: Pair; newer: Pair; reactions: Reactions }> {
  const { recipe, versions, probePath, stableMs, hurry } = setting;
  // The plain script pulls nothing.
  const system = await startSystem(temporalBinary, [recipe], { images: 'local' });
  const { folder, zone, upstreams } = system;
  const label = zone.slice(0, zone.indexOf('.'));
  const plain = plainRun({
    folder: path.join(folder, 'plain'),
    upstream: upstreams.url(recipe),
    renamed: [
      // Within stack names the zone has other dots, so only its first part is renamed.
      [label, `p${label.slice(1)}`],
      [path.join(system.state, 'checkouts'), path.join(folder, 'plain', 'checkouts')],
    ],
    stableMs,
    probePath,
  });
  const events = await recordEvents(system.docker);
  try {
    await system.configure({ limits: { headroom: '1GB', stable: `${stableMs}ms` } });
    const { commit: older } = await upstreams.publish(recipe, versions[0]);
    await system.startWorker();
    await untilReaped(system);
    const one = await sweep(system, recipe, versions[0]);
    const plainFirst = (): Promise<number> =>
      timed(() =>
        plain.firstRelease({
          commit: older,
          deployed: { cold: one.evidence('cold-test-install'), warm: one.evidence('promote') },
        }),
      );
    const publishAndSweep = async () => {
      const { commit } = await upstreams.publish(recipe, versions[1]);
      return { newer: commit, two: await sweep(system, recipe, versions[1]) };
    };
    const first = plainFirst();
    if (!hurry) await first;
    const second = publishAndSweep();
    // Neither is left behind when the other fails.
    await Promise.allSettled([first, second]);
    const [plainOne, { newer, two }] = [await first, await second];
    const plainTwo = await timed(() =>
      plain.newerRelease(
        {
          commit: older,
          deployed: {
            cold: two.evidence('cold-test-install-base'),
            warm: two.evidence('promote-reattach'),
          },
        },
        {
          commit: newer,
          deployed: { cold: two.evidence('cold-test-upgrade'), warm: two.evidence('promote') },
        },
      ),
    );
    return {
      first: { ours: wall(one), plain: plainOne },
      newer: { ours: wall(two), plain: plainTwo },
      reactions: reactions([one.timeline, two.timeline], events.seen(), zone, stableMs),
    };
  } finally {
    events.stop();
    await plain.cleanUp();
    await system.stop();
  }
}

interface Swept {
  timeline: Timeline;
  /** The folder of one step's evidence. */
  evidence(step: string): string;
}

async function sweep(
  { temporal, taskQueue, state }: System,
  recipe: string,
  version: string,
): Promise<Swept> {
  const { client } = temporal;
  const workflowId = `sweep-${version}`;
  const result = await client.withAbortSignal(interruption, () =>
    client.workflow.execute<typeof sweepWorkflow>(SWEEP_WORKFLOW, {
      workflowId,
      taskQueue,
      args: [{}],
    }),
  );
  const [ran] = result.recipes;
  if (ran?.outcome !== `PASS (promoted ${version})`) {
    throw new Error(`${recipe} ${version}: ${ran ? `${ran.outcome}: ${ran.why}` : result.note}`);
  }
  const folder = await createResults(state).runFolder(recipeWorkflowId(workflowId, recipe));
  return {
    timeline: await timelineOf(client, recipeWorkflowId(workflowId, recipe)),
    evidence: (step) => path.join(folder, step),
  };
}

function wall({ timeline: { started, ended } }: Swept): number {
  return ended - started;
}
