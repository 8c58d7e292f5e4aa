import { createHash } from 'node:crypto';
import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createMirrors } from '../../host/git/mirrors.ts';
import { processRunner, type ProcessRunner } from '../../host/machine/process.ts';
import type { Service } from '../../host/machine/child.ts';
import type { sweepWorkflow } from '../../workflows/index.ts';
import { reapWorkflowId, SWEEP_WORKFLOW } from '../../workflows/protocol.ts';
import { startSystem, type System, type SystemOptions } from '../e2e/system.ts';
import { createGitRepo } from '../fixtures/git-repo.ts';
import { timelineOf, type Timeline } from './history.ts';
import { interruption } from './interruption.ts';

/** A host as a sweep leaves it, every enrolled recipe up to date: each has a mirror, a ledger, a canonical and its commit. */
export interface UpToDateHost {
  system: System;
  recipes: readonly string[];
  upstream(recipe: string): string;
  mirror(recipe: string): string;
  work(recipe: string): string;
  /** Starts the worker, and waits until it has reaped: until then it holds the host. */
  startWorker(nodeArguments?: readonly string[]): Promise<Service>;
  /** Enrols the first so many recipes; the next sweep sees it. */
  enrol(count: number): Promise<void>;
  /** Sweeps what is enrolled; throws when anything was not skipped. Answers every run's timeline, in order. */
  sweep(): Promise<Timeline[]>;
}

/** As many as a recipe of some years has. */
const RELEASES = 12;
const AT_ONCE = 20;

/** `beside`: whose Temporal server it uses; else a development server of its own. */
export async function startUpToDateHost(
  temporalBinary: string,
  count: number,
  beside?: SystemOptions['beside'],
): Promise<UpToDateHost> {
  const system = await startSystem(temporalBinary, [], beside === undefined ? {} : { beside });
  const { folder, state } = system;
  const recipes = Array.from({ length: count }, (_, index) => `recipe-${String(index + 1).padStart(4, '0')}`);
  const upstream = (recipe: string): string => path.join(folder, 'upstreams', `${recipe}.git`);
  const mirror = (recipe: string): string => path.join(folder, 'mirrors', `${recipe}.git`);
  const work = (recipe: string): string => path.join(state, 'work', `${recipe}.git`);
  const enrolled = path.join(folder, 'enrolled');
  let sweeps = 0;

  try {
    const commands = processRunner({
      environment: { PATH: process.env['PATH'] ?? '', HOME: folder },
      signal: interruption,
    });
    const { bare, commits } = await makeRepository(commands, folder);
    const latest = [...commits].at(-1) as [string, string];
    const [ledger, canonicals] = [createLedger(state), createCanonicals(system)];
    const mirrors = createMirrors({
      config: { mirrors: mirror('{recipe}'), state, limits: { fetch: 1e9 } },
      commands,
      ledger,
      now: () => new Date(),
      endOrphans: async () => undefined,
    });
    const ts = new Date().toISOString();
    await inBatches(recipes, async (recipe) => {
      for (const copy of [upstream(recipe), mirror(recipe), work(recipe)]) {
        await cp(bare, copy, { recursive: true });
      }
      await mkdir(path.join(folder, 'all', recipe), { recursive: true });
      await writeFile(
        path.join(folder, 'all', recipe, 'recipe.yml'),
        stringify({ upstream: upstream(recipe) }),
      );
      await ledger.append(
        recipe,
        [...commits].map(([tag, commit]) => ({ tag, commit, ts })),
      );
      const manifest = JSON.stringify({ schema: 1, id: 'none-1', recipe, volumes: [], secrets: [] });
      const snapshot = path.join(canonicals.snapshotsFolder(recipe), 'none-1');
      await mkdir(snapshot, { recursive: true });
      await writeFile(path.join(snapshot, 'manifest.json'), manifest);
      await canonicals.write({
        schema: 4,
        recipe,
        version: latest[0],
        commit: latest[1],
        status: 'proven',
        ts,
        run: 'before-the-bench',
        images: {},
        domain: null,
        env: null,
        snapshot: {
          id: 'none-1',
          sha256: createHash('sha256').update(manifest).digest('hex'),
          bytes: manifest.length,
        },
        dropped: null,
        droppedBy: null,
        disk: null,
      });
      await mirrors.keep(recipe, latest[1]);
    });
    await system.configure({ recipes: './enrolled' });
  } catch (error) {
    await system.stop();
    throw error;
  }

  return {
    system,
    recipes,
    upstream,
    mirror,
    work,
    async startWorker(nodeArguments) {
      const worker = await system.startWorker(nodeArguments);
      await untilReaped(system);
      return worker;
    },
    async enrol(number) {
      await rm(enrolled, { recursive: true, force: true });
      await mkdir(enrolled);
      for (const recipe of recipes.slice(0, number)) {
        await symlink(path.join(folder, 'all', recipe), path.join(enrolled, recipe));
      }
    },
    async sweep() {
      const { client } = system.temporal;
      const workflowId = `sweep-${++sweeps}`;
      const handle = await client.workflow.start<typeof sweepWorkflow>(SWEEP_WORKFLOW, {
        workflowId,
        taskQueue: system.taskQueue,
        args: [{}],
      });
      const result = await client.withAbortSignal(interruption, () => handle.result());
      const other = result.recipes.find(({ outcome }) => outcome !== 'SKIP no-new-version');
      if (other || result.recipes.length === 0) {
        throw new Error(`${workflowId}: ${other ? `${other.recipe}: ${other.outcome}` : result.note}`);
      }
      const runs = [];
      for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
        runs.push(await timelineOf(client, workflowId, runId));
      }
      return runs.sort((a, b) => a.started - b.started);
    },
  };
}

/** Until the worker has reaped, which it does first and holding the host. */
export async function untilReaped({ temporal: { client }, host }: System): Promise<void> {
  await client.withAbortSignal(interruption, () => client.workflow.getHandle(reapWorkflowId(host)).result());
}

/** One upstream with a history of releases, bare and packed as a server has it. */
async function makeRepository(
  commands: ProcessRunner,
  folder: string,
): Promise<{ bare: string; commits: Map<string, string> }> {
  const maintainer = path.join(folder, 'maintainer');
  const bare = path.join(folder, 'upstream.git');
  const repo = await createGitRepo(commands, maintainer);
  await repo.git('config', 'user.name', 'Maintainer');
  await repo.git('config', 'user.email', 'maintainer@example.org');
  const commits = new Map<string, string>();
  for (let minor = 0; minor < RELEASES; minor++) {
    const tag = `1.${minor}.0+2.${minor}`;
    commits.set(tag, await repo.commit({ 'compose.yml': `# ${tag}\n`, [`release/${tag}`]: 'Notes.\n' }));
    await repo.git('tag', '--annotate', '--message', tag, '--', tag);
  }
  const clone = ['clone', '--quiet', '--bare', '--no-local', '--template=', maintainer, bare];
  await commands.output({ file: 'git', args: clone });
  return { bare, commits };
}

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += AT_ONCE) {
    interruption.throwIfAborted();
    await Promise.all(items.slice(from, from + AT_ONCE).map(work));
  }
}
