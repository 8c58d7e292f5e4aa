import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Service } from '../../host/machine/child.ts';
import { until } from '../e2e/system.ts';
import { median, type Figure, type Form } from './figure.ts';
import type { Timeline } from './history.ts';
import { openInspector, type Inspector } from './inspector.ts';
import { sweepingTime } from './skipped-recipe.ts';
import { startUpToDateHost } from './up-to-date.ts';

const MB = 1_000_000;
/** Recipes, and ten times as many should take ten times as long: so much more is allowed. */
const ALLOWED = 1.05;

/**
 * A sweep of many up-to-date recipes against one of a tenth of them, by the same worker on the same host:
 * what grows faster than the number of recipes shows here. `profile` names a folder for a CPU profile of the
 * worker's main thread during the large sweep.
 */
export async function largeSweep(
  temporalBinary: string,
  form: Form,
  profile: string | null,
): Promise<Figure[]> {
  const { many, few, rounds } =
    form === 'short' ? { many: 40, few: 4, rounds: 1 } : { many: 1000, few: 100, rounds: 2 };
  const host = await startUpToDateHost(temporalBinary, many);
  try {
    const worker = await host.startWorker(['--inspect=127.0.0.1:0']);
    const inspector = await openInspector(await inspectorUrl(worker));
    const sweep = async (count: number): Promise<Timeline[]> => {
      await host.enrol(count);
      return host.sweep();
    };
    await sweep(few); // the worker compiles its code on first use
    const ratios: number[] = [];
    const growth: number[] = [];
    const heapGrowth: number[] = [];
    const resident: number[] = [];
    const events: number[] = [];
    const each: { few: number[]; many: number[] } = { few: [], many: [] };
    for (let round = 0; round < rounds; round++) {
      const small = sweepTime(await sweep(few));
      const before = await memory(worker, inspector);
      if (profile !== null) await inspector.startProfile();
      const runs = await sweep(many);
      if (profile !== null) {
        await writeFile(path.join(profile, `large-sweep-${round}.cpuprofile`), await inspector.stopProfile());
      }
      const after = await memory(worker, inspector);
      const large = sweepTime(runs);
      each.few.push(small / few);
      each.many.push(large / many);
      ratios.push(large / small);
      resident.push(before.rss / MB);
      growth.push((after.rss - before.rss) / MB);
      heapGrowth.push((after.heap - before.heap) / MB);
      events.push(Math.max(...runs.map((run) => run.events)));
    }
    inspector.close();
    const scale = many / few;
    return [
      {
        name: `a sweep of ${many} over one of ${few}: time`,
        unit: 'ratio',
        aim: { atMost: scale * ALLOWED },
        samples: ratios,
        notes: [
          `ms a recipe: ${median(each.few).toFixed(0)} in a sweep of ${few}, ${median(each.many).toFixed(0)} in one of ${many}`,
        ],
      },
      {
        name: `a sweep of ${many}: longest history`,
        unit: 'events',
        aim: { atMost: 10_000 },
        samples: events,
        notes: [],
      },
      {
        name: `a sweep of ${many}: worker memory growth`,
        unit: 'MB',
        aim: { atMost: 20 },
        samples: growth,
        notes: [
          `resident ${median(resident).toFixed(0)} MB before; the heaps of its threads grew by ${heapGrowth.map((mb) => mb.toFixed(1)).join(', ')} MB`,
        ],
      },
    ];
  } finally {
    await host.system.stop();
  }
}

/** All runs of a sweep that continued as new, from its first child to its last. */
function sweepTime(runs: readonly Timeline[]): number {
  const children = runs.flatMap((run) => run.children);
  const [first] = runs;
  if (first === undefined) throw new Error('the sweep has no run');
  return sweepingTime({ ...first, children });
}

/** Resident memory and the heaps of all threads, after garbage was collected. */
async function memory(worker: Service, inspector: Inspector): Promise<{ rss: number; heap: number }> {
  const heap = (await inspector.collectGarbage()).reduce((sum, bytes) => sum + bytes, 0);
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8');
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { rss: kilobytes * 1024, heap };
}

async function inspectorUrl({ logFile }: Service): Promise<string> {
  let url: string | undefined;
  await until(async () => {
    url = /Debugger listening on (ws:\S+)/.exec(await readFile(logFile, 'utf8'))?.[1];
    return url !== undefined;
  });
  return url ?? '';
}
