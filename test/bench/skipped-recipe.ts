import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readConfig } from '../../host/config/config.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { listRemoteArgs, objectsArgs, refsArgs, refsOnMainArgs } from '../../host/git/commands.ts';
import { processRunner } from '../../host/machine/process.ts';
import { median, timed, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';
import { timelineOf, type Span, type Timeline } from './history.ts';
import { startComposedTemporal } from '../e2e/compose-host.ts';
import type { SystemOptions } from '../e2e/system.ts';
import { startUpToDateHost, type UpToDateHost } from './up-to-date.ts';

/**
 * Time added per skipped recipe: from a sweep's first child to the end of its last one, less what a shell
 * script takes that runs the very same git commands and nothing else, both divided by the number of recipes.
 */
export function skippedRecipe(temporalBinary: string, form: Form): Promise<Figure[]> {
  return measure(temporalBinary, form, 'skipped recipe: added to its git commands');
}

/** The same on Temporal's own server with PostgreSQL, as docker-compose.yml runs it. */
export async function skippedRecipeOnPostgres(temporalBinary: string, form: Form): Promise<Figure[]> {
  const temporal = await startComposedTemporal();
  try {
    const name = "skipped recipe on Temporal's own server: added to its git commands";
    return await measure(temporalBinary, form, name, temporal);
  } finally {
    await temporal.stop();
  }
}

async function measure(
  temporalBinary: string,
  form: Form,
  name: string,
  beside?: SystemOptions['beside'],
): Promise<Figure[]> {
  const { recipes, rounds } = form === 'short' ? { recipes: 5, rounds: 2 } : { recipes: 25, rounds: 7 };
  const host = await startUpToDateHost(temporalBinary, recipes, beside);
  try {
    await host.enrol(recipes);
    await host.startWorker();
    await host.sweep(); // the worker compiles its code on first use
    const script = await writeScript(host);
    const whole: number[] = [];
    const git: number[] = [];
    let last: Timeline | undefined;
    for (let round = 0; round < rounds; round++) {
      git.push((await timed(script)) / recipes);
      const [sweep] = await host.sweep();
      if (sweep === undefined) throw new Error('the sweep has no run');
      whole.push(sweepingTime(sweep) / recipes);
      last = sweep;
    }
    return [
      {
        name,
        unit: 'ms',
        aim: { atMost: 150 },
        samples: whole.map((time, round) => time - (git[round] ?? NaN)),
        notes: [
          `${recipes} recipes a sweep; whole ${median(whole).toFixed(0)} ms a recipe, its git commands alone ${median(git).toFixed(0)} ms`,
          ...(last === undefined ? [] : await whereItGoes(host, last)),
        ],
      },
    ];
  } finally {
    await host.system.stop();
  }
}

/** From the first child asked for to the last one's end. */
export function sweepingTime({ children }: Timeline): number {
  return Math.max(...children.map(({ ended }) => ended)) - Math.min(...children.map(({ asked }) => asked));
}

/** The git commands of a recipe that is up to date, word for word as host/git/git.ts runs them. */
async function writeScript(host: UpToDateHost): Promise<() => Promise<unknown>> {
  const config = await readConfig(host.system.configFile);
  const git = (args: readonly string[]): string => ['git', ...args].map(quoted).join(' ');
  const lines = host.recipes.flatMap((recipe) => [
    `cd ${quoted(host.work(recipe))}`,
    `${git(listRemoteArgs(host.upstream(recipe)))} &`,
    `${git(listRemoteArgs(host.mirror(recipe)))} &`,
    'wait',
    git(refsArgs()),
    `${git(refsOnMainArgs())} | while read -r id _; do echo "$id^{commit}"; done | ${git(objectsArgs())}`,
  ]);
  const file = path.join(host.system.folder, 'git-commands.sh');
  await writeFile(file, ['set -eu', ...lines, ''].join('\n'));
  const { output } = processRunner({ environment: declaredEnvironment(config), signal: interruption });
  return () => output({ file: 'bash', args: [file] });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What a recipe's run is made of, from the server's own timestamps. */
async function whereItGoes(host: UpToDateHost, sweep: Timeline): Promise<string[]> {
  const { client } = host.system.temporal;
  const runs = await Promise.all(sweep.children.map(({ workflowId }) => timelineOf(client, workflowId)));
  const per = (what: (run: Timeline) => number): string => median(runs.map(what)).toFixed(0);
  const sum = (spans: readonly Span[], of: (span: Span) => number): number =>
    spans.reduce((total, span) => total + of(span), 0);
  const steps = ['mirrorSync', 'resolve', 'record'].map((name) => {
    const own = (run: Timeline): Span[] => run.activities.filter((activity) => activity.name === name);
    return `${name} ${per((run) => sum(own(run), ({ started, ended }) => ended - started))}`;
  });
  const child = median(sweep.children.map(({ asked, ended }) => ended - asked));
  const gaps = sweep.children
    .slice(1)
    .map(({ asked }, index) => asked - (sweep.children[index]?.ended ?? NaN));
  return [
    `in ms: steps ${steps.join(', ')}, waiting for the worker to take a step ${per((run) => sum(run.activities, ({ asked, started }) => started - asked))}; ` +
      `workflow code ${per((run) => sum(run.tasks, ({ started, ended }) => ended - started))} in ${per((run) => run.tasks.length)} tasks, waiting for them ${per((run) => sum(run.tasks, ({ asked, started }) => started - asked))}`,
    `in ms: the child as its sweep sees it ${child.toFixed(0)}, as itself ${per((run) => run.ended - run.started)}; between two children ${median(gaps).toFixed(0)}`,
  ];
}
